import { checkGradient, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { sequenceReference } from "../kernel.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { cumsum } from "./cumsum.js";

describe("cumsum [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference in both directions", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 8 }), dims({ tile: 12 }), dims({ tile: 4 }), fc.boolean(), dataSeed, async (outer, n, inner, reverse, seed) => {
        const x = uniformData(outer * n * inner, seed);
        await expectAgreement(own, cumsum({ outer, n, inner, reverse }, targetOf(own)), { x }, { y: f32Reduce(n) }, { shape: [outer, n, inner], seed });
      }),
      lawRuns({ runs: 20, name: "cumsum" }),
    );
  });

  it.for([false, true])("sums long axes in chunks, reverse %s", async (reverse, context) => {
    if (device === undefined) return context.skip();
    for (const [outer, n, inner] of [[1, 16_387, 1], [1, 2_049, 3], [2, 2_048, 4]] as const) {
      const x = uniformData(outer * n * inner, 2);
      for (const target of [targetOf(device), portableTarget]) {
        const work = cumsum({ outer, n, inner, reverse }, target);
        expect(work.kernels.length).toBe(3);
        const outputs = await expectAgreement(device, work, { x }, { y: f32Reduce(n) }, { shape: [outer, n, inner] });
        const total = x.filter((_, k) => k < n * inner && k % inner === 0).reduce((sum, value) => sum + value, 0);
        expect(outputs("y")[reverse ? 0 : (n - 1) * inner]).toBeCloseTo(total, 2);
      }
    }
  });
});

describe("cumsum gradient", () => {
  it("is the sum in the other direction", () => {
    fc.assert(
      fc.property(dims({ tile: 3 }), dims({ tile: 6 }), dims({ tile: 3 }), fc.boolean(), dataSeed, (outer, n, inner, reverse, seed) => {
        const run = (direction: boolean, x: Float64Array): Float64Array => sequenceReference(cumsum({ outer, n, inner, reverse: direction }, portableTarget), { x })["y"] ?? x;
        checkGradient({ op: "cumsum", seed, point: Float64Array.from(uniformData(outer * n * inner, seed)), forward: (x) => run(reverse, x), backward: (dy) => run(!reverse, dy) });
      }),
      lawRuns({ runs: 30, name: "cumsum gradient" }),
    );
  });
});
