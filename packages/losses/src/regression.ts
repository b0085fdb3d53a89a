import { add, l1Loss, maximum, mseLoss, mul, sum, type Tensor } from "@distilldrive/tensor";

/**
 * Mean absolute difference over all elements.
 *
 * @param prediction any shape
 * @param target a shape that broadcasts to it
 * @returns scalar
 */
export function l1(prediction: Tensor, target: Tensor): Tensor {
  return l1Loss(prediction, target);
}

/** Mean squared difference over all elements; scalar. */
export function meanSquaredError(prediction: Tensor, target: Tensor): Tensor {
  return mseLoss(prediction, target);
}

/** What a masked mean divides by: "all" elements (published, fact T16) or the "valid" ones. */
export type Normaliser = "all" | "valid";

/**
 * Planning regression (S-eq. 6): mean absolute error of the displacements where the truth is known.
 *
 * @param prediction [B, T, 2] m, displacements
 * @param target [B, T, 2] m
 * @param mask [B, T] 1 where known
 * @param normaliser default "valid"; a batch without any valid step gives 0
 * @returns scalar, m
 */
export function maskedL1(prediction: Tensor, target: Tensor, mask: Tensor, normaliser: Normaliser = "valid"): Tensor {
  return l1Loss(prediction, target, normaliser === "all" ? { weight: mask } : { weight: mask, divisor: maximum(mul(sum(mask), prediction.at(-1)), 1) });
}

/**
 * Motion regression (fact T16): absolute error of POSITIONS where known, summed over steps and axes, divided by the
 * number of agents.
 *
 * @param prediction [R, T, 2] m, positions
 * @param target [R, T, 2] m, positions
 * @param mask [R, T] 1 where known
 * @param agents scalar number of agents, at least 1
 * @returns scalar, m
 */
export function summedL1(prediction: Tensor, target: Tensor, mask: Tensor, agents: Tensor): Tensor {
  return l1Loss(prediction, target, { weight: mask, divisor: add(agents, F32_EPSILON) });
}

/** Machine epsilon of float32, which the published losses add to their divisors. */
export const F32_EPSILON = 1.1920928955078125e-7;
