export { exact, f16, f32, f32Reduce } from "./tolerance.js";
export type { Tolerance } from "./tolerance.js";
export { compare, ComparisonError } from "./compare.js";
export type { ComparisonContext } from "./compare.js";
export { lawRuns, lawSeed } from "./laws.js";
export type { LawRuns } from "./laws.js";
export { dataSeed, dims, indexData, maskData, uniformData, uniformSource } from "./arbitraries.js";
export type { DimOptions } from "./arbitraries.js";
export { adapterName, openTestDevice } from "./device.js";
