import { concat, expandDims, mul, reshape, type Tensor } from "@distilldrive/tensor";
import { linear } from "../layers/linear.js";
import { linearReluLayerNorm, sequential, type Sequential } from "../layers/sequential.js";

/** What the ego vehicle knows of its own motion. */
export interface EgoState {
  /** [B, 10] acceleration 3 (m/s^2), angular rate 3 (rad/s), velocity 3 (m/s, first one along the heading), steering (rad) */
  readonly status: Tensor;
  /** [B, Tp, 2] m, past displacements */
  readonly past: Tensor;
  /** [B, Tp] 1 where the past displacement is known */
  readonly pastMask: Tensor;
}

/** Embeds the ego vehicle's state: to [B, D]. */
export type EgoStatusEncoder = ((ego: EgoState) => Tensor) & { readonly net: Sequential };

/** Typical magnitudes of the 10 status numbers, to bring them to about 1. */
const STATUS_SCALE = [3, 3, 3, 0.3, 0.3, 0.3, 10, 10, 10, 0.3].map((typical) => 1 / typical);
/** Typical displacement in 0.5 s, m. */
const DISPLACEMENT_SCALE = 1 / 5;

/** The ego state as one row of numbers of about unit size: [B, 10 + 3 Tp]. */
export function egoStateFeatures({ status, past, pastMask }: EgoState): Tensor {
  const lanes = status.at(0);
  const scale = status.graph.constant(STATUS_SCALE, [STATUS_SCALE.length]);
  const known = mul(mul(past, expandDims(pastMask, -1)), DISPLACEMENT_SCALE);
  return concat([mul(status, scale), reshape(known, [lanes, -1]), pastMask], -1);
}

/**
 * Our option `egoInput: "status"` (the published planner sees no ego state): status and past displacements -> Linear,
 * ReLU, LayerNorm, Linear.
 *
 * @param pastSteps Tp
 */
export function egoStatusEncoder(channels: number, pastSteps: number): EgoStatusEncoder {
  const net = sequential(...linearReluLayerNorm(channels, 1, 1, STATUS_SCALE.length + 3 * pastSteps), linear(channels, channels));
  return Object.assign((ego: EgoState): Tensor => net(egoStateFeatures(ego)), { net });
}
