import { fanInUniform, type Initializer, linear as linearOp, parameter, type Tensor, type Variable } from "@distilldrive/tensor";

/** y = activation(x W^T + b), in one kernel. */
export interface Linear {
  (x: Tensor, activation?: "none" | "relu"): Tensor;
  /** [out, in] */
  readonly weight: Variable;
  /** [out] */
  readonly bias: Variable;
}

/** A linear layer without bias. */
export interface Projection {
  (x: Tensor): Tensor;
  /** [out, in] */
  readonly weight: Variable;
}

/** First values of a linear layer; default: uniform with bound 1 / sqrt(in) for both. */
export interface LinearInit {
  readonly weight?: Initializer;
  readonly bias?: Initializer;
}

/**
 * Linear layer over the last axis, parameters named and laid out as PyTorch's.
 * The returned block maps x [..., in] to [..., out] and throws ShapeError when the last axis is not `inChannels`.
 */
export function linear(inChannels: number, outChannels: number, init: LinearInit = {}): Linear {
  const weight = parameter([outChannels, inChannels], init.weight ?? fanInUniform(inChannels));
  const bias = parameter([outChannels], init.bias ?? fanInUniform(inChannels));
  const apply = (x: Tensor, activation: "none" | "relu" = "none"): Tensor => linearOp(x, weight, bias, activation);
  return Object.assign(apply, { weight, bias });
}

/** Linear layer without bias: x [..., in] to [..., out]. */
export function projection(inChannels: number, outChannels: number, init: Initializer = fanInUniform(inChannels)): Projection {
  const weight = parameter([outChannels, inChannels], init);
  const apply = (x: Tensor): Tensor => linearOp(x, weight);
  return Object.assign(apply, { weight });
}
