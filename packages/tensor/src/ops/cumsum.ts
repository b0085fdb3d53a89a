import { cumsum as cumsumKernel } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { aroundAxis, resolveAxis, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

/** Running sum along an axis; its gradient is the running sum from the other end. */
export const cumsumOp: OpDefinition<{ readonly axis: number; readonly reverse: boolean }> = defineKernelOp({
  name: "cumsum",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x]) => [typeOf(x?.shape ?? [])],
  kernels: ({ target, inputs: [x], attributes: { axis, reverse } }) => cumsumKernel({ ...aroundAxis(x?.shape ?? [], axis), reverse }, target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ cotangents: [dy], attributes: { axis, reverse } }) => [dy ? applyOp(cumsumOp, [dy], { axis, reverse: !reverse }) : undefined],
  },
  tolerance: ([x], { axis }) => ({ terms: x?.shape[axis] ?? 1, scale: 2 }),
  samples: (draw) => {
    const shape = [draw.size(6), draw.size(40), draw.size(9)].slice(draw.integer(0, 2));
    return { inputs: [typeOf(shape)], attributes: { axis: draw.integer(0, shape.length - 1), reverse: draw.boolean() } };
  },
});

/** Running sum of x along an axis: positions from displacements. */
export function cumsum(x: Tensor, axis: number): Tensor {
  return applyOp(cumsumOp, [x], { axis: resolveAxis("cumsum", axis, x.shape.length), reverse: false });
}
