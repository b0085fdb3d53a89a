import { layerNorm as layerNormKernel, layerNormBackward, layerNormBackwardParameters, layerNormGradients, ShapeError } from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample, SampleInput } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";

const rows = (type: TensorType | undefined): { rows: number; width: number } => {
  const shape = type?.shape ?? [];
  return { rows: sizeOf(shape.slice(0, -1)), width: shape.at(-1) ?? 1 };
};

/** Samples need rows with spread: on constant rows the gradient is dominated by rounding. */
const rowInput = (shape: readonly number[]): SampleInput => ({ ...typeOf(shape), distinct: 0.02 });

const parameterShapes = (x: TensorType | undefined): TensorType[] => [typeOf([rows(x).width]), typeOf([rows(x).width])];
const backwardInputs = (draw: Draw, residual: boolean): SampleInput[] => {
  const [r, d] = [draw.size(40), draw.size(70)];
  const inputs = [rowInput([r, d]), typeOf([d]), typeOf([r]), { ...typeOf([r]), range: [0.5, 1.5] as const }, typeOf([r, d])];
  return residual ? [...inputs, typeOf([r, d])] : inputs;
};

function gradientOps(residual: boolean): { dx: OpDefinition<None>; all: OpDefinition<None> } {
  const name = residual ? "addLayerNorm" : "layerNorm";
  const shared = {
    inputs: ["x", "weight", "mean", "rstd", "dy", ...(residual ? ["dsum"] : [])],
    vjp: { none: "second derivatives are not needed" },
    samples: (draw: Draw): Sample<None> => ({ inputs: backwardInputs(draw, residual), attributes: {} }),
  } as const;
  const dx = defineKernelOp<None>({
    ...shared,
    name: `${name}Backward`,
    outputs: ["dx"],
    shape: ([x]) => [typeOf(x?.shape ?? [])],
    kernels: ({ target, inputs: [x] }) => layerNormBackward({ ...rows(x), residual }, target),
    tolerance: ([x]) => ({ terms: rows(x).width, scale: 8 }),
  });
  const all = defineKernelOp<None>({
    ...shared,
    name: `${name}Gradients`,
    outputs: ["dx", "dweight", "dbias"],
    shape: ([x]) => [typeOf(x?.shape ?? []), ...parameterShapes(x)],
    kernels: ({ target, inputs: [x] }) => layerNormGradients({ ...rows(x), residual }, target),
    tolerance: ([x]) => ({ terms: Math.max(rows(x).width, rows(x).rows), scale: 8 }),
  });
  return { dx, all };
}

/** Gradient of {@link layerNormOp} to x [R, D] from the saved mean and rstd [R]; and the same with those to weight and bias [D]. */
export const { dx: layerNormBackwardOp, all: layerNormGradientsOp } = gradientOps(false);
/** Gradient of {@link addLayerNormOp} to both summands, dsum being that of the sum; and the same with those to weight and bias. */
export const { dx: addLayerNormBackwardOp, all: addLayerNormGradientsOp } = gradientOps(true);

