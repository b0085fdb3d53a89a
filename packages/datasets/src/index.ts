export {
  AGENT_CLASSES,
  COMMANDS,
  EGO_SIZE,
  LIDAR_OFFSET,
  MAP_CLASSES,
  type AgentClass,
  type CameraImage,
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
export { memoryFiles, type DatasetFiles } from "./files.js";
export { readArgoverse2 } from "./argoverse2/read.js";
export { readNuScenes, type NuScenesOptions } from "./nuscenes/read.js";
export { loadScenes, type LoadOptions } from "./load.js";
export { decodeScene, encodeScene, SCENE_FILE_SUFFIX } from "./scene-file.js";
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
export { featureBuilder, sampleFeatures, usableFrames, type FeatureBuilder } from "./features/build.js";
export { modelFrame, relativeMotion, worldFromModel, type ModelFrame } from "./features/frame.js";
export { mirrorSample, mirrorScene } from "./features/mirror.js";
export {
  AGENT_FUTURE_STEPS,
  LINE_POINTS,
  PAST_STEPS,
  resolveFeatureOptions,
  SAMPLE_EXTENTS,
  type FeatureOptions,
  type ResolvedFeatureOptions,
  type Sample,
} from "./features/sample.js";
export { resolveSceneNames } from "./names.js";
export { splitScenes, type SceneSplit } from "./split.js";
export { anchorsFromJson, anchorsToJson, buildAnchors, MODES, type AnchorOptions, type Anchors } from "./anchors.js";
export { createStreams, type Stream, type StreamOptions } from "./stream/streams.js";
export { augmentBatch, augmentSchema, NO_AUGMENTATION, type Augmentation } from "./stream/augment.js";
export type { LaneStep, StreamBatch } from "./stream/batch.js";
export {
  evaluationStream,
  streamBatches,
  StreamState,
  type EvaluationOptions,
  type EvaluationStream,
  type StreamBatches,
  type StreamBatchOptions,
} from "./stream/walk.js";
export { readPickle, type PickleDialect } from "./pickle/machine.js";
export { PickleObject, type PickleValue } from "./pickle/values.js";
export { counterRandom, shuffledOrder } from "./counter-random.js";
export { describeScene, type SceneSummary } from "./describe.js";
export { generateScene, generateTown, townSceneName, type TownOptions, type TownRunOptions } from "./town/index.js";
export {
  AGENT_COLORS,
  boxCornersInEgo,
  cameraFromCalibration,
  cameraStrip,
  createCameraRenderer,
  egoPose,
  imageFromEgo,
  intrinsicsFor,
  levelCamera,
  LINE_COLORS,
  nuscenesRig,
  placeBoxes,
  projectToImage,
  RenderError,
  type Camera,
  type CameraBuffers,
  type CameraImages,
  type CameraRenderer,
  type CameraRendererOptions,
  type GroundPose,
  type ImageSize,
  type PlacedBox,
  type RenderOutputs,
  type RenderRequest,
  type Rgb,
} from "./render/index.js";
