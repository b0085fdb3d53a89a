import { type DType, sameShape, type Shape, type StoredTensor } from "@distilldrive/tensor";
import { CheckpointError } from "../errors.js";

/** What a model wants of a state dict under one name. */
export interface WantedTensor {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Type and shape of a tensor, for messages: "f32 [3, 4]". */
const typeOf = ({ dtype, shape }: WantedTensor): string => `${dtype} [${shape.join(", ")}]`;

/** A state dict against what a model wants. */
export interface StateMatch {
  /** Wanted and there, as wanted. */
  readonly values: ReadonlyMap<string, StoredTensor>;
  /** Without influence on what the model computes; kept, so that an export gives them back. */
  readonly carried: ReadonlyMap<string, StoredTensor>;
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misfits: readonly { readonly name: string; readonly expected: string; readonly got: string }[];
}

/**
 * Compares a state dict with what a model wants, name by name. This is how parity, import and the tests fill a model.
 * @param carries names without a variable that are known to have no influence
 */
export function matchState(wanted: ReadonlyMap<string, WantedTensor>, given: ReadonlyMap<string, StoredTensor>, carries: (name: string) => boolean = () => false): StateMatch {
  const values = new Map<string, StoredTensor>();
  const carried = new Map<string, StoredTensor>();
  const unexpected: string[] = [];
  const misfits: { name: string; expected: string; got: string }[] = [];
  for (const [name, tensor] of given) {
    const want = wanted.get(name);
    if (want === undefined) {
      if (carries(name)) carried.set(name, tensor);
      else unexpected.push(name);
    } else if (tensor.dtype === want.dtype && sameShape(tensor.shape, want.shape)) values.set(name, tensor);
    else misfits.push({ name, expected: typeOf(want), got: typeOf(tensor) });
  }
  const missing = [...wanted.keys()].filter((name) => !given.has(name));
  return { values, carried, missing, unexpected, misfits };
}

/** Names a message lists at most of each kind. */
const LISTED = 8;

/**
 * Makes sure that a state dict fits.
 * @param where start of the message
 * @param what the model, for the message
 * @param advice what to do about it
 * @throws CheckpointError listing what is missing, unexpected and of another shape
 */
export function requireMatch({ missing, unexpected, misfits }: Pick<StateMatch, "missing" | "unexpected" | "misfits">, where: string, what: string, advice: string): void {
  if (missing.length + unexpected.length + misfits.length === 0) return;
  const list = (title: string, items: readonly string[], separator: string): string[] =>
    items.length === 0 ? [] : [`  ${title} (${items.length}): ${items.slice(0, LISTED).join(separator)}${items.length > LISTED ? `${separator}and ${items.length - LISTED} more` : ""}`];
  const lines = [
    `${where}: the names do not fit, expected those of ${what}, got`,
    ...list("missing", missing, ", "),
    ...list("unexpected", unexpected, ", "),
    ...list("other shapes", misfits.map(({ name, expected, got }) => `${name}: expected ${expected}, got ${got}`), "; "),
    advice,
  ];
  throw new CheckpointError(lines.join("\n"));
}

/** Names behind a prefix, without it. */
export interface Unprefixed<Value> {
  /** "" or ends with a dot: "module.", "head.teacher." */
  readonly prefix: string;
  readonly tensors: ReadonlyMap<string, Value>;
  /** Names that are not behind it. */
  readonly others: readonly string[];
}

/**
 * Finds the prefix behind which most of a model's names are (wrappers put "module." or "model." in front) and takes it off.
 * @param wanted names of the model
 * @param prefix the one to take, instead of finding it
 * @throws CheckpointError when no name is known, or two prefixes fit equally well
 */
export function withoutPrefix<Value>(given: ReadonlyMap<string, Value>, wanted: Iterable<string>, where: string, prefix?: string): Unprefixed<Value> {
  const names = new Set(wanted);
  const [example = ""] = names;
  const found = prefix === undefined ? bestPrefix(given.keys(), names) : [prefix === "" || prefix.endsWith(".") ? prefix : `${prefix}.`];
  const [best, ...rest] = found;
  if (best !== undefined && rest.length > 0) {
    throw new CheckpointError(`${where}: several models in one file, expected names behind one prefix, got them behind ${found.map((each) => `"${each}"`).join(" and ")}. Say which one with --prefix.`);
  }
  const inside = [...given].filter(([name]) => best !== undefined && name.startsWith(best));
  const tensors = new Map(inside.map(([name, value]) => [name.slice(best?.length ?? 0), value] as const));
  if (best === undefined || ![...tensors.keys()].some((name) => names.has(name))) {
    const behind = prefix === undefined ? "" : ` behind "${best ?? ""}"`;
    throw new CheckpointError(`${where}: none of the names is known${behind}, expected such as "${example}", got ${given.size === 0 ? "none" : [...given.keys()].slice(0, 6).join(", ")}. Is this the state dict of another model?`);
  }
  return { prefix: best, tensors, others: [...given.keys()].filter((name) => !name.startsWith(best)) };
}

/** Prefixes behind which the most names are known; several only where they tie. */
function bestPrefix(given: Iterable<string>, wanted: ReadonlySet<string>): string[] {
  const counts = new Map<string, number>();
  for (const name of given) {
    for (let at = 0; ; ) {
      if (wanted.has(name.slice(at))) counts.set(name.slice(0, at), (counts.get(name.slice(0, at)) ?? 0) + 1);
      const dot = name.indexOf(".", at);
      if (dot < 0) break;
      at = dot + 1;
    }
  }
  const most = Math.max(0, ...counts.values());
  return [...counts].filter(([, count]) => count === most).map(([prefix]) => prefix);
}
