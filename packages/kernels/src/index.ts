export { bindingBytes, sequenceCost, sequenceOf, sequenceReference } from "./kernel.js";
export type { Arrays, Binding, Cost, DType, Kernel, KernelSequence, KernelStep, KernelTarget, Temporary, UniformField } from "./kernel.js";
export { DeviceLimitError, DTypeError, KernelError, ShapeError } from "./errors.js";
export { portableTarget, targetOf } from "./target.js";
export { declare, foldedGrid, foldedWidth } from "./wgsl.js";
export { checkLimits, compilePipeline, packUniforms, prepareKernel, runKernel, runSequence } from "./launch.js";
export type { CompiledPipeline, HostArray, PreparedKernel } from "./launch.js";
export { randomBits, randomKey, randomStream, randomWgsl, threefry2x32, unitFloat } from "./random/threefry.js";
export type { RandomKey } from "./random/threefry.js";
