import preset from "../../tools/build/tsup.js";
import { defineConfig } from "tsup";

/** The worker is a program of its own; peers are loaded when they are asked for, from where the user has them. */
export default defineConfig({
  ...preset,
  entry: ["src/index.ts", "src/worker.ts"],
  external: [/^@distilldrive\//, /^node:/, /^@tensorflow\//, "@jax-js/jax", /^onnxruntime-web/],
});
