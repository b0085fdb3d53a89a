import { checkGradient, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, uniformData, uniformSource } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { gatherReference } from "../gather/reference.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { segmentSumReference } from "./reference.js";
import { segmentSum } from "./segment-sum.js";

const shapes = fc.record({ items: dims({ tile: 16, max: 70 }), segments: fc.oneof(dims({ tile: 8 }), fc.constant(300)), width: dims({ tile: 8 }) });

/** Ids in ascending order, from -1 to segments, so some count nowhere and some segments are empty. */
function sortedIds(items: number, segments: number, seed: number): Int32Array {
  const next = uniformSource(seed);
  return Int32Array.from({ length: items }, () => Math.floor(next() * (segments + 2)) - 1).sort();
}

describe("segmentSum [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, empty segments and ids outside included", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), dataSeed, async (shape, portable, seed) => {
        const { items, segments, width } = shape;
        const inputs = { x: uniformData(items * width, seed), ids: sortedIds(items, segments, seed) };
        await expectAgreement(own, segmentSum(shape, portable ? portableTarget : targetOf(own)), inputs, { y: f32Reduce(items) }, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "segmentSum" }),
    );
  });

  it("gives zeros for segments without rows", async (context) => {
    if (device === undefined) return context.skip();
    const outputs = await expectAgreement(device, segmentSum({ items: 4, segments: 3, width: 1 }, targetOf(device)), { x: Float32Array.of(1, 2, 4, 8), ids: Int32Array.of(0, 0, 2, 3) }, {});
    expect([...outputs("y")]).toEqual([3, 0, 4]);
  });
});

describe("segmentSum gradient", () => {
  it("is the gather of its rows", () => {
    fc.assert(
      fc.property(shapes, dataSeed, (shape, seed) => {
        const ids = Float64Array.from(sortedIds(shape.items, shape.segments, seed));
        checkGradient({
          op: "segmentSum",
          seed,
          point: Float64Array.from(uniformData(shape.items * shape.width, seed)),
          forward: (x) => segmentSumReference(shape, { x, ids }).y,
          backward: (dy) => gatherReference({ batch: 1, rows: shape.segments, indices: shape.items, width: shape.width }, { src: dy, index: ids }).y,
        });
      }),
      lawRuns({ runs: 100, name: "segmentSum gradient" }),
    );
  });
});
