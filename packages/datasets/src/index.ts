export {
  AGENT_CLASSES,
  COMMANDS,
  EGO_SIZE,
  LIDAR_OFFSET,
  MAP_CLASSES,
  type AgentClass,
  type Command,
  type Lane,
  type MapClass,
  type MapLine,
  type Scene,
  type Track,
} from "./schema.js";
export { DatasetError } from "./errors.js";
export { wrapAngle } from "./angles.js";
export { readScenarioNet } from "./scenarionet/read.js";
export { loadScenes, type LoadOptions } from "./load.js";
export { validateScene } from "./validate.js";
export {
  commandOf,
  countVehicles,
  egoCommand,
  egoWaypoints,
  isContinuous,
  PLAN_STEPS,
  stepSpeed,
  WAYPOINT_INTERVAL,
  waypointStride,
  type Waypoints,
} from "./ego.js";
export { detectJumps, halfSecondVelocity, planarMotion, steeringFromPath, WHEELBASE, type PlanarMotion } from "./motion.js";
