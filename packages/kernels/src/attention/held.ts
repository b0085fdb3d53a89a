import type { KernelTarget } from "../kernel.js";
import type { AttentionShape } from "./shape.js";
import { hasSubgroups, stayWgsl, tileLanes, tileOf, variantName, widthsOf, type Tile, type TileSize } from "./tile.js";

/** Rows of q or k are one side's, rows of v, out or dout the other's. */
export type HeldWidth = "score" | "value";

/**
 * Names of held rows in the forms they are held in. Spread over the lanes: chunk u of row r is `<spread><r>_<u>`, a vec4f whose lane x is
 * vector `lanes * u + x` of the row. Turned: `<turned><g>_<X>` is vector X of the rows of group g, one row in each lane.
 */
export interface HeldForms {
  readonly spread?: string;
  readonly turned?: string;
}

/** WGSL pieces of kernels that hold rows, see {@link heldOf}. */
export interface Held extends Tile {
  /** Joined lines, one per chunk of a row. */
  readonly chunkEach: (width: HeldWidth, line: (u: number) => string) => string;
  /** Declares held rows, zero. */
  readonly hold: (forms: HeldForms, width: HeldWidth) => string;
  /** Fills held rows from a buffer; lanes meet its rows at `<at><g>`. `factor` scales them. */
  readonly take: (forms: HeldForms, buffer: string, at: string, width: HeldWidth, factor?: string) => string;
  /** Stores spread rows where `exists(g)`; `factor` is a variable per group and scales the rows. */
  readonly give: (name: string, buffer: string, at: string, width: HeldWidth, exists: (g: number) => string, factor?: string) => string;
  /** `<sum><r>_<c> += own row c . spread row r`; `factor` scales the own rows. */
  readonly heldProducts: (sum: string, own: { readonly buffer: string; readonly at: string }, held: string, width: HeldWidth, factor?: string) => string;
  /** `<sum><g> += row . turned row` of every group, for one row in the chunks `<row>_<u>`. */
  readonly turnedProducts: (sum: string, row: string, turned: string, width: HeldWidth) => string;
  /** Which weights of one row and the turned ones stay, as a bit per group; `weight` is that of the lane's row in the first group. */
  readonly turnedStay: (weight: string) => string;
  /** Declares `x_score<u>` and `x_value<u>`: which vector of a row is this lane's. */
  readonly places: string;
  /** Statements that make a variable the largest of all lanes' in each of them. */
  readonly laneMax: (name: string) => string;
  /** Whether chunk u of a row has a vector for this lane. */
  readonly inRow: (width: HeldWidth, u: number) => string;
  /** The kernel's name behind the form. */
  readonly suffix: string;
}

/** Vectors of a row that one lane holds. */
function chunkCount(size: number, lanes: number): number {
  return Math.ceil(size / (4 * lanes));
}

/** Blocks worth trying, and how long a pair of rows takes in them. */
export interface HeldBlock extends TileSize {
  readonly perPair: number;
}
const smallBlocks: readonly HeldBlock[] = [
  { own: 1, other: 24, perPair: 1 },
  { own: 1, other: 16, perPair: 1.1 },
  { own: 1, other: 8, perPair: 1.4 },
];
/** 42 is a quarter of the published planner's 18 modes and 150 agents; turned rows want whole groups of lanes. */
const blocks = {
  forward: [{ own: 1, other: 42, perPair: 0.9 }, ...smallBlocks],
  backward: [{ own: 1, other: 40, perPair: 0.86 }, { own: 1, other: 32, perPair: 0.88 }, ...smallBlocks],
} as const satisfies Record<string, readonly HeldBlock[]>;
/** Vectors a lane may hold per kernel: q and its sums, or k and v and theirs, which are twice as many. More take too long to compile. */
const mostHeld = { forward: 144, backward: 84 } as const;

/** Blocks of held rows that a shape is offered on a target; none where rows are no vectors or there are no subgroups. */
export function heldSizes({ dim, valueDim }: AttentionShape, form: "forward" | "backward", target: KernelTarget): readonly HeldBlock[] {
  if (!hasSubgroups(target) || dim % 4 > 0 || valueDim % 4 > 0) return [];
  const chunks = chunkCount(dim, tileLanes(target)) + chunkCount(valueDim, tileLanes(target));
  return blocks[form].filter(({ other }) => other * chunks <= mostHeld[form]);
}

/** The block that wastes least on `rows` held rows, of those offered: rows that do not exist are computed all the same. */
export function heldFor(rows: number, sizes: readonly HeldBlock[]): TileSize | undefined {
  const time = ({ other, perPair }: HeldBlock): number => Math.ceil(rows / other) * other * perPair;
  return [...sizes].sort((a, b) => time(a) - time(b))[0];
}

/** The block in candidate names. */
export function heldName({ own, other }: TileSize): string {
  return `held${own}x${other}`;
}

