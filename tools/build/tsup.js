import { defineConfig } from "tsup";

/** One ESM bundle with types per package; every dependency, workspace or npm, stays an import. */
export default defineConfig({
  entry: ["src/index.ts"],
  format: ["esm"],
  target: "es2022",
  platform: "neutral",
  external: [/^@distilldrive\//, /^node:/],
  removeNodeProtocol: false,
  dts: true,
  sourcemap: true,
  clean: true,
});
