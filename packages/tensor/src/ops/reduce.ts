import { reduce, type ReduceKind, ShapeError, sumSquares as sumSquaresKernel } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample } from "../op.js";
import { aroundAxis, formatType, resolveAxis, type Shape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { broadcastTo, cast, equal, mul } from "./elementwise.js";
import { type KernelOp, defineKernelOp } from "./kernel-op.js";
import { expandDims, reshape } from "./reshape.js";

/** Reduces one axis; it stays with size 1. */
interface Along {
  readonly axis: number;
}

const shapeWithout = (x: TensorType | undefined, axis: number): Shape => (x?.shape ?? []).map((n, i) => (i === axis ? 1 : n));

function axisSample(draw: Draw, distinct: boolean): Sample<Along> {
  const shape = [draw.size(6), draw.size(40), draw.size(9)].slice(draw.integer(0, 2));
  return { inputs: [{ ...typeOf(shape), ...(distinct ? { distinct: 0.05 } : {}) }], attributes: { axis: draw.integer(0, shape.length - 1) } };
}

function reduction(name: string, kind: ReduceKind, rest: Pick<KernelOp<Along>, "outputs" | "vjp" | "tolerance" | "strict">): OpDefinition<Along> {
  const named = (index: number): string => rest.outputs[index] ?? "";
  return defineKernelOp<Along>({
    name,
    inputs: ["x"],
    ...rest,
    shape: ([x], { axis }) => {
      if (x && kind !== "sum" && x.shape[axis] === 0) throw new ShapeError(`${name}: axis ${axis} is empty, expected at least one element, got ${formatType(x)}. Leave the axis out, or use sum.`);
      return rest.outputs.map((output) => typeOf(shapeWithout(x, axis), output === "index" ? "i32" : "f32"));
    },
    kernels: ({ target, inputs: [x], attributes: { axis } }) => reduce({ kind, ...aroundAxis(x?.shape ?? [], axis) }, target),
    samples: (draw) => axisSample(draw, named(0) !== "y" || rest.outputs.length > 1),
  });
}

/** Sum along one axis, which keeps extent 1. */
export const sumOp = reduction("sum", "sum", {
  outputs: ["y"],
  tolerance: ([x], { axis }) => ({ terms: x?.shape[axis] ?? 1 }),
  vjp: { saves: [], recompute: "costly", rule: ({ inputs: [x], cotangents: [dy] }) => [x && dy ? broadcastTo(dy, x.shape) : undefined] },
});
/** Mean along one axis, which keeps extent 1; 0 of an empty axis. */
export const meanOp = reduction("mean", "mean", {
  outputs: ["y"],
  tolerance: ([x], { axis }) => ({ terms: x?.shape[axis] ?? 1 }),
  vjp: {
    saves: [],
    recompute: "costly",
    rule: ({ inputs: [x], cotangents: [dy], attributes: { axis } }) => [x && dy ? broadcastTo(mul(dy, 1 / Math.max(1, x.shape[axis] ?? 1)), x.shape) : undefined],
  },
});
/** The positions along an axis, shaped to broadcast against `x`. */
function positions(x: Tensor, axis: number): Tensor {
  const n = x.shape[axis] ?? 1;
  return x.graph.constant(Float32Array.from({ length: n }, (_, i) => i), x.shape.map((_, i) => (i === axis ? n : 1)));
}
const extremeVjp: KernelOp<Along>["vjp"] = {
  saves: ["index"],
  recompute: "costly",
  rule: ({ inputs: [x], outputs: [, index], cotangents: [dy], attributes: { axis } }) => [
    x && index && dy ? mul(equal(index, positions(x, axis)), dy) : undefined,
  ],
};
/** Largest value along one axis and its first index (i32); the gradient goes to that element. */
export const maxOp = reduction("max", "max", { outputs: ["y", "index"], tolerance: () => "exact", vjp: extremeVjp });
/** Smallest value along one axis and its first index (i32); the gradient goes to that element. */
export const minOp = reduction("min", "min", { outputs: ["y", "index"], tolerance: () => "exact", vjp: extremeVjp });
/** First index (i32) of the largest value along one axis. */
export const argMaxOp = reduction("argMax", "argMax", { outputs: ["index"], tolerance: () => "exact", vjp: { none: "an index" }, strict: ["x"] });
/** First index (i32) of the smallest value along one axis. */
export const argMinOp = reduction("argMin", "argMin", { outputs: ["index"], tolerance: () => "exact", vjp: { none: "an index" }, strict: ["x"] });

/** The sum of the squares of all elements; its root is the L2 norm. */
export const sumSquaresOp = defineKernelOp<Record<never, never>>({
  name: "sumSquares",
  inputs: ["x"],
  outputs: ["y"],
  shape: () => [typeOf([1])],
  kernels: ({ target, inputs: [x] }) => sumSquaresKernel({ length: sizeOf(x?.shape ?? []) }, target),
  vjp: {
    saves: ["x"],
    recompute: "cheap",
    rule: ({ inputs: [x], cotangents: [dy] }) => [x && dy ? mul(x, mul(reshape(dy, []), 2)) : undefined],
  },
  tolerance: ([x]) => ({ terms: sizeOf(x?.shape ?? []) }),
  samples: (draw) => ({ inputs: [typeOf([draw.size(60), draw.size(60)])], attributes: {} }),
});

/** Which axes to reduce and whether they stay with size 1. */
export interface ReduceOptions {
  /** Default: all. */
  readonly axes?: readonly number[];
  readonly keepDims?: boolean;
}

function reduceAxes(where: string, op: OpDefinition<Along>, x: Tensor, { axes, keepDims = false }: ReduceOptions): Tensor {
  const rank = x.shape.length;
  const wanted = [...new Set((axes ?? x.shape.map((_, i) => i)).map((axis) => resolveAxis(where, axis, rank)))].sort((a, b) => a - b);
  const kept = x.shape.map((n, axis) => (wanted.includes(axis) ? 1 : n));
  let result = x.dtype === "f32" ? x : cast(x);
  // Neighbouring axes are one axis under another shape; what is left takes one reduction each, the largest first.
  const runs: { start: number; end: number }[] = [];
  for (const axis of wanted) {
    const last = runs.at(-1);
    if (last?.end === axis) last.end++;
    else runs.push({ start: axis, end: axis + 1 });
  }
  for (const { start, end } of runs.reverse()) {
    const merged = [...result.shape.slice(0, start), sizeOf(result.shape.slice(start, end)), ...result.shape.slice(end)];
    const reduced = merged[start] === 1 ? reshape(result, merged) : applyOp(op, [reshape(result, merged)], { axis: start });
    result = reshape(reduced, [...result.shape.slice(0, start), ...Array.from({ length: end - start }, () => 1), ...result.shape.slice(end)]);
  }
  return reshape(result, keepDims ? kept : x.shape.filter((_, axis) => !wanted.includes(axis)));
}

/** Sum over axes (default all). The sum over nothing is 0. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduceAxes("sum", sumOp, x, options);
}

/** Mean over axes (default all). @throws ShapeError over an empty axis */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduceAxes("mean", meanOp, x, options);
}

