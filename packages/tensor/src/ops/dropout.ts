import { dropout as dropoutKernel } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { sizeOf, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

/** Zeroes elements at random and scales the others by 1 / (1 - rate); the gradient recomputes the same mask. */
export const dropoutOp: OpDefinition<{ readonly rate: number; readonly opId: number }> = defineKernelOp({
  name: "dropout",
  inputs: ["x", "key"],
  outputs: ["y"],
  shape: ([x]) => [typeOf(x?.shape ?? [])],
  kernels: ({ target, inputs: [x], attributes }) => dropoutKernel({ length: sizeOf(x?.shape ?? []), ...attributes }, target),
  vjp: {
    saves: ["key"],
    recompute: "cheap",
    rule: ({ inputs: [, key], cotangents: [dy], attributes }) => [dy && key ? applyOp(dropoutOp, [dy, key], attributes) : undefined],
  },
  tolerance: () => "f32",
  samples: (draw) => ({
    inputs: [typeOf([draw.size(20), draw.size(40)]), { ...typeOf([4], "u32"), range: [0, 100000] }],
    attributes: { rate: draw.pick([0, 0.1, 0.5, 0.9]), opId: draw.integer(0, 9) },
  }),
});

/**
 * Dropout (Srivastava et al. 2014), inverted form. Every call has its own random stream under `key`.
 * @param key the run's random key u32[4]
 * @returns x itself when rate is 0
 */
export function dropout(x: Tensor, rate: number, key: Tensor): Tensor {
  return rate === 0 ? x : applyOp(dropoutOp, [x, key], { rate, opId: x.graph.nextRandomOp() });
}
