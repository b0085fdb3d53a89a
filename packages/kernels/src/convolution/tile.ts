import type { KernelTarget } from "../kernel.js";

/** How many lanes share a register tile, and whether they can. */
export interface Lanes {
  /** Invocations in a workgroup. */
  readonly lanes: number;
  /** Whether lanes spread loaded values with subgroup operations. */
  readonly subgroup: boolean;
}

/** Lanes of a register tile on a target: one subgroup where its size is one that was tried, else eight invocations on their own. */
export function registerLanes(target: KernelTarget): Lanes {
  const subgroup = [4, 8, 16].includes(target.subgroupSize);
  return { lanes: subgroup ? target.subgroupSize : 8, subgroup };
}

/** Channels per lane. */
export type Columns = 1 | 2 | 4;

/** The widest vector per lane that leaves no lane idle when `width` channels are spread over `lanes`. */
export function columnsFor(width: number, lanes: number): Columns {
  if (width > 2 * lanes) return 4;
  return width > lanes ? 2 : 1;
}

/** Channels that all lanes share, per tile, with the cost of a block of four steps on a CPU driver: loads, multiplications, sums moved between registers and stack. */
const rowTiles = [[16, 690], [8, 460], [32, 1400]] as const;

/** Sizes of a register tile along the axis that all lanes share, the cheapest for `count` channels first: the last tile may be partly idle. */
export function rowsFor(count: number): number[] {
  const cost = ([rows, block]: (typeof rowTiles)[number]): number => Math.ceil(count / rows) * block;
  return [...rowTiles].sort((a, b) => cost(a) - cost(b)).map(([rows]) => rows);
}

/** Whether all distances are whole vectors of four. */
export function wholeVectors(...distances: readonly number[]): boolean {
  return distances.every((distance) => distance % 4 === 0);
}

/** WGSL type of `columns` numbers. */
export function vectorType(columns: Columns): string {
  return columns === 1 ? "f32" : `vec${columns}f`;
}

/** Sizes the GPU families stage at once: 256 invocations, each with 4 x 4 sums. */
export const staged = { rows: 64, columns: 64, depth: 16, threads: 256, side: 4, /** Between rows in workgroup memory; odd, against bank conflicts. */ stride: 65 } as const;

/** WGSL lines, one for each of `count` numbers. */
export function each(count: number, line: (i: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(separator);
}

/** Name of component `i` of a WGSL vector. */
export function component(i: number): string {
  return "xyzw".charAt(i);
}
