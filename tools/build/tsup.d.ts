import type { Options } from "tsup";

/** Build preset of every package: ESM and types from `src/index.ts`, nothing bundled in. */
declare const preset: Options;
export default preset;
