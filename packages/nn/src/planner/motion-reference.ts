import { broadcastTo, expandDims, mul, reshape, slice, type Tensor } from "@distilldrive/tensor";

/** What the predicted displacements of agents are a difference to: nothing (published), or keeping their velocity. */
export type MotionReferenceKind = "none" | "constantVelocity";

/** s between future steps. */
const INTERVAL = 0.5;

/**
 * Displacements of agents that keep the velocity of their box: what our option `motionReference: "constantVelocity"` adds to
 * every mode, so that modes need only say what changes about it. Most agents stand or drive on, and re-scoring by boxes that
 * creep away from where cars are parked forbids plans beside them.
 *
 * @param anchor [B, N, 10] see `anchorFromBox`, velocity in m/s, model frame
 * @param steps future steps of 0.5 s
 * @returns [B, N, 1, steps, 2] m
 */
export function constantVelocityMotion(anchor: Tensor, steps: number): Tensor {
  const [lanes, agents] = [anchor.at(0), anchor.at(1)];
  const step = mul(slice(anchor, -1, 8, 10), INTERVAL);
  return expandDims(broadcastTo(reshape(step, [lanes, agents, 1, 2]), [lanes, agents, steps, 2]), 2);
}