/** Gradients of {@link layerNormOp} to weight and bias [D] only, summed over the rows. */
export const layerNormParametersOp = defineKernelOp<None>({
  name: "layerNormBackwardParameters",
  inputs: ["x", "mean", "rstd", "dy"],
  outputs: ["dweight", "dbias"],
  shape: ([x]) => parameterShapes(x),
  kernels: ({ target, inputs: [x] }) => layerNormBackwardParameters(rows(x), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([x]) => ({ terms: rows(x).rows, scale: 8 }),
  samples: (draw) => {
    const [r, d] = [draw.size(80), draw.size(40)];
    return { inputs: [typeOf([r, d]), typeOf([r]), { ...typeOf([r]), range: [0.5, 1.5] }, typeOf([r, d])], attributes: {} };
  },
});

/** Output types of a layer norm before its own: x, mean, rstd. @throws ShapeError when weight or bias is not [D] */
function normalised(where: string, x: TensorType | undefined, parameters: Readonly<Record<string, TensorType | undefined>>): TensorType[] {
  const { width } = rows(x);
  for (const [name, type] of Object.entries(parameters)) {
    if (type?.shape.length !== 1 || type.shape[0] !== width) {
      throw new ShapeError(`${where}: ${name} does not fit, expected f32[${width}], got ${type ? formatType(type) : "nothing"}. It must match the last axis of x.`);
    }
  }
  const leading = x?.shape.slice(0, -1) ?? [];
  return [typeOf(x?.shape ?? []), typeOf(leading), typeOf(leading)];
}

/** The gradients that are wanted, in as few kernels as possible: [dx, dweight, dbias]. */
function gradientsOf(saved: readonly [x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, dy: Tensor], dsum: Tensor | undefined, wanted: { readonly x: boolean; readonly parameters: boolean }): readonly (Tensor | undefined)[] {
  const [x, , mean, rstd, dy] = saved;
  const inputs = dsum ? [...saved, dsum] : saved;
  if (wanted.x && wanted.parameters) return x.graph.apply(dsum ? addLayerNormGradientsOp : layerNormGradientsOp, inputs, {});
  if (wanted.x) return [applyOp(dsum ? addLayerNormBackwardOp : layerNormBackwardOp, inputs, {})];
  return [undefined, ...x.graph.apply(layerNormParametersOp, [x, mean, rstd, dy], {})];
}

/** Layer normalisation over the last axis: y = (x - mean) * rstd * weight + bias; mean and rstd are saved for the gradient. */
export const layerNormOp = defineKernelOp<{ readonly eps: number }>({
  name: "layerNorm",
  inputs: ["x", "weight", "bias"],
  outputs: ["y", "mean", "rstd"],
  shape: ([x, weight, bias]) => normalised("layerNorm", x, { weight, bias }),
  along: (axis, [x]) => (axis < (x?.shape.length ?? 0) - 1 ? { inputs: [axis, null, null] } : undefined),
  kernels: ({ target, inputs: [x], attributes: { eps } }) => layerNormKernel({ ...rows(x), eps }, target),
  vjp: {
    saves: ["x", "weight", "mean", "rstd"],
    differentiable: ["y"],
    recompute: "cheap",
    rule: ({ inputs: [x, weight], outputs: [, mean, rstd], cotangents: [dy], needs: [wantsX = false, wantsWeight, wantsBias] }) =>
      x && weight && mean && rstd && dy ? gradientsOf([x, weight, mean, rstd, dy], undefined, { x: wantsX, parameters: wantsWeight === true || wantsBias === true }) : [],
  },
  tolerance: ([x]) => ({ terms: rows(x).width, scale: 8 }),
  samples: (draw) => {
    const d = draw.size(70);
    return { inputs: [rowInput([draw.size(4), draw.size(12), d].slice(draw.integer(0, 2))), typeOf([d]), typeOf([d])], attributes: { eps: 1e-5 } };
  },
});

/** sum = x + residual and y = its layer norm, in one kernel. */
export const addLayerNormOp = defineKernelOp<{ readonly eps: number }>({
  name: "addLayerNorm",
  inputs: ["x", "residual", "weight", "bias"],
  outputs: ["y", "sum", "mean", "rstd"],
  shape: ([x, residual, weight, bias]) => {
    if (!x || !residual || !sameShape(x.shape, residual.shape)) {
      throw new ShapeError(`addLayerNorm: the summands do not fit, expected the same shape twice, got ${[x, residual].map((type) => (type ? formatType(type) : "nothing")).join(" and ")}. Broadcast one first.`);
    }
    const [y = x, ...statistics] = normalised("addLayerNorm", x, { weight, bias });
    return [y, y, ...statistics];
  },
  along: (axis, [x]) => (axis < (x?.shape.length ?? 0) - 1 ? { inputs: [axis, axis, null, null] } : undefined),
  kernels: ({ target, inputs: [x], attributes: { eps } }) => layerNormKernel({ ...rows(x), eps, residual: true }, target),
  vjp: {
    saves: ["weight", "sum", "mean", "rstd"],
    differentiable: ["y", "sum"],
    recompute: "cheap",
    rule: ({ inputs: [, , weight], outputs: [, total, mean, rstd], cotangents: [dy, dsum], needs: [wantsX, wantsResidual, wantsWeight, wantsBias] }) => {
      if (!weight || !mean || !rstd || !total) return [];
      if (!dy) return [dsum, dsum];
      const wanted = { x: wantsX === true || wantsResidual === true, parameters: wantsWeight === true || wantsBias === true };
      const [dx, dweight, dbias] = gradientsOf([total, weight, mean, rstd, dy], dsum, wanted);
      return [dx, dx, dweight, dbias];
    },
  },
  tolerance: ([x]) => ({ terms: rows(x).width, scale: 8 }),
  samples: (draw) => {
    const d = draw.size(70);
    const shape = [draw.size(4), draw.size(12), d].slice(draw.integer(0, 2));
    return { inputs: [rowInput(shape), { ...typeOf(shape), range: [-0.005, 0.005] }, typeOf([d]), typeOf([d])], attributes: { eps: 1e-5 } };
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

/**
 * Residual connection and layer norm in one kernel: sum = x + residual, y = layerNorm(sum).
 * @param x [..., D]
 * @param residual the same shape
 * @param weight [D]
 * @param bias [D]
 * @returns both, each with gradient
 * @throws ShapeError when the summands differ in shape, or weight or bias is not [D]
 */
export function addLayerNorm(x: Tensor, residual: Tensor, weight: Operand, bias: Operand, { eps = 1e-5 }: { readonly eps?: number } = {}): { readonly y: Tensor; readonly sum: Tensor } {
  const [y = x, total = x] = graphOf("addLayerNorm", [x, residual]).apply(addLayerNormOp, [x, residual, weight, bias], { eps });
  return { y, sum: total };
}
