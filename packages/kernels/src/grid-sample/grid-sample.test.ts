import { checkGradient, compare, dataSeed, dims, f32, f32Reduce, lawRuns, openTestDevice, uniformData, uniformSource } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { runSequence } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { gridSample, gridSampleGridBackward, gridSampleInputBackward } from "./grid-sample.js";
import { gridMapping, gridSampleBackwardReference, gridSampleReference } from "./reference.js";
import type { GridSampleShape } from "./reference.js";

const shapes: fc.Arbitrary<GridSampleShape> = fc.record({
  batch: dims({ tile: 2, max: 3 }),
  height: fc.integer({ min: 1, max: 6 }),
  width: fc.integer({ min: 1, max: 6 }),
  channels: fc.oneof(dims({ tile: 8, max: 20 }), fc.constant(68)),
  samples: dims({ tile: 16, max: 24 }),
  padding: fc.constantFrom("zeros", "border"),
  alignCorners: fc.boolean(),
});

/** Positions in and around the images, away from pixel centres, where the slope jumps. */
function positions(shape: GridSampleShape, seed: number): Float32Array {
  const { height, width, batch, samples } = shape;
  const { scaleX, scaleY } = gridMapping("test", shape);
  const next = uniformSource(seed);
  const draw = (scale: number, size: number): number => {
    for (;;) {
      const value = Math.fround(-2 + 4 * next());
      const pixels = value * scale + (size - 1) / 2;
      if (scale === 0 || Math.abs(pixels - Math.round(pixels)) > 1e-3) return value;
    }
  };
  return Float32Array.from({ length: batch * samples * 2 }, (_, i) => (i % 2 === 0 ? draw(scaleX, width) : draw(scaleY, height)));
}

describe("gridSample [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward, on this target and on a GPU's", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), dataSeed, async (shape, portable, seed) => {
        const target = portable ? portableTarget : targetOf(own);
        const { batch, height, width, channels, samples } = shape;
        const x = uniformData(batch * height * width * channels, seed);
        const dy = uniformData(batch * samples * channels, seed + 1);
        const grid = positions(shape, seed + 2);
        const note = { shape, seed };
        await expectAgreement(own, gridSample(shape, target), { x, grid }, { y: f32Reduce(4, 4) }, note);
        await expectAgreement(own, gridSampleGridBackward(shape, target), { x, grid, dy }, { dgrid: f32Reduce(4 * channels, 6) }, note);
        const backward = gridSampleInputBackward(shape, target);
        const sums = await expectAgreement(own, backward, { grid, dy }, { dx: f32Reduce(4 * samples, 4) }, note);
        const plain = gridSampleBackwardReference(shape, { x: Float64Array.from(x), grid: Float64Array.from(grid), dy: Float64Array.from(dy) });
        compare(sums("dx"), plain.dx, f32Reduce(4 * samples, 4), { op: "dx", ...note });
        expect((await runSequence(own, backward, { grid, dy }))["dx"]).toEqual(sums("dx"));
      }),
      lawRuns({ runs: 100, name: "gridSample" }),
    );
  });

  it("samples centres, edges and far outside as PyTorch does", async (context) => {
    if (device === undefined) return context.skip();
    const x = Float32Array.of(1, 2, 3, 4);
    // A corner, the middle, the outer edge half a pixel outside, and positions no image reaches.
    const grid = Float32Array.of(-1, -1, 0, 0, 1, 0, 1e30, -1e30, 5, 0);
    const image = { batch: 1, height: 2, width: 2, channels: 1, samples: 5 };
    const expected = [
      { padding: "zeros", alignCorners: true, y: [1, 2.5, 3, 0, 0] },
      { padding: "zeros", alignCorners: false, y: [0.25, 2.5, 1.5, 0, 0] },
      { padding: "border", alignCorners: true, y: [1, 2.5, 3, 2, 3] },
      { padding: "border", alignCorners: false, y: [1, 2.5, 3, 2, 3] },
    ] as const;
    for (const { y, ...convention } of expected) {
      const outputs = await expectAgreement(device, gridSample({ ...image, ...convention }, targetOf(device)), { x, grid }, { y: f32 });
      compare(outputs("y"), y, f32, { op: "gridSample", shape: convention });
    }
  });
});

describe("gridSample gradients", () => {
  it("match central differences for images and positions", () => {
    fc.assert(
      fc.property(shapes, dataSeed, (shape, seed) => {
        const { batch, height, width, channels, samples } = shape;
        const size = batch * height * width * channels;
        const parts = (all: Float64Array) => ({ x: all.slice(0, size), grid: all.slice(size) });
        const point = Float64Array.of(...uniformData(size, seed), ...positions(shape, seed + 1));
        expect(point.length).toBe(size + batch * samples * 2);
        checkGradient({
          op: "gridSample",
          seed,
          point,
          forward: (moved) => gridSampleReference(shape, parts(moved)).y,
          backward: (dy) => {
            const { dx, dgrid } = gridSampleBackwardReference(shape, { ...parts(point), dy });
            return Float64Array.of(...dx, ...dgrid);
          },
        });
      }),
      lawRuns({ runs: 100, name: "gridSample gradient" }),
    );
  });
});
