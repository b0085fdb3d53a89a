export { birdsEyeSvg, type BirdsEyeOptions } from "./birds-eye.js";
export { type BirdsEyeScene } from "./birds-eye-scene.js";
export { FAINTEST_MODE, modeOpacities, type PicturedPlan } from "./birds-eye-plan.js";
export { type GroundRegion } from "./ground-view.js";
export { roadAround, type RoadOptions } from "./road.js";
export { svgToPng, type PngOptions } from "./svg-to-png.js";
export { ViewerError } from "./errors.js";
