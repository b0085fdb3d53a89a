import { checkGradient, dataSeed, dims, exact, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { pool2dGeometry } from "./geometry.js";
import { averagePool2d, averagePool2dBackward, maxPool2d, maxPool2dBackward } from "./pool.js";
import { averagePool2dBackwardReference, averagePool2dReference, maxPool2dBackwardReference, maxPool2dReference, poolLengths } from "./reference.js";

const axis = fc.integer({ min: 1, max: 4 }).chain((taps) => fc.record({ taps: fc.constant(taps), stride: fc.integer({ min: 1, max: 3 }), padding: fc.integer({ min: 0, max: Math.floor(taps / 2) }), dilation: fc.integer({ min: 1, max: 2 }) }));
const size = dims({ tile: 4, min: 1, max: 12 });

/** Geometries that fit; the second channel count moves whole vectors. */
const options = fc
  .record({ batch: dims({ tile: 2, max: 3 }), height: size, width: size, channels: fc.constantFrom(1, 3, 4, 8), y: axis, x: axis, countPadding: fc.boolean() })
  .map(({ y, x, ...rest }) => ({ ...rest, kernel: [y.taps, x.taps], stride: [y.stride, x.stride], padding: [y.padding, x.padding], dilation: [y.dilation, x.dilation] }) as const)
  .filter(({ height, width, kernel, padding, dilation }) => height + 2 * padding[0] > dilation[0] * (kernel[0] - 1) && width + 2 * padding[1] > dilation[1] * (kernel[1] - 1));

describe("pool2d [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("takes maxima as the reference does, forward and backward, ties included", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(options, fc.boolean(), dataSeed, async (shape, portable, seed) => {
        const target = portable ? portableTarget : targetOf(own);
        const { input, output } = poolLengths(pool2dGeometry("test", shape));
        const x = uniformData(input, seed, -2, 2).map((value) => Math.round(value * 4) / 4);
        const outputs = await expectAgreement(own, maxPool2d(shape, target), { x }, { y: exact }, { shape, seed });
        const dy = uniformData(output, seed + 1);
        await expectAgreement(own, maxPool2dBackward(shape, target), { index: outputs("index"), dy }, { dx: f32Reduce(16) }, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "maxPool2d" }),
    );
  });

  it("averages as the reference does, forward and backward", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(options, fc.boolean(), dataSeed, async (shape, portable, seed) => {
        const target = portable ? portableTarget : targetOf(own);
        const { input, output } = poolLengths(pool2dGeometry("test", { ...shape, dilation: 1 }));
        await expectAgreement(own, averagePool2d(shape, target), { x: uniformData(input, seed) }, { y: f32Reduce(16) }, { shape, seed });
        await expectAgreement(own, averagePool2dBackward(shape, target), { dy: uniformData(output, seed + 1) }, { dx: f32Reduce(16) }, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "averagePool2d" }),
    );
  });
});

describe("pool2d", () => {
  it("pools by hand as PyTorch does", () => {
    const x = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
    const image = { batch: 1, height: 3, width: 3, channels: 1, kernel: 3, stride: 2, padding: 1 };
    expect([...maxPool2dReference(pool2dGeometry("test", image), { x }).y]).toEqual([5, 6, 8, 9]);
    expect([...maxPool2dReference(pool2dGeometry("test", image), { x }).index]).toEqual([4, 5, 7, 8]);
    expect([...averagePool2dReference(pool2dGeometry("test", image), { x }).y]).toEqual([12 / 9, 16 / 9, 24 / 9, 28 / 9]);
    expect([...averagePool2dReference(pool2dGeometry("test", { ...image, countPadding: false }), { x }).y]).toEqual([3, 4, 6, 7]);
    expect([...averagePool2dReference(pool2dGeometry("test", { ...image, kernel: 3, padding: 0 }), { x }).y]).toEqual([5]);
  });

  it("has the gradients its central differences say, away from ties", () => {
    fc.assert(
      fc.property(options, dataSeed, (shape, seed) => {
        const pool = pool2dGeometry("test", shape);
        const whole = pool2dGeometry("test", { ...shape, dilation: 1 });
        const { input } = poolLengths(pool);
        const noise = uniformData(input, seed);
        const point = new Float64Array(input);
        Array.from(noise.keys()).sort((a, b) => (noise[a] ?? 0) - (noise[b] ?? 0)).forEach((position, rank) => (point[position] = rank * 1e-3));
        const { index } = maxPool2dReference(pool, { x: point });
        checkGradient({ op: "maxPool2d", seed, point, forward: (x) => maxPool2dReference(pool, { x }).y, backward: (dy) => maxPool2dBackwardReference(pool, { index, dy }).dx });
        checkGradient({ op: "averagePool2d", seed, point, forward: (x) => averagePool2dReference(whole, { x }).y, backward: (dy) => averagePool2dBackwardReference(whole, { dy }).dx });
      }),
      lawRuns({ runs: 30, name: "pool2d gradient" }),
    );
  });

  it("refuses what does not fit", () => {
    const image = { batch: 1, height: 3, width: 3, channels: 1 };
    expect(() => maxPool2d({ ...image, kernel: 2, padding: 2 }, portableTarget)).toThrow(/too much padding along y, expected at most half the kernel \(1\), got 2/);
    expect(() => averagePool2d({ ...image, kernel: 4 }, portableTarget)).toThrow(ShapeError);
  });
});
