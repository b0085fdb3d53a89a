import { batchNorm as batchNormKernels, batchNormBackward, type BatchNormShape, ShapeError } from "@distilldrive/kernels";
import { graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, SampleInput } from "../op.js";
import { formatType, sizeOf, type TensorType, typeOf } from "../shape.js";
import type { Variable } from "../variable.js";
import { add, mul, rsqrt, sub } from "./elementwise.js";
import { defineKernelOp } from "./kernel-op.js";
import { reshape } from "./reshape.js";

/** Whether some positions are left out of the statistics; they come along as `valid`. */
interface Masked {
  readonly masked: boolean;
}

const shapeOf = (x: TensorType | undefined, masked: boolean): BatchNormShape => {
  const [outer = 0, channels = 1, inner = 1] = x?.shape ?? [];
  return { outer, channels, inner, masked };
};

function samples(draw: Draw): { readonly x: SampleInput; readonly channels: SampleInput; readonly valid: SampleInput; readonly masked: boolean } {
  const [outer, channels, inner] = [1 + draw.size(20), draw.size(9), draw.pick([1, 1, 3, 8])];
  // With both signs of the mask's chance a channel may be left with a row or none: the variance is then eps alone.
  return { x: { ...typeOf([outer, channels, inner]), distinct: 0.02 }, channels: typeOf([channels]), valid: { ...typeOf([outer, inner]), mask: true }, masked: draw.boolean() };
}

