import type { KernelTarget } from "../kernel.js";
import type { AttentionShape } from "./shape.js";
import { hasSubgroups, tileLanes, tileOf, variantName, widthsOf, type Tile, type TileSize } from "./tile.js";

/** Rows of q or k are one side's, rows of v, out or dout the other's. */
export type HeldWidth = "score" | "value";

/** WGSL pieces of kernels that hold rows, see {@link heldOf}. */
export interface Held extends Tile {
  /** Joined lines, one per chunk of a row. */
  readonly chunkEach: (width: HeldWidth, line: (u: number) => string) => string;
  /** Declares `<name><r>_<u>`, zero: the held rows. */
  readonly hold: (name: string, width: HeldWidth) => string;
  /** Fills held rows from a buffer; lanes meet its rows at `<at><g>`. `factor` scales them. */
  readonly take: (name: string, buffer: string, at: string, width: HeldWidth, factor?: string) => string;
  /** Stores held rows where `exists(g)`; `factor` is a variable per group and scales the rows. */
  readonly give: (name: string, buffer: string, at: string, width: HeldWidth, exists: (g: number) => string, factor?: string) => string;
  /** `<sum><r>_<c> += own row c . held row r`; `factor` scales the own rows. */
  readonly heldProducts: (sum: string, own: { readonly buffer: string; readonly at: string }, held: string, width: HeldWidth, factor?: string) => string;
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

/** Blocks worth trying, and how long a pair of rows takes in them. 42 is a quarter of the published planner's 18 modes and 150 agents. */
const blocks = [
  { own: 1, other: 42, perPair: 0.9 },
  { own: 1, other: 24, perPair: 1 },
  { own: 1, other: 16, perPair: 1.1 },
  { own: 1, other: 8, perPair: 1.4 },
] as const;
/** Vectors a lane may hold per kernel: q and its sums, or k and v and theirs, which are twice as many. More take too long to compile. */
const mostHeld = { forward: 144, backward: 84 } as const;

/** Blocks of held rows that a shape is offered on a target; none where rows are no vectors or there are no subgroups. */
export function heldSizes({ dim, valueDim }: AttentionShape, form: "forward" | "backward", target: KernelTarget): readonly TileSize[] {
  if (!hasSubgroups(target) || dim % 4 > 0 || valueDim % 4 > 0) return [];
  const chunks = chunkCount(dim, tileLanes(target)) + chunkCount(valueDim, tileLanes(target));
  return blocks.filter(({ other }) => other * chunks <= mostHeld[form]);
}

/** The block that wastes least on `rows` held rows, of those offered: rows that do not exist are computed all the same. */
export function heldFor(rows: number, sizes: readonly TileSize[]): TileSize | undefined {
  const time = ({ other, perPair }: (typeof blocks)[number]): number => Math.ceil(rows / other) * other * perPair;
  return blocks.filter(({ other }) => sizes.some((size) => size.other === other)).sort((a, b) => time(a) - time(b))[0];
}

/** The block in candidate names. */
export function heldName({ own, other }: TileSize): string {
  return `held${own}x${other}`;
}

/**
 * Kernels for CPU drivers with subgroups that hold rows of the other side in registers, channels spread over the lanes: chunk u of row r is
 * `<name><r>_<u>`, a vec4f whose lane x is vector `lanes * u + x` of the row. A shuffle gives every lane one vector of it, which replaces
 * a load where rows multiply rows; and a row that is summed up over rows of the own side takes one load per row for all channels, and one
 * shuffle per weight. Sums stay in registers (what does not fit waits on the stack, where loads are cheap) instead of in memory.
 *
 * Drivers expand a load or store to hundreds of instructions, so rows are taken and given in a loop along the channels, with a row in
 * each lane, and turned by shuffles: unrolled loads and stores would be five sixths of the time to compile.
 */
export function heldOf(shape: AttentionShape, size: TileSize, target: KernelTarget): Held {
  const tile = tileOf(size, target);
  const { other: R, lanes: L, ownEach, otherEach, fromGroup } = tile;
  const sizes = { score: shape.dim, value: shape.valueDim };
  const chunkEach = (width: HeldWidth, line: (u: number) => string): string => Array.from({ length: chunkCount(sizes[width], L) }, (_, u) => line(u)).join(" ");
  const groupEach = (line: (g: number) => string): string => Array.from({ length: Math.ceil(R / L) }, (_, g) => line(g)).join(" ");
  const along = (width: HeldWidth, u: number): string => `for (var l = ${u * L}u; l < min(${(u + 1) * L}u, ${width}_width); l += 1u)`;
  return {
    ...tile,
    chunkEach,
    hold: (name, width) => otherEach((r) => chunkEach(width, (u) => `var ${name}${r}_${u} = vec4f();`)),
    take: (name, buffer, at, width, factor) =>
      chunkEach(width, (u) => `${along(width, u)} { let here = lane == l - ${u * L}u;
${groupEach((g) => `let b${g} = ${factor === undefined ? "" : `${factor} * `}${buffer}[${at}${g} + l];`)}
${otherEach((r) => `${name}${r}_${u} = select(${name}${r}_${u}, ${fromGroup("b", r)}, here);`)}
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
    places: `${widthsOf(shape).declare}
${(["score", "value"] as const).map((width) => chunkEach(width, (u) => `let x_${width}${u} = min(lane + ${u * L}u, ${width}_width - 1u);`)).join("\n")}`,
    laneMax: (name) => Array.from({ length: Math.log2(L) }, (_, i) => `${name} = max(${name}, subgroupShuffleXor(${name}, ${2 ** i}u));`).join(" "),
    inRow: (width, u) => `lane + ${u * L}u < ${width}_width`,
    suffix: `${heldName(size)}.${chunkCount(shape.dim, L)}.${chunkCount(shape.valueDim, L)}${variantName(shape)}`,
  };
}
