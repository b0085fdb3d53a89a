import { defineConfig } from "tsup";

/** One ESM bundle with types per package; dependencies stay external. */
export default defineConfig({
  entry: ["src/index.ts"],
  format: ["esm"],
  target: "es2022",
  platform: "neutral",
  dts: true,
  sourcemap: true,
  clean: true,
});
