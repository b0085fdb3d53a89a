import { adamw as adamwKernel, adamwHyper } from "@distilldrive/kernels";
import type { Graph, Operand, Tensor } from "../graph.js";
import type { OpDefinition, SampleInput } from "../op.js";
import { sizeOf, typeOf } from "../shape.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";

/**
 * One AdamW step (Loshchilov and Hutter 2019; PyTorch's order). Overwrites its inputs where nothing else needs them, so
 * assigning the results back to the variables costs no copy.
 */
export const adamwOp: OpDefinition<None> = defineKernelOp({
  name: "adamw",
  inputs: ["parameter", "gradient", "m", "v", "hyper"],
  outputs: ["nextParameter", "nextM", "nextV"],
  shape: ([parameter, , m, v]) => [parameter, m, v].map((type) => typeOf(type?.shape ?? [])),
  kernels: ({ target, inputs: [parameter] }) => adamwKernel({ length: sizeOf(parameter?.shape ?? []) }, target),
  inPlace: { nextParameter: "parameter", nextM: "m", nextV: "v" },
  vjp: { none: "an optimiser step" },
  tolerance: () => ({ terms: 64, scale: 4 }),
  samples: (draw) => {
    const shape = [draw.size(40), draw.size(20)];
    const range = (low: number, high: number, of: readonly number[] = shape): SampleInput => ({ ...typeOf(of), range: [low, high] });
    return { inputs: [range(-1, 1), range(-2, 2), range(-1, 1), range(0.1, 1), range(0.01, 0.9, [adamwHyper.length])], attributes: {} };
  },
});

/**
 * One AdamW step.
 * @param hyper f32[8]: learningRate, beta1, beta2, eps, weightDecay, biasCorrection1, biasCorrection2, gradientScale;
 *   a negative gradientScale leaves everything as it is
 * @returns values to assign to the three variables
 */
export function adamw(
  graph: Graph,
  parameter: Operand,
  gradient: Tensor,
  m: Operand,
  v: Operand,
  hyper: Tensor,
): { readonly parameter: Tensor; readonly m: Tensor; readonly v: Tensor } {
  const [nextParameter, nextM, nextV] = graph.apply(adamwOp, [parameter, gradient, m, v, hyper], {});
  return { parameter: nextParameter ?? gradient, m: nextM ?? gradient, v: nextV ?? gradient };
}
