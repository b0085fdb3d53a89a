export { nearestMode, PAPER_LABELS, PUBLISHED_LABELS, softLabels } from "./nearest-mode.js";
export type { NearestMode, SoftLabelOptions } from "./nearest-mode.js";
export { l1, maskedL1, meanSquaredError, summedL1 } from "./regression.js";
export type { Normaliser } from "./regression.js";
export { softLabelLoss } from "./classification.js";
export { imitation, modesOfCommand, motionTerms, planningTerms, weightedSum } from "./imitation.js";
export type { ImitationOutputs, ImitationTargets, ImitationWeights, LossTerms, PlanningTerms } from "./imitation.js";
export { distillation, distillClassification, PUBLISHED_DISTILLATION } from "./distillation.js";
export type { Distillable, DistillationWeights } from "./distillation.js";
