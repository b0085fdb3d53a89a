import { defineConfig } from "vitest/config";
import { applyRecordedAdapter } from "../setup/src/recorded-adapter.mjs";

// Test processes inherit this environment, also when a package's tests are started without tools/setup.
applyRecordedAdapter();

/** Tests run on the sources: workspace packages resolve through the "@distilldrive/source" condition. */
export default defineConfig({
  resolve: { conditions: ["@distilldrive/source"] },
  ssr: { resolve: { conditions: ["@distilldrive/source"] } },
  test: {
    include: ["src/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores, one software adapter: test files share them best one after the other.
    fileParallelism: false,
  },
});
