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

/** Channels per lane, so that `width` channels fill the lanes: one vector load per lane. */
export type Columns = 1 | 2 | 4;

/** The widest vector per lane that leaves no lane idle. */
export function columnsFor(width: number, lanes: number): Columns {
  return width > 2 * lanes ? 4 : width > lanes ? 2 : 1;
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
