import { checkGradient, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, transcendental, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, it } from "vitest";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { fourierEmbedding, fourierEmbeddingBackward } from "./fourier-embedding.js";
import { fourierBackwardReference, fourierReference } from "./reference.js";

const shapes = fc.record({ rows: dims({ tile: 8 }), width: dims({ tile: 2, max: 5 }), frequencies: dims({ tile: 8, max: 18 }) });

describe("fourierEmbedding [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference over many turns, forward and backward", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), dataSeed, async (shape, portable, seed) => {
        const target = portable ? portableTarget : targetOf(own);
        const { rows, width, frequencies } = shape;
        const inputs = { x: uniformData(rows * width, seed, -5, 5), frequency: uniformData(width * frequencies, seed + 1, -3, 3) };
        const outputs = await expectAgreement(own, fourierEmbedding(shape, target), inputs, { y: transcendental }, { shape, seed });
        await expectAgreement(own, fourierEmbeddingBackward(shape, target), { y: outputs("y"), dy: uniformData(rows * width * frequencies * 2, seed + 2) }, { dproduct: f32Reduce(2, 2 * Math.PI) }, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "fourierEmbedding" }),
    );
  });
});

describe("fourierEmbedding gradient", () => {
  it("matches central differences to the products", () => {
    fc.assert(
      fc.property(dims({ tile: 8 }), fc.integer({ min: 1, max: 9 }), dataSeed, (width, rows, seed) => {
        // One frequency of 1 for every number: the products are x itself.
        const shape = { rows, width, frequencies: 1 };
        const frequency = new Float64Array(width).fill(1);
        const x = Float64Array.from(uniformData(rows * width, seed, -3, 3));
        checkGradient({
          op: "fourierEmbedding",
          seed,
          point: x,
          forward: (moved) => fourierReference(shape, { x: moved, frequency }).y,
          backward: (dy) => fourierBackwardReference(shape, { y: fourierReference(shape, { x, frequency }).y, dy }).dproduct,
        });
      }),
      lawRuns({ runs: 100, name: "fourierEmbedding gradient" }),
    );
  });
});