/** Which axis to reduce. */
export interface AxisOptions {
  readonly axis: number;
  readonly keepDims?: boolean;
}

function alongAxis(where: string, op: OpDefinition<Along>, x: Tensor, { axis, keepDims = false }: AxisOptions): Tensor {
  const at = resolveAxis(where, axis, x.shape.length);
  const reduced = applyOp(op, [x.dtype === "f32" ? x : cast(x)], { axis: at });
  return keepDims ? reduced : reshape(reduced, [...x.shape.slice(0, at), ...x.shape.slice(at + 1)]);
}

/** Largest element along an axis; the gradient goes to the first of equals. @throws ShapeError on an empty axis */
export function max(x: Tensor, options: AxisOptions): Tensor {
  return alongAxis("max", maxOp, x, options);
}

/** Smallest element along an axis; the gradient goes to the first of equals. @throws ShapeError on an empty axis */
export function min(x: Tensor, options: AxisOptions): Tensor {
  return alongAxis("min", minOp, x, options);
}

/** i32 index of the largest element along an axis, the first of equals. */
export function argMax(x: Tensor, axis: number, keepDims = false): Tensor {
  return alongAxis("argMax", argMaxOp, x, { axis, keepDims });
}

/** i32 index of the smallest element along an axis, the first of equals. */
export function argMin(x: Tensor, axis: number, keepDims = false): Tensor {
  return alongAxis("argMin", argMinOp, x, { axis, keepDims });
}

/** The sum of the squares of all elements, a scalar. */
export function sumSquares(x: Tensor): Tensor {
  return reshape(applyOp(sumSquaresOp, [x], {}), []);
}

/** 1 at the index, 0 elsewhere: indices [...] -> [..., depth]. An index outside [0, depth) gives zeros. */
export function oneHot(indices: Tensor, depth: number): Tensor {
  const rank = indices.shape.length;
  const range = indices.graph.constant(Float32Array.from({ length: depth }, (_, i) => i), [depth]);
  return equal(expandDims(indices, rank), range);
}
