import { dataSeed, dims, exact, f32, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { runKernel } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { adamw } from "./adamw.js";
import { clipScale } from "./clip-scale.js";
import { adamwReference } from "./reference.js";

function hyperAt(step: number, gradientScale = 1): Float32Array {
  return Float32Array.of(3e-4, 0.9, 0.999, 1e-8, 0.01, 1 - 0.9 ** step, 1 - 0.999 ** step, gradientScale);
}

describe("adamw [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference for any length, step and gradient scale", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 256, max: 5000 }), fc.constantFrom(1, 2, 1000), fc.constantFrom(1, 0.01, 0, -1), dataSeed, async (length, step, scale, seed) => {
        const inputs = {
          parameter: uniformData(length, seed),
          gradient: uniformData(length, seed + 1, -100, 100),
          m: uniformData(length, seed + 2),
          v: uniformData(length, seed + 3, 0, 1),
          hyper: hyperAt(step, scale),
        };
        // v grows to (0.1 * 100)^2: relative rounding of its sum. m may cancel, so it is allowed the rounding of its terms.
        const tolerances = scale < 0 ? { parameter: exact, m: exact, v: exact } : { parameter: f32, m: { ...f32, absolute: 1e-5 }, v: f32 };
        for (const target of [targetOf(own), portableTarget]) {
          await expectAgreement(own, adamw({ length }, target), inputs, tolerances, { shape: [length, step, scale], seed });
        }
      }),
      lawRuns({ runs: 12, name: "adamw" }),
    );
  });

  it("skips the update under a negative scale even where the gradient is NaN", async (context) => {
    if (device === undefined) return context.skip();
    const inputs = { parameter: Float32Array.of(1, 2, 3), gradient: Float32Array.of(Number.NaN, Infinity, 0), m: Float32Array.of(4, 5, 6), v: Float32Array.of(7, 8, 9), hyper: hyperAt(1, -1) };
    const { parameter, m, v } = await runKernel(device, adamw({ length: 3 }, targetOf(device)), inputs);
    expect([...(parameter ?? []), ...(m ?? []), ...(v ?? [])]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("clips to the norm, lets smaller gradients through, and flags what is not finite", async (context) => {
    if (device === undefined) return context.skip();
    const cases = [[2500, 0, 0.5, 50], [100, 0, 1, 10], [0, 0, 1, 0], [2500, 1, -1, -1], [Infinity, 0, -1, -1], [Number.NaN, 0, -1, -1]] as const;
    for (const [squares, nonFinite, scale, norm] of cases) {
      const outputs = await expectAgreement(device, clipScale({ maxNorm: 25 }), { sumSquares: Float32Array.of(squares), nonFinite: Uint32Array.of(nonFinite) }, { scale: f32, norm: f32 });
      expect(outputs("scale")[0]).toBeCloseTo(scale, 6);
      expect(outputs("norm")[0]).toBeCloseTo(norm, 4);
    }
    const free = await runKernel(device, clipScale({ maxNorm: 0 }), { sumSquares: Float32Array.of(1e6), nonFinite: Uint32Array.of(0) });
    expect(free["scale"]?.[0]).toBe(1);
    expect(() => clipScale({ maxNorm: -1 })).toThrow(ShapeError);
  });
});

describe("adamw reference", () => {
  it("equals the closed form: exponentially weighted means of all gradients, decay before the step", () => {
    const [rate, beta1, beta2, eps, weightDecay] = [0.1, 0.9, 0.999, 1e-8, 0.01] as const;
    const gradients = [0.1, 0.3, -0.5, 0, 2];
    const mean = (beta: number, values: readonly number[]): number => {
      const weights = values.map((_, i) => beta ** (values.length - 1 - i));
      return values.reduce((sum, value, i) => sum + value * (weights[i] ?? 0), 0) / weights.reduce((sum, weight) => sum + weight, 0);
    };
    let expected = 0.5;
    let state: ReturnType<typeof adamwReference> = { parameter: Float64Array.of(0.5), m: new Float64Array(1), v: new Float64Array(1) };
    gradients.forEach((g, index) => {
      const step = index + 1;
      const hyper = Float64Array.of(rate, beta1, beta2, eps, weightDecay, 1 - beta1 ** step, 1 - beta2 ** step, 1);
      state = adamwReference(1, { ...state, gradient: Float64Array.of(g), hyper });
      const seen = gradients.slice(0, step);
      expected = expected * (1 - rate * weightDecay) - (rate * mean(beta1, seen)) / (Math.sqrt(mean(beta2, seen.map((value) => value * value))) + eps);
      expect(state.parameter[0]).toBeCloseTo(expected, 12);
    });
  });
});
