import { distillation, type DistillationWeights, type LossTerms, PUBLISHED_DISTILLATION } from "@distilldrive/losses";
import type { PlannerOutput } from "@distilldrive/nn";
import type { Student } from "@distilldrive/student";
import { stopGradient } from "@distilldrive/tensor";

/**
 * Distillation loss from what teacher and student return for the same batch, in one graph (method, "Distillation"). The
 * student's planning queries go through its adapter (S-eq. 14). The teacher is frozen: no gradient reaches it, whatever
 * the caller differentiates with respect to; run its forward pass with INFERENCE, so that it has no dropout and its
 * running statistics stay.
 *
 * ```ts
 * const seen = teacher.forward(teacherInputs(graph, teacher.config, 4));
 * const made = student.forward(studentInputs(graph, student.config, 4));
 * const { total, terms } = distillationLoss(student, made, seen);
 * ```
 *
 * @param weights default PUBLISHED_DISTILLATION; each term can be switched on alone
 * @throws RangeError when every weight is 0
 * @throws ShapeError when an encoder-feature term meets models of different width
 */
export function distillationLoss(
  student: Pick<Student, "feature_adapter">,
  made: Pick<PlannerOutput, "plan">,
  seen: Pick<PlannerOutput, "plan">,
  weights: DistillationWeights = PUBLISHED_DISTILLATION,
): LossTerms {
  return distillation(
    { ...made.plan, feature: student.feature_adapter(made.plan.feature) },
    {
      logits: stopGradient(seen.plan.logits),
      deltas: stopGradient(seen.plan.deltas),
      feature: stopGradient(seen.plan.feature),
      encoderFeature: stopGradient(seen.plan.encoderFeature),
    },
    weights,
  );
}
