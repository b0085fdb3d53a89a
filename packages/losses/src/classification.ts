import { div, klDivergence, maximum, sum, type Tensor } from "@distilldrive/tensor";

/**
 * Classification by soft labels (S-eq. 8): KL(target || softmax(logits)), mean over the rows that count.
 *
 * @param logits [R, M]
 * @param target [R, M] probabilities
 * @param weight [R] 0 or 1; a batch without counted rows gives 0
 * @returns scalar
 */
export function softLabelLoss(logits: Tensor, target: Tensor, weight: Tensor): Tensor {
  return div(sum(klDivergence(logits, target, weight)), maximum(sum(weight), 1));
}
