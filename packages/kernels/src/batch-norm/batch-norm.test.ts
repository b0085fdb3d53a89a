import { checkGradient, dataSeed, dims, exact, f32, f32Reduce, lawRuns, maskData, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { sequenceReference } from "../kernel.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement, targetsOf } from "../testing/agreement.js";
import { batchNorm, batchNormBackward } from "./batch-norm.js";
import type { BatchNormShape } from "./reference.js";

/** Parameters and running statistics of a batch norm. */
function parameters(channels: number, seed: number): Record<"weight" | "bias" | "runningMean" | "runningVar", Float32Array> {
  return {
    weight: uniformData(channels, seed, 0.5, 1.5),
    bias: uniformData(channels, seed + 1),
    runningMean: uniformData(channels, seed + 2),
    runningVar: uniformData(channels, seed + 3, 0.5, 2),
  };
}

const inners = fc.oneof(fc.constant(1), dims({ tile: 8, max: 26 }));

describe("batchNorm [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward, in both layouts, with and without a mask", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    const masks = fc.constantFrom(undefined, 0, 0.6, 1);
    await fc.assert(
      fc.asyncProperty(fc.oneof({ arbitrary: dims({ tile: 16, max: 34 }), weight: 5 }, { arbitrary: fc.constant(300), weight: 1 }), fc.integer({ min: 1, max: 12 }), inners, masks, fc.constantFrom(0, 50), dataSeed, async (outer, channels, inner, kept, offset, seed) => {
        const shape: BatchNormShape = { outer, channels, inner: outer === 300 ? 1 : inner, masked: kept !== undefined };
        const note = { shape: [outer, channels, inner, kept, offset], seed };
        const length = outer * channels * shape.inner;
        const positions = outer * shape.inner;
        const { weight, bias, ...running } = parameters(channels, seed);
        const data = { x: uniformData(length, seed + 4, offset - 2, offset + 2), ...(kept === undefined ? {} : { valid: maskData(positions, seed, kept) }) };
        const size = f32Reduce(positions, 4 * (1 + offset));
        for (const target of targetsOf(own)) {
          const tolerances = { y: size, mean: size, rstd: size, count: exact, nextMean: size, nextVar: f32Reduce(positions, 8 * (1 + offset)) };
          const saved = await expectAgreement(own, batchNorm({ ...shape, eps: 0.1, momentum: 0.3 }, target), { ...data, weight, bias, ...running }, tolerances, note);
          const inputs = { ...data, dy: uniformData(length, seed + 5), weight, mean: saved("mean"), rstd: saved("rstd"), count: saved("count") };
          const sums = f32Reduce(positions, 8 * (1 + offset));
          await expectAgreement(own, batchNormBackward(shape, target), inputs, { dx: f32Reduce(positions, 8), dweight: sums, dbias: f32Reduce(positions, 2) }, note);
        }
      }),
      lawRuns({ runs: 100, name: "batchNorm" }),
    );
  });

  it("counts nothing where there is nothing", async (context) => {
    if (device === undefined) return context.skip();
    const shape = { outer: 3, channels: 2, inner: 0 };
    const saved = await expectAgreement(device, batchNorm(shape, targetOf(device)), { x: new Float32Array(), ...parameters(2, 1) }, { rstd: f32 });
    expect([...saved("count")]).toEqual([0]);
  });

  it("keeps its precision under an offset of 1000, over blocks and within them", async (context) => {
    if (device === undefined) return context.skip();
    for (const [outer, inner] of [[2000, 1], [3, 700]] as const) {
      // Multiples of 1/16 around 1000 are exact in float32, so only the kernel's own rounding shows.
      const x = uniformData(outer * 4 * inner, 9).map((value) => 1000 + Math.round(value * 32) / 16);
      const inputs = { x, ...parameters(4, 1) };
      await expectAgreement(device, batchNorm({ outer, channels: 4, inner }, targetOf(device)), inputs, { y: { ...f32, absolute: 5e-4 }, mean: f32, rstd: { ...f32, relative: 1e-4 }, nextMean: f32, nextVar: { ...f32, relative: 1e-4 } }, { shape: [outer, inner] });
    }
  });

  it("keeps the running statistics when nothing counts, and ignores what the mask leaves out", async (context) => {
    if (device === undefined) return context.skip();
    const given = parameters(2, 3);
    const shape = { outer: 3, channels: 2, inner: 1, masked: true };
    const none = await expectAgreement(device, batchNorm(shape, targetOf(device)), { x: uniformData(6, 1), valid: new Float32Array(3), ...given }, { y: f32Reduce(1, 1e3), rstd: f32Reduce(1, 1e3) });
    expect([...none("nextMean"), ...none("nextVar")]).toEqual([...given.runningMean, ...given.runningVar]);
    const valid = Float32Array.of(1, 0, 1);
    const one = await expectAgreement(device, batchNorm(shape, targetOf(device)), { x: Float32Array.of(1, 2, 1e30, -1e30, 3, 5), valid, ...given }, { y: { ...f32, relative: 1e-4 }, mean: f32, rstd: f32, nextMean: f32, nextVar: f32 });
    expect([...one("mean")]).toEqual([2, 3.5]);
  });

  it("refuses a tensor without channels", () => {
    expect(() => batchNorm({ outer: 3, channels: 0, inner: 1 }, portableTarget)).toThrow(ShapeError);
  });
});

describe("batchNorm gradients", () => {
  it("match central differences for x, weight and bias", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 1, max: 4 }), fc.constantFrom(1, 3), fc.boolean(), dataSeed, (outer, channels, inner, masked, seed) => {
        const shape = { outer, channels, inner, masked };
        const size = outer * channels * inner;
        const { runningMean, runningVar } = parameters(channels, seed);
        const fixed = { runningMean: Float64Array.from(runningMean), runningVar: Float64Array.from(runningVar), ...(masked ? { valid: Float64Array.from(maskData(outer * inner, seed, 0.7)) } : {}) };
        const slices = (point: Float64Array) => ({ x: point.slice(0, size), weight: point.slice(size, size + channels), bias: point.slice(size + channels), ...fixed });
        const point = Float64Array.from(uniformData(size + 2 * channels, seed));
        const sequence = batchNorm({ ...shape, eps: 1e-2 }, portableTarget);
        const saved = sequenceReference(sequence, slices(point));
        const { mean = point, rstd = point, count = point } = saved;
        checkGradient({
          op: "batchNorm",
          seed,
          point,
          forward: (moved) => sequenceReference(sequence, slices(moved))["y"] ?? moved,
          backward: (dy) => {
            const gradients = sequenceReference(batchNormBackward(shape, portableTarget), { ...slices(point), mean, rstd, count, dy });
            return Float64Array.from([...(gradients["dx"] ?? []), ...(gradients["dweight"] ?? []), ...(gradients["dbias"] ?? [])]);
          },
        });
      }),
      lawRuns({ runs: 100, name: "batchNorm gradient" }),
    );
  });
});
