import { checkGradient, dataSeed, dims, exact, lawRuns, maskData, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { maxPool, maxPoolBackward } from "./max-pool.js";
import { maxPoolBackwardReference, maxPoolReference } from "./reference.js";

const shapes = fc.record({ outer: fc.oneof(dims({ tile: 8 }), fc.constant(40)), n: dims({ tile: 19, max: 22 }), inner: dims({ tile: 8 }), mask: fc.boolean() });

describe("maxPool [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward, ties and masks included", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.constantFrom(0.3, 1), dataSeed, async (shape, masked, seed) => {
        const { outer, n, inner, mask } = shape;
        const x = uniformData(outer * n * inner, seed, -2, 2).map((value) => Math.round(value * 4) / 4);
        const inputs = mask ? { x, mask: maskData(outer * n, seed, masked) } : { x };
        const outputs = await expectAgreement(own, maxPool(shape, targetOf(own)), inputs, { y: exact }, { shape, seed });
        const dy = uniformData(outer * inner, seed + 1);
        await expectAgreement(own, maxPoolBackward(shape, targetOf(own)), { index: outputs("index"), dy }, { dx: exact }, { shape, seed });
      }),
      lawRuns({ runs: 20, name: "maxPool" }),
    );
  });

  it("gives 0 and index -1 where all points are masked", async (context) => {
    if (device === undefined) return context.skip();
    const inputs = { x: Float32Array.of(-3, -2, 5, 7), mask: Float32Array.of(0, 0, 1, 1) };
    const outputs = await expectAgreement(device, maxPool({ outer: 2, n: 2, inner: 1, mask: true }, targetOf(device)), inputs, {});
    expect([[...outputs("y")], [...outputs("index")]]).toEqual([[-2, 0], [1, -1]]);
  });
});

describe("maxPool gradient", () => {
  it("matches central differences away from ties", () => {
    fc.assert(
      fc.property(shapes, dataSeed, (shape, seed) => {
        const { outer, n, inner } = shape;
        const mask = Float64Array.from(maskData(outer * n, seed));
        // All different, by at least 1e-3: a shuffled ramp, far wider than the difference step.
        const noise = uniformData(outer * n * inner, seed);
        const order = Array.from(noise.keys()).sort((a, b) => (noise[a] ?? 0) - (noise[b] ?? 0));
        const x = new Float64Array(noise.length);
        order.forEach((position, rank) => (x[position] = rank * 1e-3));
        const { index } = maxPoolReference(shape, { x, mask });
        checkGradient({
          op: "maxPool",
          seed,
          point: x,
          forward: (point) => maxPoolReference(shape, { x: point, mask }).y,
          backward: (dy) => maxPoolBackwardReference(shape, { index, dy }).dx,
        });
      }),
      lawRuns({ runs: 30, name: "maxPool gradient" }),
    );
  });
});
