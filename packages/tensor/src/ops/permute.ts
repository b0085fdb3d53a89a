import { inversePermutation, permute as permuteKernel } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

/** Reorders axes: y.shape[i] = x.shape[order[i]]. Its gradient is the permutation back. */
export const permuteOp: OpDefinition<{ readonly order: readonly number[] }> = defineKernelOp({
  name: "permute",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x], { order }) => [typeOf(order.map((axis) => x?.shape[axis] ?? 0), x?.dtype)],
  along: (axis, _, { order }) => ({ inputs: [order[axis] ?? null] }),
  kernels: ({ target, inputs: [x], attributes: { order } }) => permuteKernel({ shape: x?.shape ?? [], order }, target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ cotangents: [dy], attributes: { order } }) => [dy ? applyOp(permuteOp, [dy], { order: inversePermutation(order) }) : undefined],
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const shape = [draw.size(5), draw.size(6), draw.size(7), draw.size(9)].slice(draw.integer(0, 3));
    const order = shape.map((_, axis) => axis);
    for (let i = order.length - 1; i > 0; i--) {
      const j = draw.integer(0, i);
      [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
    }
    return { inputs: [typeOf(shape)], attributes: { order } };
  },
});

/** Reorders axes: result axis i is axis order[i] of x. @throws ShapeError when order is no permutation */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  return order.every((axis, i) => axis === i) && order.length === x.shape.length ? x : applyOp(permuteOp, [x], { order });
}

/** Swaps the last two axes. */
export function transpose(x: Tensor): Tensor {
  const rank = x.shape.length;
  return permute(x, [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2]);
}
