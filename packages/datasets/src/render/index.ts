export { boxCornersInEgo, egoPose, placeBoxes, type GroundPose, type PlacedBox } from "./boxes.js";
export {
  cameraFromCalibration,
  imageFromEgo,
  intrinsicsFor,
  levelCamera,
  nuscenesRig,
  projectToImage,
  type Camera,
  type ImageSize,
} from "./camera.js";
export { cameraStrip } from "./camera-strip.js";
export { RenderError } from "./errors.js";
export { AGENT_COLORS, LINE_COLORS, type Rgb } from "./palette.js";
export {
  createCameraRenderer,
  type CameraBuffers,
  type CameraImages,
  type CameraRenderer,
  type CameraRendererOptions,
  type RenderOutputs,
  type RenderRequest,
} from "./renderer.js";