/** Gradients of {@link batchNormOp} from what it saved. */
export const batchNormBackwardOp = defineKernelOp<Masked>({
  name: "batchNormBackward",
  inputs: ["x", "dy", "weight", "mean", "rstd", "count", "valid"],
  outputs: ["dx", "dweight", "dbias"],
  shape: ([x, , weight]) => [typeOf(x?.shape ?? []), typeOf(weight?.shape ?? []), typeOf(weight?.shape ?? [])],
  kernels: ({ target, inputs: [x], attributes: { masked } }) => batchNormBackward(shapeOf(x, masked), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([x]) => ({ terms: sizeOf(x?.shape ?? []), scale: 8 }),
  samples: (draw) => {
    const { x, channels, valid, masked } = samples(draw);
    return { inputs: [x, typeOf(x.shape), channels, channels, { ...channels, range: [0.5, 1.5] }, { ...typeOf([1]), range: [1, 30] }, valid], attributes: { masked } };
  },
});

/** Batch norm as in training over x [outer, channels, inner]; the running statistics' next values are outputs. */
export const batchNormOp = defineKernelOp<Masked & { readonly eps: number; readonly momentum: number }>({
  name: "batchNorm",
  inputs: ["x", "weight", "bias", "runningMean", "runningVar", "valid"],
  outputs: ["y", "mean", "rstd", "count", "nextMean", "nextVar"],
  shape: ([x, weight]) => {
    const channels = typeOf(weight?.shape ?? []);
    return [typeOf(x?.shape ?? []), channels, channels, typeOf([1]), channels, channels];
  },
  kernels: ({ target, inputs: [x], attributes: { masked, ...options } }) => batchNormKernels({ ...shapeOf(x, masked), ...options }, target),
  vjp: {
    saves: ["x", "weight", "valid", "mean", "rstd", "count"],
    differentiable: ["y"],
    recompute: "costly",
    rule: ({ inputs: [x, weight, , , , valid], outputs: [, mean, rstd, count], attributes: { masked }, cotangents: [dy] }) =>
      x && weight && valid && mean && rstd && count && dy ? x.graph.apply(batchNormBackwardOp, [x, dy, weight, mean, rstd, count, valid], { masked }) : [],
  },
  tolerance: ([x]) => ({ terms: sizeOf(x?.shape ?? []), scale: 16 }),
  samples: (draw) => {
    const { x, channels, valid, masked } = samples(draw);
    const running = { ...channels, checkGradient: false as const };
    return { inputs: [x, channels, channels, running, { ...running, range: [0.5, 2] }, valid], attributes: { masked, eps: 0.1, momentum: 0.1 } };
  },
});

/** What {@link batchNorm} normalises with. */
export interface BatchNormState {
  /** [C] */
  readonly weight: Operand;
  /** [C] */
  readonly bias: Operand;
  /** Buffer [C]: exponential mean of the batches' means. */
  readonly runningMean: Variable;
  /** Buffer [C]: exponential mean of the batches' unbiased variances. */
  readonly runningVar: Variable;
}

/** How {@link batchNorm} works. */
export interface BatchNormOptions {
  /** With the batch's statistics, moving the running ones at the end of the run; else with the running ones. */
  readonly training: boolean;
  /** Axis of the channels, default -1; 1 for [B, C, L] and [B, C, H, W]. */
  readonly axis?: number;
  /** 0 or 1 for every position, the shape of x without the channel axis: 1 counts in the statistics. Default: all count. */
  readonly valid?: Tensor;
  /** Default 1e-5. */
  readonly eps?: number;
  /** Default 0.1. */
  readonly momentum?: number;
}

/**
 * Batch normalisation per channel (Ioffe and Szegedy, 2015), as PyTorch's: training normalises with the biased variance of the
 * positions that count and moves the running statistics by `momentum`, the variance with its unbiased estimate; a batch in which
 * nothing counts leaves them. Positions that do not count come out as some finite value.
 * @param x [..., C], or [B, C, ...] with `axis` 1
 * @throws ShapeError when parameters, statistics or mask do not fit
 */
export function batchNorm(x: Tensor, state: BatchNormState, { training, axis = -1, valid, eps = 1e-5, momentum = 0.1 }: BatchNormOptions): Tensor {
  const graph = graphOf("batchNorm", [x]);
  const rank = x.shape.length;
  const at = axis < 0 ? axis + rank : axis;
  const channels = x.shape[at];
  if (channels === undefined || (at !== rank - 1 && at !== 1)) throw new ShapeError(`batchNorm: the channel axis does not fit, expected -1 or 1, got ${axis} of ${formatType(x.type)}. Permute x.`);
  const [weight, bias, mean, variance] = [state.weight, state.bias, state.runningMean, state.runningVar].map((operand) => graph.lift(operand));
  for (const [name, tensor] of Object.entries({ weight, bias, runningMean: mean, runningVar: variance })) {
    if (tensor?.shape.length !== 1 || tensor.shape[0] !== channels) throw new ShapeError(`batchNorm: ${name} does not fit, expected f32[${channels}], got ${tensor ? formatType(tensor.type) : "nothing"}. It must match the channels of x.`);
  }
  if (!weight || !bias || !mean || !variance) return x;
  const [outer, inner] = [sizeOf(x.shape.slice(0, at)), sizeOf(x.shape.slice(at + 1))];
  if (valid && sizeOf(valid.shape) !== outer * inner) throw new ShapeError(`batchNorm: valid does not fit, expected one number for each of ${outer * inner} positions, got ${formatType(valid.type)}. Leave out only the channel axis.`);
  if (!training) {
    const own = (tensor: Tensor): Tensor => (inner === 1 && at === rank - 1 ? tensor : reshape(tensor, [channels, ...x.shape.slice(at + 1).map(() => 1)]));
    return add(mul(sub(x, own(mean)), own(mul(rsqrt(add(variance, eps)), weight))), own(bias));
  }
  const counted = valid ? reshape(valid, [outer, inner]) : graph.literal(1);
  const [y = x, , , , nextMean = mean, nextVar = variance] = graph.apply(batchNormOp, [reshape(x, [outer, channels, inner]), weight, bias, mean, variance, counted], { masked: valid !== undefined, eps, momentum });
  graph.assign(state.runningMean, nextMean);
  graph.assign(state.runningVar, nextVar);
  return reshape(y, x.shape);
}
