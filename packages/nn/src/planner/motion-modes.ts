import { buffer, concat, gather, mul, reshape, ShapeError, sineEmbedding, slice, sub, add, type Tensor, type Variable, expandDims } from "@distilldrive/tensor";
import { modeEncoder } from "../encoders/ego-motion-encoder.js";
import type { Sequential } from "../layers/sequential.js";

/** Sizes of the motion vocabulary. */
export interface MotionVocabulary {
  /** Agent classes, published 10. */
  readonly classes: number;
  /** Modes per class, published 6. */
  readonly modes: number;
  /** Future steps of 0.5 s, published 12. */
  readonly steps: number;
}

/** Positions of an agent's motion modes. Its variables have the published names, at the model's root. */
export interface MotionModes {
  readonly motion_anchor: Variable;
  readonly motion_anchor_encoder: Sequential;
  /**
   * @param label [B, N] i32 class
   * @param anchor [B, N, 10] see `anchorFromBox`
   * @returns [B, N, modes, D]
   */
  readonly modePositions: (label: Tensor, anchor: Tensor) => Tensor;
}

/**
 * Motion modes (fact T12): the end points of the class's cluster centres, turned by the agent's heading, as a sine
 * embedding through an MLP.
 *
 * @param anchors [classes, modes, steps, 2] m, cluster centres as positions relative to the agent, x along its heading
 * @throws ShapeError when `anchors` has another size
 */
export function motionModes(channels: number, { classes, modes, steps }: MotionVocabulary, anchors: ArrayLike<number>): MotionModes {
  const shape = [classes, modes, steps, 2] as const;
  if (anchors.length !== classes * modes * steps * 2) {
    throw new ShapeError(
      `motionModes: motion anchors have the wrong size, expected ${shape.join(" x ")} numbers, got ${anchors.length}. Cluster them for this vocabulary.`,
    );
  }
  const motion_anchor = buffer(shape, { kind: "data", data: anchors });
  const motion_anchor_encoder = modeEncoder(channels, channels);
  const modePositions = (label: Tensor, anchor: Tensor): Tensor => {
    const endPoints = slice(label.graph.variable(motion_anchor), 2, steps - 1, steps);
    const ahead = gather(reshape(endPoints, [classes, modes, 2]), label);
    const [x, y] = [slice(ahead, -1, 0, 1), slice(ahead, -1, 1, 2)];
    const [cosYaw, sinYaw] = [expandDims(slice(anchor, -1, 6, 7), 2), expandDims(slice(anchor, -1, 7, 8), 2)];
    const turned = concat([sub(mul(x, cosYaw), mul(y, sinYaw)), add(mul(x, sinYaw), mul(y, cosYaw))], -1);
    return motion_anchor_encoder(sineEmbedding(turned, channels));
  };
  return { motion_anchor, motion_anchor_encoder, modePositions };
}
