import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { sequenceOf } from "../kernel.js";
import { sumSlices } from "../matmul/sum-slices.js";

/** Workgroups below which a sum over positions is cut into slices that run side by side. */
const enoughWorkgroups = { software: 16, gpu: 512 } as const;
/** Elements of both image tensors that stay in a processor's cache while all workgroups of a slice walk over them. */
const cachedElements = 2 ** 17;
/** Shortest slice worth a workgroup. */
const shortest = 64;

/**
 * Parts a sum over `positions` is cut into, and positions in each, a multiple of 16: enough parts to keep the device busy and, on CPU
 * drivers, each part's pixels in cache, but fewer numbers written than read.
 * @param workgroups workgroups of one part
 * @param elements elements read at each position
 * @param results numbers written by each part
 */
export function slicesOf(positions: number, workgroups: number, elements: number, results: number, target: KernelTarget): { slices: number; length: number } {
  const busy = Math.ceil(enoughWorkgroups[target.class] / Math.max(1, workgroups));
  const cached = target.class === "software" ? Math.ceil((positions * elements) / cachedElements) : 1;
  const most = Math.max(1, Math.min(Math.floor(positions / shortest), Math.floor((positions * elements) / Math.max(1, results))));
  const length = Math.max(16, Math.ceil(positions / Math.min(most, Math.max(busy, cached)) / 16) * 16);
  return { slices: Math.max(1, Math.ceil(positions / length)), length };
}

/** The parts of a gradient added in order, or the one part as it is; `output` names the result of `partial` and of the sequence. */
export function summed(name: string, partial: Kernel, output: string, slices: number, length: number): KernelSequence {
  if (slices === 1) return sequenceOf(partial);
  const sum = sumSlices({ slices, length, columns: length, bias: false, activation: "none", residual: false });
  const bind = Object.fromEntries(partial.bindings.map((binding) => [binding.name, binding.name === output ? "parts" : binding.name]));
  return {
    name,
    kernels: [{ kernel: partial, bind }, { kernel: sum, bind: { parts: "parts", out: output } }],
    temporaries: [{ name: "parts", dtype: "f32", length: slices * length }],
  };
}
