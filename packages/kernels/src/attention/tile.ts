import type { KernelTarget } from "../kernel.js";
import { hiddenPenalty } from "./parameters.js";
import type { AttentionShape } from "./shape.js";

/** Blocking of a kernel for CPU drivers. */
export interface TileSize {
  /** Rows of the side spread over the lanes that each lane holds. */
  readonly own: number;
  /** Rows of the other side that meet them at once: each of their elements is loaded by one lane and broadcast. */
  readonly other: number;
}

/** WGSL pieces of the kernels for CPU drivers, see {@link tileOf}. */
export interface Tile extends TileSize {
  /** Lanes in the workgroup: one subgroup. */
  readonly lanes: number;
  /** What stands before the declarations. */
  readonly enable: string;
  /** Parameters of `main`: `group` and `lane`. */
  readonly parameters: string;
  /** Joined lines, one per own row. */
  readonly ownEach: (line: (c: number) => string) => string;
  /** Joined lines, one per other row. */
  readonly otherEach: (line: (r: number) => string) => string;
  /** Joined lines, one per other row and own row. */
  readonly pairEach: (line: (r: number, c: number) => string) => string;
  /** Joined lines, one per group of other rows that the lanes hold together: lane x holds row `lanes * g + x`. */
  readonly groupEach: (line: (g: number) => string) => string;
  /** The value for other row r of a variable `<name><g>` that lanes hold per group. */
  readonly fromGroup: (name: string, r: number) => string;
  /** `<sum><r>_<c> += own row c . other row r` along `width`; `factor` scales the own rows. */
  readonly products: (sum: string, own: Side, other: Side, width: Width, factor?: string) => string;
  /** `<own><c>[...] = old * <before><c> + sum over r of <weight><r>_<c> * other row r`, times `<after><c>`; `old` is 0 unless `continued`. */
  readonly weightedSum: (own: Side & Guarded, weight: string, other: Side, width: Width, factors?: { readonly before: string; readonly after: string }) => string;
}

/** A buffer and the names `<at><index>` of the variables that hold where its rows start. */
export interface Side {
  readonly buffer: string;
  readonly at: string;
}

/** Which own rows exist, and when there is a sum to continue; undefined: never. */
export interface Guarded {
  readonly exists: (c: number) => string;
  readonly continued: string | undefined;
}

/** Length of rows: the uniform that holds it, and the width of a load. */
export interface Width {
  /** WGSL expression: loads per row. */
  readonly loads: string;
  readonly lane: 1 | 4;
}

const subgroupSizes: readonly number[] = [4, 8, 16];

/** Elements in one load of a row of `size` channels. */
export function loadWidth(size: number): 1 | 4 {
  return size % 4 === 0 ? 4 : 1;
}

/** WGSL element type of buffers with such rows. */
export function elementOf(size: number): "vec4f" | "f32" {
  return size % 4 === 0 ? "vec4f" : "f32";
}

/** Declarations of `score_width` and `value_width`, and the lengths they stand for. */
export function widthsOf({ dim, valueDim }: AttentionShape): { readonly declare: string; readonly score: Width; readonly value: Width } {
  return {
    declare: `let score_width = params.dim / ${loadWidth(dim)}u; let value_width = params.value_dim / ${loadWidth(valueDim)}u;`,
    score: { loads: "score_width", lane: loadWidth(dim) },
    value: { loads: "value_width", lane: loadWidth(valueDim) },
  };
}

/** Whether kernels may use subgroup operations: the size is fixed and one that was tried. */
export function hasSubgroups(target: KernelTarget): boolean {
  return subgroupSizes.includes(target.subgroupSize);
}

/** Lanes that {@link tileOf} spreads own rows over. */
export function tileLanes(target: KernelTarget): number {
  return hasSubgroups(target) ? target.subgroupSize : 8;
}

/**
 * Kernels for CPU drivers, where a load is a gather that costs as much as twenty multiplications: each lane holds some rows of one side
 * (queries, or keys), and every element of the other side is loaded by one lane and broadcast to all. Loops run along the channels, so one
 * text serves every head dimension and compiles in a fraction of a second; sums along rows stay in memory, which a block of 24 rows pays for.
 */
