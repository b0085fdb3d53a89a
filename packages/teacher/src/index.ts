export { createTeacher, teacherMemory } from "./teacher.js";
export type { ForwardOptions, Teacher } from "./teacher.js";
export { teacherInputs, teacherTargets } from "./inputs.js";
export type { TeacherInputs, TeacherTargets } from "./inputs.js";
export { plannerConfigOf, TEACHER_PRESETS, VOCABULARY } from "./config.js";
export type { TeacherConfig, TeacherPreset } from "./config.js";
export { choosePlan, rescore } from "@distilldrive/nn";
export type { ChosenPlan, ChoosePlanOptions, PlanModes, PredictedAgents, RescoreOptions } from "@distilldrive/nn";
