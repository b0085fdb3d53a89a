import { add, div, klDivergence, maximum, mul, oneHot, pow, sigmoid, softplus, square, sub, sum, type Tensor } from "@distilldrive/tensor";

/**
 * Classification by soft labels (S-eq. 8): KL(target || softmax(logits)), mean over the rows that count.
 *
 * @param logits [R, M]
 * @param target [R, M] probabilities
 * @param weight [R] 0 or 1; a batch without counted rows gives 0
 * @returns scalar
 */
export function softLabelLoss(logits: Tensor, target: Tensor, weight: Tensor): Tensor {
  return div(sum(mul(klDivergence(logits, target), weight)), maximum(sum(weight), 1));
}

/** Options of {@link focalLoss}. */
export interface FocalOptions {
  /** Weight of the positive class, default 0.25. */
  readonly alpha?: number;
  /** Focus on the hard ones, default 2. */
  readonly gamma?: number;
}

/**
 * Sigmoid focal loss of every class of every row (Lin et al. 2017), unreduced.
 *
 * @param logits [R, C]
 * @param label [R] i32 true class; anything outside [0, C) is background
 * @returns [R, C]
 */
export function focalLoss(logits: Tensor, label: Tensor, { alpha = 0.25, gamma = 2 }: FocalOptions = {}): Tensor {
  const target = oneHot(label, logits.at(1));
  const probability = sigmoid(logits);
  const missed = add(mul(target, sub(1, probability)), mul(sub(1, target), probability));
  const crossEntropy = sub(softplus(logits), mul(target, logits));
  const balance = add(mul(target, alpha), mul(sub(1, target), 1 - alpha));
  return mul(mul(crossEntropy, balance), gamma === 2 ? square(missed) : pow(missed, gamma));
}
