/**
 * WGSL for a row of `size` channels kept in registers as `ceil(size / 4)` vec4f named `<name>0`, `<name>1`, ...
 * Whole vectors are loaded and stored where rows start at multiples of four, single elements elsewhere.
 */
export interface Row {
  readonly size: number;
  readonly count: number;
  /** WGSL element type of the buffers that hold such rows. */
  readonly element: "vec4f" | "f32";
  /** `let <name><i> = ...` from `buffer` at the element expression `at`. */
  load(name: string, buffer: string, at: string): string;
  /** `var <name><i> = vec4f();` */
  zero(name: string): string;
  /** Stores `value(i)` for every vector. */
  store(buffer: string, at: string, value: (i: number) => string): string;
  /** Sum over channels of the product of a row in registers and another one, whose vectors are given, as an expression. */
  dot(left: string, right: (i: number) => string): string;
  /** One statement per vector. */
  each(line: (i: number) => string): string;
}

/** Rows of `size` channels. */
export function rowOf(size: number): Row {
  const count = Math.ceil(size / 4);
  const aligned = size % 4 === 0;
  const each = (line: (i: number) => string): string => Array.from({ length: count }, (_, i) => line(i)).join("\n");
  const channels = (i: number): number => Math.min(4, size - 4 * i);
  return {
    size,
    count,
    element: aligned ? "vec4f" : "f32",
    each,
    load(name, buffer, at) {
      if (aligned) return `let ${name}_at = (${at}) / 4u;\n${each((i) => `let ${name}${i} = ${buffer}[${name}_at + ${i}u];`)}`;
      const element = (i: number, c: number): string => (c < channels(i) ? `${buffer}[${name}_at + ${4 * i + c}u]` : "0.0");
      return `let ${name}_at = ${at};\n${each((i) => `let ${name}${i} = vec4f(${[0, 1, 2, 3].map((c) => element(i, c)).join(", ")});`)}`;
    },
    zero: (name) => each((i) => `var ${name}${i} = vec4f();`),
    store(buffer, at, value) {
      if (aligned) return `{ let at = (${at}) / 4u;\n${each((i) => `${buffer}[at + ${i}u] = ${value(i)};`)} }`;
      const lines = (i: number): string => Array.from({ length: channels(i) }, (_, c) => `${buffer}[at + ${4 * i + c}u] = value${i}.${"xyzw"[c]};`).join(" ");
      return `{ let at = ${at};\n${each((i) => `let value${i} = ${value(i)}; ${lines(i)}`)} }`;
    },
    dot: (left, right) => Array.from({ length: count }, (_, i) => `dot(${left}${i}, ${right(i)})`).join(" + "),
  };
}