export function tileOf(size: TileSize, target: KernelTarget): Tile {
  const { own: C, other: R } = size;
  const lanes = tileLanes(target);
  const subgroups = hasSubgroups(target);
  const list = (count: number, line: (i: number) => string, separator = "\n"): string => Array.from({ length: count }, (_, i) => line(i)).join(separator);
  const groups = Math.ceil(R / lanes);
  const group = (r: number): number => Math.floor(r / lanes);
  const component = (lane: 1 | 4, x: number): string => (lane === 4 ? `.${"xyzw"[x]}` : "");
  const zero = (lane: 1 | 4): string => (lane === 4 ? "vec4f()" : "0.0");
  const ownEach = (line: (c: number) => string): string => list(C, line, " ");
  const spread = (name: string, r: number, suffix: string): string =>
    subgroups ? `subgroupBroadcast(${name}${group(r)}${suffix}, ${r % lanes}u)` : `${name}${r}${suffix}`;
  /** Loads of the other side: one row a lane, or without subgroups every row in every lane. */
  const otherLoads = ({ buffer, at }: Side): string =>
    subgroups ? list(groups, (g) => `let b${g} = ${buffer}[${at}${g} + l];`, " ") : list(R, (r) => `let b${r} = ${buffer}[${at}${r} + l];`, " ");
  const steps = (lane: 1 | 4, line: (x: string, r: number, e: string) => string): string =>
    list(lane, (x) => list(R, (r) => `{ let e = ${spread("b", r, component(lane, x))}; ${line(component(lane, x), r, "e")} }`));
  return {
    ...size,
    lanes,
    enable: subgroups ? "enable subgroups;\n" : "",
    parameters: `@builtin(workgroup_id) group: vec3u, @builtin(${subgroups ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32`,
    ownEach,
    otherEach: (line) => list(R, line),
    pairEach: (line) => list(R, (r) => list(C, (c) => line(r, c), " ")),
    groupEach: (line) => (subgroups ? list(groups, (g) => line(g).replaceAll("OTHER", `${g * lanes}u + lane`)) : list(R, (r) => line(r).replaceAll("OTHER", `${r}u`))),
    fromGroup: (name, r) => spread(name, r, ""),
    products: (sum, own, other, { loads, lane }, factor) => `for (var l = 0u; l < ${loads}; l += 1u) {
${ownEach((c) => `let a${c} = ${factor === undefined ? "" : `${factor} * `}${own.buffer}[${own.at}${c} + l];`)}
${otherLoads(other)}
${steps(lane, (x, r, e) => ownEach((c) => `${sum}${r}_${c} = fma(a${c}${x}, ${e}, ${sum}${r}_${c});`))}
}`,
    weightedSum: (own, weight, other, { loads, lane }, factors) => `for (var l = 0u; l < ${loads}; l += 1u) {
${otherLoads(other)}
${ownEach((c) => `var a${c} = ${zero(lane)};`)}
${own.continued === undefined ? "" : `if (${own.continued}) { ${ownEach((c) => `a${c} = ${factors ? `${factors.before}${c} * ` : ""}${own.buffer}[${own.at}${c} + l];`)} }`}
${steps(lane, (x, r, e) => ownEach((c) => `a${c}${x} = fma(${weight}${r}_${c}, ${e}, a${c}${x});`))}
${ownEach((c) => `if (${own.exists(c)}) { ${own.buffer}[${own.at}${c} + l] = a${c}${factors ? ` * ${factors.after}${c}` : ""}; }`)}
}`,
  };
}

/** `let <name> = penalty` of a key: far below every score where the key is beyond the end or ignored, else 0. */
export function keyPenalty({ mask }: AttentionShape, name: string, key: string, row: string): string {
  return `let ${name} = select(0.0, ${hiddenPenalty}, ${key} >= params.keys${mask ? ` || keyPaddingMask[${row}] != 0.0` : ""});`;
}

/** Bits of a word. */
const WORD = 32;

/** Which weights of the block stay, as bits of `stay<c>_<word>`, asked in loops: unrolled, the random numbers would be most of the kernel. */
export function stayWgsl({ dropout }: AttentionShape, { other, ownEach }: Pick<Tile, "other" | "ownEach">, first: (c: number) => string, step: string): string {
  if (dropout === 0) return "";
  const words = Array.from({ length: Math.ceil(other / WORD) }, (_, word) => {
    const from = word * WORD;
    return `${ownEach((c) => `var stay${c}_${word} = 0u;`)}
for (var r = ${from}u; r < ${Math.min(other, from + WORD)}u; r += 1u) { ${ownEach((c) => `stay${c}_${word} |= select(0u, 1u << (r - ${from}u), kept(stream, weight_at${c} + r * ${step}) > 0.0);`)} }`;
  });
  return [ownEach((c) => `let weight_at${c} = ${first(c)};`), ...words].join("\n");
}

/** `keep_scale * ` or `0.0 * ` for a weight, by its bit. */
export function keptFactor({ dropout }: AttentionShape, r: number, c: number): string {
  return dropout === 0 ? "" : `select(0.0, params.keep_scale, (stay${c}_${Math.floor(r / WORD)} & ${2 ** (r % WORD)}u) != 0u) * `;
}

/** The tile in kernel and candidate names. */
export function tileName({ own, other }: TileSize): string {
  return `tile${own}x${other}`;
}

/** The variant in kernel names. */
export function variantName({ mask, additive, dropout }: AttentionShape): string {
  return `${mask ? ".mask" : ""}${additive === "none" ? "" : ".additive"}${dropout > 0 ? ".dropout" : ""}`;
}