/**
 * Kernels for CPU drivers with subgroups that hold rows of the other side in registers. Spread rows have their channels in the lanes: a
 * shuffle gives every lane one vector, which replaces a load where rows multiply rows; and a row that is summed up over rows of the own side
 * takes one load per row for all channels, and one shuffle per weight. Turned rows have one row in each lane: where an own row is loaded
 * for such a sum anyway, its products with them take no other load, and few enough sums to stay in registers. Sums stay in registers (what
 * does not fit waits on the stack, where loads are cheap) instead of in memory.
 *
 * Drivers expand a load or store to hundreds of instructions, so rows are taken and given in a loop along the channels, with a row in
 * each lane, and turned by shuffles: unrolled loads and stores would be five sixths of the time to compile.
 */
export function heldOf(shape: AttentionShape, size: TileSize, target: KernelTarget): Held {
  const tile = tileOf(size, target);
  const { other: R, lanes: L, ownEach, otherEach, fromGroup } = tile;
  const sizes = { score: shape.dim, value: shape.valueDim };
  const chunkEach = (width: HeldWidth, line: (u: number) => string): string => Array.from({ length: chunkCount(sizes[width], L) }, (_, u) => line(u)).join(" ");
  const vectorEach = (width: HeldWidth, line: (X: number) => string): string => Array.from({ length: sizes[width] / 4 }, (_, X) => line(X)).join(" ");
  const groupEach = (line: (g: number) => string): string => Array.from({ length: Math.ceil(R / L) }, (_, g) => line(g)).join(" ");
  const along = (width: HeldWidth, u: number): string => `for (var l = ${u * L}u; l < min(${(u + 1) * L}u, ${width}_width); l += 1u)`;
  return {
    ...tile,
    chunkEach,
    hold: ({ spread, turned }, width) => `
${spread === undefined ? "" : otherEach((r) => chunkEach(width, (u) => `var ${spread}${r}_${u} = vec4f();`))}
${turned === undefined ? "" : groupEach((g) => vectorEach(width, (X) => `var ${turned}${g}_${X} = vec4f();`))}`,
    take: ({ spread, turned }, buffer, at, width, factor) =>
      chunkEach(width, (u) => `${along(width, u)} { let here = lane == l - ${u * L}u;
${groupEach((g) => `let b${g} = ${factor === undefined ? "" : `${factor} * `}${buffer}[${at}${g} + l];`)}
${spread === undefined ? "" : otherEach((r) => `${spread}${r}_${u} = select(${spread}${r}_${u}, ${fromGroup("b", r)}, here);`)}
${turned === undefined ? "" : vectorEach(width, (X) => (Math.floor(X / L) === u ? groupEach((g) => `${turned}${g}_${X} = select(${turned}${g}_${X}, b${g}, l == ${X}u);`) : ""))}
}`),
    give: (name, buffer, at, width, exists, factor) =>
      chunkEach(width, (u) => `${along(width, u)} {
${groupEach((g) => `var b${g} = vec4f();`)}
${otherEach((r) => `b${Math.floor(r / L)} = select(b${Math.floor(r / L)}, subgroupShuffle(${name}${r}_${u}, l - ${u * L}u), lane == ${r % L}u);`)}
${groupEach((g) => `if (${exists(g)}) { ${buffer}[${at}${g} + l] = b${g}${factor === undefined ? "" : ` * ${factor}${g}`}; }`)}
}`),
    heldProducts: (sum, own, held, width, factor) =>
      chunkEach(width, (u) => `${along(width, u)} {
${ownEach((c) => `let a${c} = ${factor === undefined ? "" : `${factor} * `}${own.buffer}[${own.at}${c} + l];`)}
${otherEach((r) => [..."xyzw"].map((x) => `{ let e = subgroupShuffle(${held}${r}_${u}.${x}, l - ${u * L}u); ${ownEach((c) => `${sum}${r}_${c} = fma(a${c}.${x}, e, ${sum}${r}_${c});`)} }`).join(" "))}
}`),
    turnedProducts: (sum, row, turned, width) =>
      vectorEach(width, (X) => [..."xyzw"].map((x) => `{ let e = subgroupBroadcast(${row}_${Math.floor(X / L)}.${x}, ${X % L}u); ${groupEach((g) => `${sum}${g} = fma(e, ${turned}${g}_${X}.${x}, ${sum}${g});`)} }`).join("\n")),
    turnedStay: (weight) => stayWgsl(shape, { other: Math.ceil(R / L), ownEach: (line) => line(0) }, () => weight, `${L}u`),
    places: `${widthsOf(shape).declare}
${(["score", "value"] as const).map((width) => chunkEach(width, (u) => `let x_${width}${u} = min(lane + ${u * L}u, ${width}_width - 1u);`)).join("\n")}`,
    laneMax: (name) => Array.from({ length: Math.log2(L) }, (_, i) => `${name} = max(${name}, subgroupShuffleXor(${name}, ${2 ** i}u));`).join(" "),
    inRow: (width, u) => `lane + ${u * L}u < ${width}_width`,
    suffix: `${heldName(size)}.${chunkCount(shape.dim, L)}.${chunkCount(shape.valueDim, L)}${variantName(shape)}`,
  };
}
