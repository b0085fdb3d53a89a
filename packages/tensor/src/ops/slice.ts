import { pad as padKernel, ShapeError, slice as sliceKernel } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { formatType, resolveAxis, type Shape, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

/** A block of a tensor: y[c] = x[start + c]. Its gradient pads with zeros. */
export const sliceOp: OpDefinition<{ readonly start: Shape; readonly size: Shape }> = defineKernelOp({
  name: "slice",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x], { size }) => [typeOf(size, x?.dtype)],
  along: (axis, [x], { start, size }) =>
    size[axis] === x?.shape[axis] ? { inputs: [axis], attributes: (positions) => ({ start, size: size.map((n, i) => (i === axis ? positions : n)) }) } : undefined,
  kernels: ({ target, inputs: [x], attributes: { start, size } }) => sliceKernel({ shape: x?.shape ?? [], start, size }, target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ inputs: [x], cotangents: [dy], attributes: { start, size } }) => [
      x && dy ? applyOp(padOp, [dy], { before: start, after: x.shape.map((n, i) => n - (start[i] ?? 0) - (size[i] ?? 0)), value: 0 }) : undefined,
    ],
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const shape = [draw.size(7), draw.size(9), draw.size(20)].slice(draw.integer(0, 2));
    const start = shape.map((n) => draw.integer(0, Math.max(0, n - 1)));
    return { inputs: [typeOf(shape)], attributes: { start, size: shape.map((n, i) => draw.integer(0, n - (start[i] ?? 0))) } };
  },
});

/** A constant border around a tensor. Its gradient is the inner block. */
export const padOp: OpDefinition<{ readonly before: Shape; readonly after: Shape; readonly value: number }> = defineKernelOp({
  name: "pad",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x], { before, after }) => [typeOf((x?.shape ?? []).map((n, i) => n + (before[i] ?? 0) + (after[i] ?? 0)), x?.dtype)],
  kernels: ({ target, inputs: [x], attributes }) => padKernel({ shape: x?.shape ?? [], ...attributes }, target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ inputs: [x], cotangents: [dy], attributes: { before } }) => [x && dy ? applyOp(sliceOp, [dy], { start: before, size: x.shape }) : undefined],
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const shape = [draw.size(7), draw.size(9), draw.size(20)].slice(draw.integer(0, 2));
    const border = (): number[] => shape.map(() => draw.integer(0, 4));
    return { inputs: [typeOf(shape)], attributes: { before: border(), after: border(), value: draw.integer(-2, 2) } };
  },
});

/**
 * Elements [start, end) of an axis; negative numbers count from the end.
 * @throws ShapeError when the range leaves the axis
 */
export function slice(x: Tensor, axis: number, start: number, end?: number): Tensor {
  const at = resolveAxis("slice", axis, x.shape.length);
  const n = x.shape[at] ?? 0;
  const from = start < 0 ? start + n : start;
  const to = end === undefined ? n : end < 0 ? end + n : end;
  if (from < 0 || to > n || from > to) {
    throw new ShapeError(`slice: the range leaves axis ${axis} of ${formatType(x.type)}, expected 0 <= start <= end <= ${n}, got [${start}, ${end ?? n}).`);
  }
  if (from === 0 && to === n) return x;
  return applyOp(sliceOp, [x], { start: x.shape.map((_, i) => (i === at ? from : 0)), size: x.shape.map((m, i) => (i === at ? to - from : m)) });
}

/** Cuts an axis into parts of the given sizes. @throws ShapeError when they do not add up to the axis */
export function split(x: Tensor, axis: number, sizes: readonly number[]): readonly Tensor[] {
  const at = resolveAxis("split", axis, x.shape.length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total !== x.shape[at]) throw new ShapeError(`split: sizes do not add up, expected ${x.shape[at] ?? 0}, got ${sizes.join(" + ")} = ${total}.`);
  let start = 0;
  return sizes.map((size) => slice(x, at, start, (start += size)));
}

/** Adds `before` and `after` elements of `value` around an axis. */
export function pad(x: Tensor, axis: number, before: number, after: number, value = 0): Tensor {
  const at = resolveAxis("pad", axis, x.shape.length);
  if (before === 0 && after === 0) return x;
  return applyOp(padOp, [x], { before: x.shape.map((_, i) => (i === at ? before : 0)), after: x.shape.map((_, i) => (i === at ? after : 0)), value });
}
