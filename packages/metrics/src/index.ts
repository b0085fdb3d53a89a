export { MetricError } from "./errors.js";
export { boxCorners, boxesIntersect, obstacleAt, type OrientedBox } from "./oriented-box.js";
export {
  cumulate,
  EGO_CENTRE_AHEAD,
  pathCollisions,
  pathDistances,
  pathYaw,
  scorePlan,
  STANDING_DISTANCE,
  type PlanScore,
} from "./plan-score.js";
export {
  planningMetrics,
  type ConventionScores,
  type HorizonValues,
  type Plan,
  type PlanningMetrics,
  type PlanningScores,
  type PlanningTable,
  type PlanningTruth,
} from "./planning-metrics.js";
export {
  BASELINES,
  constantTurnRate,
  constantVelocity,
  standStill,
  type BaselineOptions,
  type BaselinePlanner,
  type EgoMotion,
} from "./baselines.js";
export {
  motionErrors,
  motionMetrics,
  type MotionErrors,
  type MotionForecast,
  type MotionMetrics,
  type MotionScores,
} from "./motion-metrics.js";
