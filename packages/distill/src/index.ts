export { distillationLoss } from "./distillation-loss.js";
export { PUBLISHED_DISTILLATION } from "@distilldrive/losses";
export type { DistillationWeights, LossTerms } from "@distilldrive/losses";
export { distillTask } from "./task.js";
export type { DistillTaskOptions, TeacherOfRecord } from "./task.js";
