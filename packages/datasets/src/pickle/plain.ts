import { PickleObject, type PickleValue } from "./values.js";

/** A name by which pickle itself spells a plain value that has no opcode in its protocol; a marker, nothing is callable. */
export class PlainGlobal extends PickleObject {
  constructor(readonly kind: "encoded" | "bytes" | "set" | "dict") {
    super();
  }
}

const KINDS: ReadonlyMap<string, PlainGlobal["kind"]> = new Map<string, PlainGlobal["kind"]>([
  // Bytes have opcodes since protocol 3; before, they are text to be encoded, and empty ones a call without arguments.
  ["_codecs.encode", "encoded"],
  ["builtins.bytes", "bytes"],
  ["__builtin__.bytes", "bytes"],
  // Opcodes since protocol 5.
  ["builtins.bytearray", "bytes"],
  ["__builtin__.bytearray", "bytes"],
  // Opcodes since protocol 4.
  ["builtins.set", "set"],
  ["builtins.frozenset", "set"],
  ["__builtin__.set", "set"],
  ["__builtin__.frozenset", "set"],
  ["collections.OrderedDict", "dict"],
]);

/** The marker for a global that spells plain values; undefined for any other. */
export function plainGlobal(name: string): PlainGlobal | undefined {
  const kind = KINDS.get(name);
  return kind === undefined ? undefined : new PlainGlobal(kind);
}

/** The value that a call of one spells; undefined for a call that pickle does not write. */
export function plainValue({ kind }: PlainGlobal, args: readonly PickleValue[]): PickleValue | undefined {
  const [first, second] = args;
  if (kind === "encoded") return typeof second === "string" ? latin1(first, second) : undefined;
  if (kind === "bytes") {
    if (first === undefined) return new Uint8Array(0);
    return first instanceof Uint8Array ? first : typeof second === "string" ? latin1(first, second) : undefined;
  }
  if (first !== undefined && !Array.isArray(first)) return undefined;
  if (kind === "set") return new Set(first);
  const pairs: [PickleValue, PickleValue][] = [];
  for (const pair of first ?? []) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined;
    pairs.push([pair[0] ?? null, pair[1] ?? null]);
  }
  return new Map(pairs);
}

/** Bytes of text of which every character is one; undefined for other text and encodings, which pickle does not use. */
function latin1(text: PickleValue | undefined, encoding: string): Uint8Array | undefined {
  if (typeof text !== "string" || !/^latin-?1$/.test(encoding)) return undefined;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) return undefined;
    bytes[i] = code;
  }
  return bytes;
}
