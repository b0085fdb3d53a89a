import { batchNorm as batchNormOp, buffer, layerNorm as layerNormOp, parameter, type Tensor, type Variable } from "@distilldrive/tensor";
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

  const state = { weight, bias, runningMean: running_mean, runningVar: running_var };
  const apply = (x: Tensor, valid: Tensor, { training }: ForwardContext): Tensor => batchNormOp(x, state, { training, valid, eps, momentum });
  return Object.assign(apply, { weight, bias, running_mean, running_var });
}
