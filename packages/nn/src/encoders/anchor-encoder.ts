import { concat, slice, type Tensor } from "@distilldrive/tensor";
import { linearReluLayerNorm, sequential, type Sequential } from "../layers/sequential.js";

/** Embeds anchors as positions. */
export interface AnchorEncoder {
  /** anchors [..., 10] (see `anchorFromBox`) to [..., D] */
  (anchors: Tensor): Tensor;
  readonly pos_fc: Sequential;
  readonly size_fc: Sequential;
  readonly yaw_fc: Sequential;
  readonly vel_fc: Sequential;
}

/**
 * The published light box encoder (fact T15): position, size, heading and velocity each through four (Linear, ReLU,
 * LayerNorm), side by side with D/2, D/8, D/8 and D/4 channels.
 *
 * @param channels D, a multiple of 8
 */
export function anchorEncoder(channels: number): AnchorEncoder {
  const branch = (inputs: number, width: number): Sequential => sequential(...linearReluLayerNorm(width, 1, 4, inputs));
  const pos_fc = branch(3, channels / 2);
  const size_fc = branch(3, channels / 8);
  const yaw_fc = branch(2, channels / 8);
  const vel_fc = branch(2, channels / 4);
  const apply = (anchors: Tensor): Tensor =>
    concat(
      [
        pos_fc(slice(anchors, -1, 0, 3)),
        size_fc(slice(anchors, -1, 3, 6)),
        yaw_fc(slice(anchors, -1, 6, 8)),
        vel_fc(slice(anchors, -1, 8, 10)),
      ],
      -1,
    );
  return Object.assign(apply, { pos_fc, size_fc, yaw_fc, vel_fc });
}
