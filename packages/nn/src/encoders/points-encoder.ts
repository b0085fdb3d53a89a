import { add, expandDims, matmul, max, mul, relu, slice, type Tensor } from "@distilldrive/tensor";
import type { ForwardContext } from "../layers/block.js";
import { linear, type Linear } from "../layers/linear.js";
import { batchNorm, type BatchNorm } from "../layers/norm.js";

/** Linear, BatchNorm, ReLU, Linear; indices as published. */
interface PointMlp {
  readonly 0: Linear;
  readonly 1: BatchNorm;
  readonly 3: Linear;
}

/** Encodes sets of points. */
export interface PointsEncoder {
  /**
   * @param x [B, L, P, F] features of points
   * @param valid [B, L, P] 0 or 1
   * @returns [B, L, D]
   */
  (x: Tensor, valid: Tensor, context: ForwardContext): Tensor;
  readonly first_mlp: PointMlp;
  readonly second_mlp: PointMlp;
}

/**
 * PointNet-style encoder of polylines (fact T11): a shared MLP, its maximum over the points appended to every point, a
 * second shared MLP, maximum again. Points that are not valid count as zeros in both maxima, as published.
 */
export function pointsEncoder(inChannels: number, channels: number): PointsEncoder {
  const half = channels / 2;
  const first_mlp: PointMlp = { 0: linear(inChannels, half), 1: batchNorm(half), 3: linear(half, channels) };
  const second_mlp: PointMlp = { 0: linear(2 * channels, channels), 1: batchNorm(channels), 3: linear(channels, channels) };

  /** The second MLP's first layer on concat(points, pooled): the pooled half is the same for all points of a line. */
  const joined = (points: Tensor, pooled: Tensor): Tensor => {
    const weight = points.graph.variable(second_mlp[0].weight);
    const own = matmul(points, slice(weight, 1, 0, channels), { transposeB: true });
    const shared = add(matmul(pooled, slice(weight, 1, channels, 2 * channels), { transposeB: true }), second_mlp[0].bias);
    return add(own, expandDims(shared, -2));
  };

  const apply = (x: Tensor, valid: Tensor, context: ForwardContext): Tensor => {
    const mask = expandDims(valid, -1);
    const points = mul(first_mlp[3](relu(first_mlp[1](first_mlp[0](x), valid, context))), mask);
    const hidden = joined(points, max(points, { axis: -2 }));
    return max(mul(second_mlp[3](relu(second_mlp[1](hidden, valid, context))), mask), { axis: -2 });
  };
  return Object.assign(apply, { first_mlp, second_mlp });
}
