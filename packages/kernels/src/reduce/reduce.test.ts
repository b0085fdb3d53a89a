import { dataSeed, dims, exact, f32, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { sequenceReference } from "../kernel.js";
import { runSequence } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { nonFiniteCount, reduce, sumSquares } from "./reduce.js";
import type { ReduceKind } from "./reduce.js";

const kinds: readonly ReduceKind[] = ["sum", "mean", "max", "min", "argMax", "argMin"];

describe("reduce [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference for every kind, on this target and on a GPU's", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...kinds), dims({ tile: 4 }), dims({ tile: 64, min: 1, max: 140 }), fc.oneof(fc.constant(1), dims({ tile: 4 })), dataSeed, async (kind, outer, n, inner, seed) => {
        // Multiples of 1/4 make ties common, so that "the first among equals" is tested too.
        const x = uniformData(outer * n * inner, seed, -2, 2).map((value) => Math.round(value * 4) / 4);
        for (const target of [targetOf(own), portableTarget]) {
          await expectAgreement(own, reduce({ kind, outer, n, inner }, target), { x }, { y: kind === "max" || kind === "min" ? exact : f32Reduce(n, 2) }, { shape: [outer, n, inner], seed });
        }
      }),
      lawRuns({ runs: 100, name: "reduce" }),
    );
  });

  it.for(kinds)("takes two stages for long axes with few results: %s", async (kind, context) => {
    if (device === undefined) return context.skip();
    for (const [outer, n, inner] of [[1, 16_384, 1], [2, 16_387, 1], [1, 4_099, 3], [1, 2_048, 4]] as const) {
      const x = uniformData(outer * n * inner, 5).map((value) => Math.round(value * 64) / 64);
      const own = reduce({ kind, outer, n, inner }, targetOf(device));
      const portable = reduce({ kind, outer, n, inner }, portableTarget);
      expect([own.kernels.length, portable.kernels.length], own.name).toEqual([2, 2]);
      for (const work of [own, portable]) {
        await expectAgreement(device, work, { x }, { y: kind === "max" || kind === "min" ? exact : f32Reduce(n) }, { shape: [outer, n, inner] });
        const whole = Object.values(sequenceReference(work, { x: Float64Array.from(x) }));
        const plain = Object.values(sequenceReference(reduce({ kind, outer: outer * inner, n, inner: 1 }, { ...portableTarget, class: "software" }), { x: regrouped(x, n, inner) }));
        whole.forEach((array, i) => array.forEach((value, k) => expect(value).toBeCloseTo(plain[i]?.[k] ?? Number.NaN, 9)));
      }
    }
  });

  it("sums squares of flat arrays of any length", async (context) => {
    if (device === undefined) return context.skip();
    for (const length of [0, 1, 7, 4_096, 70_001, 70_004]) {
      const x = uniformData(length, length);
      for (const target of [targetOf(device), portableTarget]) {
        await expectAgreement(device, sumSquares({ length }, target), { x }, { y: f32Reduce(length) }, { shape: [length] });
      }
    }
  });

  it("counts NaN and infinities by their bits", async (context) => {
    if (device === undefined) return context.skip();
    for (const length of [0, 5, 4_000, 70_004]) {
      const x = uniformData(length, 1, -3e38, 3e38);
      const wrong = [0, 3, length - 1].filter((i) => i >= 0 && i < length);
      wrong.forEach((i, k) => (x[i] = [Number.NaN, Infinity, -Infinity][k] ?? 0));
      for (const target of [targetOf(device), portableTarget]) {
        const { y } = await runSequence(device, nonFiniteCount({ length }, target), { x });
        expect([...(y ?? [])]).toEqual([new Set(wrong).size]);
      }
    }
  });

  it("defines the sum of nothing and refuses its maximum", async (context) => {
    expect(() => reduce({ kind: "max", outer: 2, n: 0, inner: 1 }, portableTarget)).toThrow(ShapeError);
    if (device === undefined) return context.skip();
    const outputs = await expectAgreement(device, reduce({ kind: "sum", outer: 2, n: 0, inner: 3 }, targetOf(device)), { x: new Float32Array() }, { y: f32 });
    expect([...outputs("y")]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

/** [outer, n, inner] -> [outer * inner, n]. */
function regrouped(x: Float32Array, n: number, inner: number): Float64Array {
  return Float64Array.from({ length: x.length }, (_, k) => x[(Math.floor(k / n / inner) * n + (k % n)) * inner + (Math.floor(k / n) % inner)] ?? Number.NaN);
}
