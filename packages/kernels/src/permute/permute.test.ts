import { checkGradient, dataSeed, dims, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { elementsOf } from "../copy/reference.js";
import { ShapeError } from "../errors.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { inversePermutation, permute } from "./permute.js";

/** A shape of rank 0 to 5, or one with enough rows for the walk along rows, and an order of its axes. */
const permutations = fc
  .oneof(fc.array(dims({ tile: 4, max: 9 }), { minLength: 0, maxLength: 5 }), fc.tuple(fc.constantFrom(64, 300), fc.constantFrom(4, 5), fc.constantFrom(3, 8)).map((shape): number[] => shape))
  .chain((shape) => fc.record({ shape: fc.constant(shape), order: fc.shuffledSubarray(shape.map((_, axis) => axis), { minLength: shape.length }) }));

describe("permute [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference and is undone by the inverse order", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(permutations, dataSeed, async ({ shape, order }, seed) => {
        const x = uniformData(elementsOf(shape), seed);
        const moved = await expectAgreement(own, permute({ shape, order }, targetOf(own)), { x }, {}, { shape: [shape, order], seed });
        const back = permute({ shape: order.map((axis) => shape[axis] ?? 0), order: inversePermutation(order) }, targetOf(own));
        const outputs = await expectAgreement(own, back, { x: Float32Array.from(moved("y")) }, {}, { shape: [shape, order], seed });
        expect([...outputs("y")]).toEqual([...x]);
      }),
      lawRuns({ runs: 24, name: "permute" }),
    );
  });

  it("transposes", async (context) => {
    if (device === undefined) return context.skip();
    const outputs = await expectAgreement(device, permute({ shape: [2, 3], order: [1, 0] }, targetOf(device)), { x: Float32Array.of(1, 2, 3, 4, 5, 6) }, {});
    expect([...outputs("y")]).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it("keeps heads' rows whole: [B, N, H, D] to [B, H, N, D] moves vec4", () => {
    expect(permute({ shape: [8, 168, 8, 32], order: [0, 2, 1, 3] }, portableTarget).name).toBe("permute.rank4.flat.vec4");
  });

  it("refuses orders that are no permutation", () => {
    expect(() => permute({ shape: [2, 3], order: [0, 0] }, portableTarget)).toThrow(ShapeError);
    expect(() => permute({ shape: [2, 3], order: [1] }, portableTarget)).toThrow(ShapeError);
  });
});

describe("permute gradient", () => {
  it("is the inverse permutation", () => {
    fc.assert(
      fc.property(permutations, dataSeed, ({ shape, order }, seed) => {
        const back = permute({ shape: order.map((axis) => shape[axis] ?? 0), order: inversePermutation(order) }, portableTarget);
        checkGradient({
          op: "permute",
          seed,
          point: Float64Array.from(uniformData(elementsOf(shape), seed)),
          forward: (x) => permute({ shape, order }, portableTarget).reference({ x })["y"] ?? x,
          backward: (dy) => back.reference({ x: dy })["y"] ?? dy,
        });
      }),
      lawRuns({ runs: 20, name: "permute gradient" }),
    );
  });
});
