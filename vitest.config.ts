import { defineConfig } from "vitest/config";
import CountingReporter from "./tools/build/test-reporter.js";

/** All packages in one run; `npx vitest run` inside a package runs that one alone. */
export default defineConfig({
  test: {
    projects: ["packages/*", "tools/testkit", "tools/checks", "tools/setup", "tools/browser", "examples/custom-planner"],
    reporters: ["default", new CountingReporter()],
    fileParallelism: false,
  },
});
