import type { ViteUserConfig } from "vitest/config";

/** Test preset of every package: sources of the workspace, one test file at a time. */
declare const preset: ViteUserConfig;
export default preset;
