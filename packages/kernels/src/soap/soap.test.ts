import { dataSeed, dims, f32, lawRuns, openTestDevice, type Tolerance, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { DeviceLimitError, ShapeError } from "../errors.js";
import { runSequence } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { adamDirection, decayedStep } from "./direction.js";
import { orthonormalise } from "./orthonormalise.js";

const hyperAt = (step: number, scale: number): Float32Array => Float32Array.of(6e-4, 0.95, 0.95, 1e-8, 1e-3, 1 - 0.95 ** step, 1 - 0.95 ** step, scale);

describe("SOAP's kernels [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("give Adam's direction and take the decayed step, for any length, step and scale", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 256, max: 3000 }), fc.constantFrom(1, 7, 900), fc.constantFrom(1, 0.01, 0, -1), dataSeed, async (length, step, scale, seed) => {
        const target = seed % 2 === 0 ? targetOf(own) : portableTarget;
        const hyper = hyperAt(step, scale);
        const moments = { gradient: uniformData(length, seed, -10, 10), m: uniformData(length, seed + 1), v: uniformData(length, seed + 2, 0.01, 1), hyper };
        const loose: Tolerance = { name: "direction", absolute: 2e-5, relative: 2e-5 };
        await expectAgreement(own, adamDirection({ length }, target), moments, { m: { ...f32, absolute: 1e-5 }, v: f32, direction: loose }, { shape: [length, step, scale], seed });
        const values = { parameter: uniformData(length, seed + 3), direction: uniformData(length, seed + 4, -3, 3), hyper };
        await expectAgreement(own, decayedStep({ length }, target), values, { parameter: f32 }, { shape: [length, step, scale], seed });
      }),
      lawRuns({ runs: 100, name: "adamDirection, decayedStep" }),
    );
  });

  it("orthonormalise gives the Q of regular matrices", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 3 }), dims({ tile: 16, max: 40 }), dataSeed, async (count, size, seed) => {
        const x = uniformData(count * size * size, seed);
        // A dominant diagonal of random signs: regular, so that Q is unique and well-conditioned.
        for (let i = 0; i < count * size; i++) x[i * size + (i % size)] = (i % 3 === 0 ? -2 : 2) * Math.sqrt(size);
        const target = seed % 2 === 0 ? targetOf(own) : portableTarget;
        const allowed: Tolerance = { name: "QR", absolute: 3e-6 * Math.sqrt(size + 1), relative: 1e-5 };
        await expectAgreement(own, orthonormalise({ count, size }, target), { x }, { y: allowed }, { shape: [count, size], seed });
      }),
      lawRuns({ runs: 100, name: "orthonormalise" }),
    );
  });

  it("orthonormalise stays orthogonal for matrices without full rank and of any scale", async (context) => {
    if (device === undefined) return context.skip();
    const size = 37;
    for (const [rank, scale] of [[0, 1], [1, 1e-9], [5, 1], [30, 1e9], [37, 1e-3]] as const) {
      const [left, right] = [uniformData(size * rank, rank + 1), uniformData(rank * size, rank + 2)];
      const x = Float32Array.from({ length: size * size }, (_, at) => {
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += (left[Math.floor(at / size) * rank + k] ?? 0) * (right[k * size + (at % size)] ?? 0) * 0.1 ** k;
        return sum * scale;
      });
      const { y = [] } = await runSequence(device, orthonormalise({ count: 1, size }, targetOf(device)), { x });
      let worst = 0;
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          let dot = 0;
          for (let k = 0; k < size; k++) dot += (y[k * size + i] ?? 0) * (y[k * size + j] ?? 0);
          worst = Math.max(worst, Math.abs(dot - (i === j ? 1 : 0)));
        }
      }
      expect(worst).toBeLessThan(1e-5);
    }
  });

  it("refuses sizes that do not fit", () => {
    expect(() => orthonormalise({ count: 1, size: 5000 }, portableTarget)).toThrow(DeviceLimitError);
    expect(() => orthonormalise({ count: -1, size: 2 }, portableTarget)).toThrow(ShapeError);
    expect(() => adamDirection({ length: 1.5 }, portableTarget)).toThrow(ShapeError);
  });
});
