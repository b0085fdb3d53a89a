export { main } from "./main.js";
export type { Io } from "./io.js";
export { UsageError } from "./errors.js";
