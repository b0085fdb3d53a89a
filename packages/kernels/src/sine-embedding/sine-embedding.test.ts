import { fileURLToPath } from "node:url";
import { checkGradient, compare, dataSeed, dims, f32, f32Reduce, lawRuns, openTestDevice, readNpz, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { runKernel } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { sineEmbeddingBackwardReference, sineEmbeddingReference } from "./reference.js";
import { sineEmbedding, sineEmbeddingBackward } from "./sine-embedding.js";

/** What sine and cosine of an exactly reduced angle may be off by. */
const waves = { ...f32, name: "waves", absolute: 1e-6 };

describe("sineEmbedding [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference from millimetres to kilometres, forward and backward", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(fc.oneof(dims({ tile: 16 }), fc.constantFrom(127, 128)), fc.constantFrom(4, 12, 32, 128, 256, 1024), fc.constantFrom(1e-3, 1, 60, 4000), dataSeed, async (rows, hidden, range, seed) => {
        const shape = { rows, hidden };
        const note = { shape: [rows, hidden, range], seed };
        for (const target of [targetOf(own), portableTarget]) {
          const outputs = await expectAgreement(own, sineEmbedding(shape, target), { position: uniformData(rows * 2, seed, -range, range) }, { y: waves }, note);
          const inputs = { y: outputs("y"), dy: uniformData(rows * hidden, seed + 1) };
          await expectAgreement(own, sineEmbeddingBackward(shape, target), inputs, { dposition: f32Reduce(hidden / 2, 2 * Math.PI) }, note);
        }
      }),
      lawRuns({ runs: 10, name: "sineEmbedding" }),
    );
  });

  it("reproduces the published embedding for every width", async (context) => {
    if (device === undefined) return context.skip();
    const golden = readNpz(fileURLToPath(new URL("../../fixtures/unit_sine.npz", import.meta.url)));
    // The published code rounds angles of up to 2 pi 100 rad to float32 twice: its values are up to 4.3e-5 from the truth.
    const published = { name: "published float32", absolute: 5e-5, relative: 0 };
    const cases = [16, 32, 64, 128, 256].map((hidden) => ({ hidden, position: golden.get("pos"), expected: golden.get(`hidden${hidden}`) }));
    cases.push({ hidden: 128, position: golden.get("pos4d"), expected: golden.get("hidden128_4d") });
    for (const { hidden, position, expected } of cases) {
      const rows = position.data.length / 2;
      const { y } = await runKernel(device, sineEmbedding({ rows, hidden }, targetOf(device)), { position: Float32Array.from(position.numbers()) });
      compare(y ?? [], expected.numbers(), published, { op: "sineEmbedding golden", shape: [rows, hidden] });
    }
  });

  it("refuses widths without room for two sine-cosine pairs", () => {
    expect(() => sineEmbedding({ rows: 1, hidden: 6 }, portableTarget)).toThrow(ShapeError);
    expect(() => sineEmbedding({ rows: 1, hidden: 0 }, portableTarget)).toThrow(ShapeError);
  });
});

describe("sineEmbedding gradient", () => {
  it("matches central differences", () => {
    fc.assert(
      fc.property(dims({ tile: 4 }), fc.constantFrom(4, 8, 20), dataSeed, (rows, hidden, seed) => {
        const position = Float64Array.from(uniformData(rows * 2, seed, -5, 5));
        const { y } = sineEmbeddingReference({ rows, hidden }, { position });
        checkGradient({
          op: "sineEmbedding",
          seed,
          point: position,
          forward: (point) => sineEmbeddingReference({ rows, hidden }, { position: point }).y,
          backward: (dy) => sineEmbeddingBackwardReference({ rows, hidden }, { y, dy }).dposition,
        });
      }),
      lawRuns({ runs: 30, name: "sineEmbedding gradient" }),
    );
  });
});
