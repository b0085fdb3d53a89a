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
export type Columns = 1 | 2;

/**
 * The widest vector per lane that leaves no lane idle. Not wider than two: a driver gathers every element of every lane on its own, and at
 * equal numbers of sums two channels times many pixels need fewer elements than four channels times few.
 */
export function columnsFor(width: number, lanes: number): Columns {
  return width > lanes ? 2 : 1;
}

/**
 * Cost of `count` results at `size` of them a tile, in loaded elements per lane and step: with n lanes a tile loads 2 n + size elements in n
 * steps, and its sums cost less than half as much as its loads.
 */
export function tileCost(count: number, size: number): number {
  return Math.ceil(count / size) * (16 + 1.4 * size);
}

/** WGSL type of `columns` numbers. */
export function vectorType(columns: Columns): string {
  return columns === 1 ? "f32" : "vec2f";
}

/** Sizes the GPU families stage at once: 256 invocations, each with 4 x 4 sums. */
export const staged = { rows: 64, columns: 64, depth: 16, threads: 256, side: 4, /** Between rows in workgroup memory; odd, against bank conflicts. */ stride: 65 } as const;

/** WGSL lines, one for each of `count` numbers. */
export function each(count: number, line: (i: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(separator);
}
