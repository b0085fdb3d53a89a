import preset from "../../tools/build/tsup.js";
import { defineConfig } from "tsup";

/** The workers are programs of their own; peers are loaded when they are asked for, from where the user has them. */
export default defineConfig({
  ...preset,
  entry: ["src/index.ts", "src/worker.ts", "src/start-worker.ts"],
  external: [/^@distilldrive\//, /^node:/, /^@tensorflow\//, "@jax-js/jax", /^onnxruntime-web/],
});
