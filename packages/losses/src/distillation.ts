import { div, klDivergence, softmax, sum, type Tensor } from "@distilldrive/tensor";
import { l1, meanSquaredError } from "./regression.js";
import type { LossTerms } from "./imitation.js";
import { weightedSum } from "./imitation.js";

/** Weights of the four distillation terms; 0 switches one off. */
export interface DistillationWeights {
  /** Ego instances before the planner, MSE; published 0. */
  readonly encoderFeature: number;
  /** Planning queries at the head, MSE; published 0.5. */
  readonly decoderFeature: number;
  /** Mode probabilities, KL; published 0. */
  readonly classification: number;
  /** Mode displacements, L1 (S-eq. 15); published 0. */
  readonly regression: number;
}

/** The published default: decoder features with weight 0.5 (fact S2). */
export const PUBLISHED_DISTILLATION: DistillationWeights = { encoderFeature: 0, decoderFeature: 0.5, classification: 0, regression: 0 };

/** What is compared, of student and teacher alike. */
export interface Distillable {
  /** [B, M] over all commands' modes */
  readonly logits: Tensor;
  /** [B, M, T, 2] m, displacements */
  readonly deltas: Tensor;
  /** [B, M, D]; the student's after its adapter */
  readonly feature: Tensor;
  /** [B, M, D] */
  readonly encoderFeature: Tensor;
}

/** KL(softmax(teacher) || softmax(student)) over all modes, mean over the batch (fact S2). Logits [B, M]; scalar. */
export function distillClassification(student: Tensor, teacher: Tensor): Tensor {
  return div(sum(klDivergence(student, softmax(teacher))), student.at(0));
}

/**
 * Distillation terms over all ego instances (fact S2; S-eqs. 14, 15), weighted.
 *
 * @param teacher values without gradient: stop it before
 * @throws RangeError when every weight is 0
 */
export function distillation(student: Distillable, teacher: Distillable, weights: DistillationWeights): LossTerms {
  return weightedSum({
    distillEncoderFeature: [weights.encoderFeature, () => meanSquaredError(student.encoderFeature, teacher.encoderFeature)],
    distillDecoderFeature: [weights.decoderFeature, () => meanSquaredError(student.feature, teacher.feature)],
    distillClassification: [weights.classification, () => distillClassification(student.logits, teacher.logits)],
    distillRegression: [weights.regression, () => l1(student.deltas, teacher.deltas)],
  });
}
