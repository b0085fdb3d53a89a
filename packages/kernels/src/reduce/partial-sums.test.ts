import { dataSeed, dims, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, it } from "vitest";
import { sequenceOf } from "../kernel.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { addPartialSums } from "./partial-sums.js";

describe("addPartialSums [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, on this target and on a GPU's", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 4 }), dims({ tile: 64, max: 140 }), dataSeed, async (chunks, sums, columns, seed) => {
        const partial = uniformData(chunks * sums * columns, seed);
        const tolerances = Object.fromEntries(Array.from({ length: sums }, (_, i) => [`y${i}`, f32Reduce(chunks)]));
        for (const target of [targetOf(own), portableTarget]) {
          await expectAgreement(own, sequenceOf(addPartialSums({ chunks, sums, columns }, target)), { partial }, tolerances, { shape: [chunks, sums, columns], seed });
        }
      }),
      lawRuns({ runs: 100, name: "addPartialSums" }),
    );
  });
});
