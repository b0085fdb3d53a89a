import { layerNorm as layerNormKernel, layerNormBackward, layerNormBackwardParameters, ShapeError } from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { SampleInput } from "../op.js";
import { formatType, sizeOf, type TensorType, typeOf } from "../shape.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";

const rows = (type: TensorType | undefined): { rows: number; width: number } => {
  const shape = type?.shape ?? [];
  return { rows: sizeOf(shape.slice(0, -1)), width: shape.at(-1) ?? 1 };
};

/** Samples need rows with spread: on constant rows the gradient is dominated by rounding. */
const rowInput = (shape: readonly number[]): SampleInput => ({ ...typeOf(shape), distinct: 0.02 });

/** Gradient of {@link layerNormOp} to x [R, D], from the saved mean and rstd [R]. */
export const layerNormBackwardOp = defineKernelOp<None>({
  name: "layerNormBackward",
  inputs: ["x", "weight", "mean", "rstd", "dy"],
  outputs: ["dx"],
  shape: ([x]) => [typeOf(x?.shape ?? [])],
  kernels: ({ target, inputs: [x] }) => layerNormBackward(rows(x), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([x]) => ({ terms: rows(x).width, scale: 8 }),
  samples: (draw) => {
    const [r, d] = [draw.size(20), draw.size(70)];
    return { inputs: [rowInput([r, d]), typeOf([d]), typeOf([r]), { ...typeOf([r]), range: [0.5, 1.5] }, typeOf([r, d])], attributes: {} };
  },
});

/** Gradients of {@link layerNormOp} to weight and bias [D], summed over the rows. */
export const layerNormParametersOp = defineKernelOp<None>({
  name: "layerNormBackwardParameters",
  inputs: ["x", "mean", "rstd", "dy"],
  outputs: ["dweight", "dbias"],
  shape: ([x]) => [typeOf([rows(x).width]), typeOf([rows(x).width])],
  kernels: ({ target, inputs: [x] }) => layerNormBackwardParameters(rows(x), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([x]) => ({ terms: rows(x).rows, scale: 8 }),
  samples: (draw) => {
    const [r, d] = [draw.size(80), draw.size(40)];
    return { inputs: [typeOf([r, d]), typeOf([r]), { ...typeOf([r]), range: [0.5, 1.5] }, typeOf([r, d])], attributes: {} };
  },
});

/** Layer normalisation over the last axis: y = (x - mean) * rstd * weight + bias; mean and rstd are saved for the gradient. */
export const layerNormOp = defineKernelOp<{ readonly eps: number }>({
  name: "layerNorm",
  inputs: ["x", "weight", "bias"],
  outputs: ["y", "mean", "rstd"],
  shape: ([x, weight, bias]) => {
    const { width } = rows(x);
    for (const [name, type] of [["weight", weight], ["bias", bias]] as const) {
      if (type?.shape.length !== 1 || type.shape[0] !== width) {
        throw new ShapeError(`layerNorm: ${name} does not fit, expected f32[${width}], got ${type ? formatType(type) : "nothing"}. It must match the last axis of x.`);
      }
    }
    const leading = x?.shape.slice(0, -1) ?? [];
    return [typeOf(x?.shape ?? []), typeOf(leading), typeOf(leading)];
  },
  kernels: ({ target, inputs: [x], attributes: { eps } }) => layerNormKernel({ ...rows(x), eps }, target),
  vjp: {
    saves: ["x", "weight", "mean", "rstd"],
    differentiable: ["y"],
    recompute: "cheap",
    rule: ({ inputs: [x, weight], outputs: [, mean, rstd], cotangents: [dy], needs }) => {
      if (!x || !weight || !mean || !rstd || !dy) return [];
      const dx = needs[0] ? applyOp(layerNormBackwardOp, [x, weight, mean, rstd, dy], {}) : undefined;
      const [dweight, dbias] = needs[1] || needs[2] ? x.graph.apply(layerNormParametersOp, [x, mean, rstd, dy], {}) : [];
      return [dx, dweight, dbias];
    },
  },
  tolerance: ([x]) => ({ terms: rows(x).width, scale: 8 }),
  samples: (draw) => {
    const d = draw.size(70);
    return { inputs: [rowInput([draw.size(4), draw.size(12), d].slice(draw.integer(0, 2))), typeOf([d]), typeOf([d])], attributes: { eps: 1e-5 } };
  },
});

/**
 * Layer normalisation over the last axis (Ba et al. 2016).
 * @param x [..., D]
 * @param weight [D]
 * @param bias [D]
 * @throws ShapeError when weight or bias is not [D]
 */
export function layerNorm(x: Tensor, weight: Operand, bias: Operand, { eps = 1e-5 }: { readonly eps?: number } = {}): Tensor {
  const [y] = graphOf("layerNorm", [x]).apply(layerNormOp, [x, weight, bias], { eps });
  return y ?? x;
}
