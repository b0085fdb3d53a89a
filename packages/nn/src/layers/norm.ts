import {
  add,
  buffer,
  clamp,
  div,
  layerNorm as layerNormOp,
  maximum,
  mul,
  parameter,
  reshape,
  rsqrt,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  type Variable,
} from "@distilldrive/tensor";
import type { ForwardContext } from "./block.js";

const ONE = { kind: "constant", value: 1 } as const;
const ZERO = { kind: "constant", value: 0 } as const;

/** Layer normalisation over the last axis. */
export interface LayerNorm {
  (x: Tensor): Tensor;
  /** [channels] */
  readonly weight: Variable;
  /** [channels] */
  readonly bias: Variable;
}

/** Layer normalisation of x [..., channels] with eps 1e-5, PyTorch's default. */
export function layerNorm(channels: number): LayerNorm {
  const weight = parameter([channels], ONE);
  const bias = parameter([channels], ZERO);
  const apply = (x: Tensor): Tensor => layerNormOp(x, weight, bias);
  return Object.assign(apply, { weight, bias });
}

/** Batch normalisation over the valid rows of a padded set. */
export interface BatchNorm {
  (x: Tensor, valid: Tensor, context: ForwardContext): Tensor;
  readonly weight: Variable;
  readonly bias: Variable;
  /** Buffer [channels]: exponential mean of the batches' means. */
  readonly running_mean: Variable;
  /** Buffer [channels]: exponential mean of the batches' unbiased variances. */
  readonly running_var: Variable;
}

/**
 * Batch normalisation over all valid rows (fact T11): x [..., channels], valid [...] of 0 and 1. Training normalises with
 * the biased variance of the batch and moves the running statistics by `momentum` at the end of the run; a batch without
 * valid rows leaves them. Rows that are not valid come out as some finite value: mask them.
 */
export function batchNorm(channels: number, { eps = 1e-5, momentum = 0.1 } = {}): BatchNorm {
  const weight = parameter([channels], ONE);
  const bias = parameter([channels], ZERO);
  const running_mean = buffer([channels], ZERO);
  const running_var = buffer([channels], ONE);

  const batchStatistics = (x: Tensor, valid: Tensor): { mean: Tensor; variance: Tensor } => {
    const rows = reshape(x, [-1, channels]);
    const mask = reshape(valid, [-1, 1]);
    const total = sum(mask);
    const count = maximum(total, 1);
    const mean = div(sum(mul(rows, mask), { axes: [0] }), count);
    const variance = div(sum(mul(square(sub(rows, mean)), mask), { axes: [0] }), count);
    const step = mul(clamp(total, { min: 0, max: 1 }), momentum);
    const move = (statistic: Variable, target: Tensor): void => {
      const old = x.graph.variable(statistic);
      x.graph.assign(statistic, add(old, mul(sub(stopGradient(target), old), step)));
    };
    move(running_mean, mean);
    move(running_var, mul(variance, div(count, maximum(sub(count, 1), 1))));
    return { mean, variance };
  };

  const apply = (x: Tensor, valid: Tensor, context: ForwardContext): Tensor => {
    const { mean, variance } = context.training
      ? batchStatistics(x, valid)
      : { mean: x.graph.variable(running_mean), variance: x.graph.variable(running_var) };
    const scale = mul(rsqrt(add(variance, eps)), weight);
    return add(mul(sub(x, mean), scale), bias);
  };
  return Object.assign(apply, { weight, bias, running_mean, running_var });
}
