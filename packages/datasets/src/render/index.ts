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
export type { CameraBuffers, CameraImages, CameraRenderer, CameraRendererOptions, RenderOutputs, RenderRequest } from "./camera-renderer.js";
export { createCameraRenderer } from "./renderer.js";
