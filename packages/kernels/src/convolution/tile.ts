import type { KernelTarget } from "../kernel.js";

/** How the lanes of a workgroup share a convolution. */
export interface ConvolutionTile {
  /** Invocations in a workgroup, spread over channels. */
  readonly lanes: number;
  /** Whether neighbouring lanes spread loaded values with subgroup operations. */
  readonly subgroup: boolean;
  /** Channels per lane. */
  readonly columns: 1 | 2;
}

/** Lanes along `channels` for a target: one subgroup on CPU drivers, 32 invocations on GPUs. */
export function convolutionTile(channels: number, target: KernelTarget): ConvolutionTile {
  const subgroup = target.class === "software" && [4, 8, 16].includes(target.subgroupSize);
  const lanes = subgroup ? target.subgroupSize : target.class === "software" ? 8 : 32;
  return { lanes, subgroup, columns: channels > lanes ? 2 : 1 };
}

/** WGSL lines, one for each of `count` numbers. */
export function each(count: number, line: (i: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(separator);
}
