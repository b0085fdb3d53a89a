import { ShapeError } from "../errors.js";
import type { KernelSequence, KernelTarget } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { chunksOf } from "./reference.js";
import type { StageKind } from "./reference.js";
import { reduceStage } from "./stage.js";

/** What is kept of the reduced axis. max and min also give the index of the extreme; argMax and argMin only that. */
export type ReduceKind = "sum" | "mean" | "max" | "min" | "argMax" | "argMin";

/** A reduction over the middle axis of a view [outer, n, inner]. */
export interface ReduceShape {
  readonly kind: ReduceKind;
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
}

/**
 * Reduces the middle axis: x [outer, n, inner] -> y [outer, inner] (sum, mean, max, min) and index i32 [outer, inner] (max, min,
 * argMax, argMin; the first among equals). Long reductions to few results take two stages, in a fixed order.
 * The sum over nothing is 0.
 * @throws ShapeError on bad sizes, and when anything but a sum is asked of an empty axis
 */
export function reduce({ kind, outer, n, inner }: ReduceShape, target: KernelTarget): KernelSequence {
  requireSizes("reduce", { outer, n, inner });
  if (n === 0 && kind !== "sum" && outer * inner > 0) {
    throw new ShapeError(`reduce: ${kind} over an empty axis, expected n >= 1, got 0. Only the sum of nothing is defined.`);
  }
  const stageKind = kind === "argMax" ? "max" : kind === "argMin" ? "min" : kind === "mean" ? "sum" : kind;
  const outputs = { y: kind !== "argMax" && kind !== "argMin", index: kind !== "sum" && kind !== "mean" };
  return stages(`reduce.${kind}`, { kind: stageKind, outer, n, inner, scale: kind === "mean" && n > 0 ? 1 / n : 1 }, outputs, target);
}

/**
 * Sum of the squares of a flat array: x [length] -> y [1]; its root is the norm that gradients are clipped by.
 * @throws ShapeError on a bad size
 */
export function sumSquares({ length }: { readonly length: number }, target: KernelTarget): KernelSequence {
  requireSizes("sumSquares", { length });
  return stages("sumSquares", { kind: "squares", outer: 1, n: length, inner: 1, scale: 1 }, { y: true, index: false }, target);
}

/**
 * How many elements of a flat array are NaN or infinite, told by their bits: x [length] -> y u32 [1].
 * @throws ShapeError on a bad size
 */
export function nonFiniteCount({ length }: { readonly length: number }, target: KernelTarget): KernelSequence {
  requireSizes("nonFiniteCount", { length });
  return stages("nonFiniteCount", { kind: "nonFinite", outer: 1, n: length, inner: 1, scale: 1 }, { y: true, index: false }, target);
}

interface Reduction {
  readonly kind: StageKind;
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
  readonly scale: number;
}

function stages(name: string, reduction: Reduction, outputs: { readonly y: boolean; readonly index: boolean }, target: KernelTarget): KernelSequence {
  const { kind, outer, n, inner, scale } = reduction;
  const chunk = chunkFor(reduction, target);
  const chunks = chunksOf({ n, chunk });
  const written = [...(outputs.y ? ["y"] : []), ...(outputs.index ? ["index"] : [])];
  const same = (names: readonly string[]): Record<string, string> => Object.fromEntries(names.map((each) => [each, each]));
  if (chunks === 1) {
    const kernel = reduceStage({ ...reduction, chunk: n, carried: false }, outputs, target);
    return { name, kernels: [{ kernel, bind: same(["x", ...written]) }], temporaries: [] };
  }
  const extreme = kind === "max" || kind === "min";
  const counting = kind === "nonFinite";
  const partial = outer * chunks * inner;
  const first = reduceStage({ ...reduction, scale: 1, chunk, carried: false }, { y: true, index: extreme }, target);
  const second = reduceStage({ kind: extreme ? kind : counting ? "count" : "sum", outer, n: chunks, inner, chunk: chunks, scale, carried: extreme }, outputs, target);
  return {
    name,
    kernels: [
      { kernel: first, bind: { x: "x", y: "partial", ...(extreme ? { index: "places" } : {}) } },
      { kernel: second, bind: { x: "partial", ...(extreme ? { carried: "places" } : {}), ...same(written) } },
    ],
    temporaries: [
      { name: "partial", dtype: counting ? "u32" : "f32", length: partial },
      ...(extreme ? [{ name: "places", dtype: "i32", length: partial } as const] : []),
    ],
  };
}

/**
 * Elements of n that one result of the first stage covers: n itself unless there are too few results to keep the adapter busy
 * and each chunk is still long enough to be worth a second dispatch. A multiple of four otherwise.
 */
export function chunkFor({ outer, n, inner }: { readonly outer: number; readonly n: number; readonly inner: number }, target: KernelTarget): number {
  const software = target.class === "software";
  const shortest = inner === 1 ? 4096 : software ? 512 : 256;
  const wanted = software ? 256 : inner === 1 ? 512 : 8192;
  const results = Math.max(1, outer * inner);
  const chunks = Math.min(Math.floor(n / shortest), Math.ceil(wanted / results));
  return chunks < 4 ? n : 4 * Math.ceil(n / chunks / 4);
}
