export { distillationLoss } from "./distillation-loss.js";
export { PUBLISHED_DISTILLATION } from "@distilldrive/losses";
export type { DistillationWeights, LossTerms } from "@distilldrive/losses";
