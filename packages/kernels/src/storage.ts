import { KernelError } from "./errors.js";
import type { Binding, Kernel, KernelSequence } from "./kernel.js";

/** How an element of an f32 binding is written in WGSL, and what stands for it when it lies in memory as f16. */
const forms: Readonly<Record<string, { readonly stored: string; readonly load: (x: string) => string; readonly value: (x: string) => string; readonly part: (x: string) => string }>> = {
  f32: { stored: "f16", load: (x) => `f32(${x})`, value: (x) => x, part: (x) => x },
  vec2f: { stored: "vec2<f16>", load: (x) => `vec2f(${x})`, value: (x) => x, part: (x) => x },
  vec4f: { stored: "vec4<f16>", load: (x) => `vec4f(${x})`, value: (x) => x, part: (x) => x },
  // Kernels that only move values about declare them as bits.
  u32: { stored: "f16", load: (x) => `bitcast<u32>(f32(${x}))`, value: (x) => `bitcast<f32>(${x})`, part: (x) => `bitcast<f32>(${x})` },
  vec4u: { stored: "vec4<f16>", load: (x) => `bitcast<vec4u>(vec4f(${x}))`, value: (x) => `bitcast<vec4f>(${x})`, part: (x) => `bitcast<f32>(${x})` },
};

/** Other spellings of the same types. */
const spellings: Readonly<Record<string, string>> = { "vec2<f32>": "vec2f", "vec4<f32>": "vec4f", "vec4<u32>": "vec4u" };

/**
 * The same kernel with some f32 bindings stored as f16: values are widened where they are loaded and rounded where they are
 * stored; all arithmetic, and whatever the kernel keeps to itself, stays f32. Values beyond 65504 overflow. The device needs the feature "shader-f16".
 * @param names bindings to store as f16; those that are not f32 stay as they are
 * @throws KernelError where the shader uses such a binding in another way than by index
 */
export function storeAs(kernel: Kernel, names: Iterable<string>): Kernel {
  const wanted = new Set(names);
  const half = kernel.bindings.filter(({ name, dtype, storedAs }) => wanted.has(name) && dtype === "f32" && storedAs === undefined);
  if (half.length === 0) return kernel;
  const bindings = kernel.bindings.map((binding): Binding => (half.includes(binding) ? { ...binding, storedAs: "f16" } : binding));
  const saved = half.reduce((bytes, { length, access }) => bytes + 2 * length * (access === "readwrite" ? 2 : 1), 0);
  return {
    ...kernel,
    name: `${kernel.name}.f16(${half.map(({ name }) => name).join(",")})`,
    wgsl: `enable f16;\n${new Storage(kernel, half).text()}`,
    bindings,
    cost: { flops: kernel.cost.flops, bytes: Math.max(0, kernel.cost.bytes - saved) },
  };
}

/** A sequence with some of its external f32 tensors stored as f16, see {@link storeAs}; its temporaries stay f32. */
export function storeSequenceAs(sequence: KernelSequence, names: Iterable<string>): KernelSequence {
  const own = new Set(sequence.temporaries.map(({ name }) => name));
  const wanted = new Set([...names].filter((name) => !own.has(name)));
  return {
    ...sequence,
    kernels: sequence.kernels.map(({ kernel, bind }) => ({
      kernel: storeAs(kernel, Object.keys(bind).filter((binding) => wanted.has(bind[binding] ?? ""))),
      bind,
    })),
  };
}

/** Rewrites the declarations and accesses of bindings in a shader. */
class Storage {
  readonly #elements = new Map<string, string>();
  readonly #access: RegExp;
  readonly #source: string;

  constructor(
    readonly kernel: Kernel,
    half: readonly Binding[],
  ) {
    let source = kernel.wgsl.replaceAll(/\/\/[^\n]*/g, "");
    for (const { name } of half) {
      const declaration = new RegExp(`(var<storage, read(?:_write)?> ${name}: array<)([^;]+)(>;)`);
      const written = declaration.exec(source)?.[2] ?? "";
      const element = spellings[written] ?? written;
      const form = forms[element];
      if (form === undefined) this.#refuse(`declares "${name}" as array<${written}>`, `array<${Object.keys(forms).join(">, array<")}>`);
      this.#elements.set(name, element);
      source = source.replace(declaration, `$1${form?.stored ?? ""}$3`);
    }
    const any = half.map(({ name }) => name).join("|");
    if (new RegExp(`&\\s*(?:${any})\\b(?!\\s*\\()`).test(source.replaceAll("&&", ""))) this.#refuse("takes the address of a binding", "accesses by index");
    this.#access = new RegExp(`(?<![.\\w])(${any})\\s*\\[`, "g");
    this.#source = source;
  }

  text(): string {
    return this.#rewrite(this.#source);
  }

  #rewrite(text: string): string {
    let result = "";
    let done = 0;
    const access = new RegExp(this.#access);
    for (let match = access.exec(text); match; match = access.exec(text)) {
      const name = match[1] ?? "";
      const form = forms[this.#elements.get(name) ?? ""];
      const open = match.index + match[0].length - 1;
      const close = closing(text, open);
      if (form === undefined || close < 0) this.#refuse(`accesses "${name}" in a way that is not understood`, "balanced brackets");
      const element = `${name}[${this.#rewrite(text.slice(open + 1, close))}]`;
      result += text.slice(done, match.index);
      const assigned = /^((?:\.\w+|\[[^\]]*\])?)\s*([-+*/|&^]?=)(?!=)/.exec(text.slice(close + 1));
      if (assigned) {
        const [whole, component = "", operator = "="] = assigned;
        const begin = close + 1 + whole.length;
        const end = statementEnd(text, begin);
        const right = this.#rewrite(text.slice(begin, end)).trim();
        const value = operator === "=" ? right : `${form?.load(element) ?? ""}${component} ${operator.slice(0, -1)} (${right})`;
        const stored = component === "" ? `${form?.stored ?? ""}(${form?.value(value) ?? ""})` : `f16(${form?.part(value) ?? ""})`;
        result += `${element}${component} = ${stored}`;
        done = end;
      } else {
        result += form?.load(element) ?? "";
        done = close + 1;
      }
      access.lastIndex = done;
    }
    return result + text.slice(done);
  }

  #refuse(what: string, expected: string): never {
    throw new KernelError(`${this.kernel.name}: cannot store its bindings as f16: the shader ${what}, expected ${expected}. Access the binding by index alone, or keep it f32.`);
  }
}

/** Position of the bracket that closes the one at `open`, or -1. */
function closing(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === "[") depth++;
    else if (text[i] === "]" && --depth === 0) return i;
  }
  return -1;
}

/** Where an assignment's right-hand side ends: at its semicolon, or at the parenthesis that closes a loop's head. */
function statementEnd(text: string, begin: number): number {
  let depth = 0;
  for (let i = begin; i < text.length; i++) {
    const character = text[i];
    if (character === "(" || character === "[") depth++;
    else if (character === ")" || character === "]") depth--;
    if ((character === ";" && depth === 0) || depth < 0) return i;
  }
  return text.length;
}
