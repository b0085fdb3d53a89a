import { concat, oneHot, reshape, type Tensor } from "@distilldrive/tensor";
import { egoStateFeatures, type EgoState } from "../encoders/ego-status-encoder.js";
import { linear } from "../layers/linear.js";
import { relu, sequential, type Sequential } from "../layers/sequential.js";

/** Sizes of the {@link egoStatusMlp}. */
export interface EgoStatusMlpConfig {
  /** Width of the two hidden layers, default 128. */
  readonly hidden?: number;
  /** Future steps of 0.5 s, default 6. */
  readonly steps?: number;
  /** Past displacements in the ego state, default 4. */
  readonly pastSteps?: number;
}

/** Plans from the ego state alone. */
export interface EgoStatusMlp {
  /**
   * @param command [B] i32: 0 right, 1 left, 2 straight
   * @returns [B, steps, 2] m, displacements per 0.5 s, model frame
   */
  (ego: EgoState, command: Tensor): Tensor;
  readonly net: Sequential;
}

/**
 * The blind baseline every planner has to beat: ego state and command through an MLP with two hidden layers. Train it with
 * the L1 distance of the displacements.
 */
export function egoStatusMlp({ hidden = 128, steps = 6, pastSteps = 4 }: EgoStatusMlpConfig = {}): EgoStatusMlp {
  const net = sequential(linear(10 + 3 * pastSteps + 3, hidden), relu, linear(hidden, hidden), relu, linear(hidden, steps * 2));
  const apply = (ego: EgoState, command: Tensor): Tensor =>
    reshape(net(concat([egoStateFeatures(ego), oneHot(command, 3)], -1)), [ego.status.at(0), steps, 2]);
  return Object.assign(apply, { net });
}
