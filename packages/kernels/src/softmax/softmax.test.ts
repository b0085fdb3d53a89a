import { checkGradient, dataSeed, dims, f32, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement, targetsOf } from "../testing/agreement.js";
import { softmaxBackwardReference, softmaxReference } from "./reference.js";
import { logSoftmax, logSoftmaxBackward, softmax, softmaxBackward } from "./softmax.js";

describe("softmax [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward, on this target and on a GPU's", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 16, max: 40 }), dims({ tile: 32, max: 68 }), fc.constantFrom(1, 80, 1e30), dataSeed, async (rows, width, range, seed) => {
        const shape = { rows, width };
        const x = uniformData(rows * width, seed, -range, range);
        const dy = uniformData(rows * width, seed + 1);
        for (const target of targetsOf(own)) {
          const note = { shape: [rows, width, range], seed };
          const plain = await expectAgreement(own, softmax(shape, target), { x }, { y: f32Reduce(width) }, note);
          const log = await expectAgreement(own, logSoftmax(shape, target), { x }, { y: f32Reduce(width) }, note);
          await expectAgreement(own, softmaxBackward(shape, target), { y: plain("y"), dy }, { dx: f32Reduce(width) }, note);
          await expectAgreement(own, logSoftmaxBackward(shape, target), { y: log("y"), dy }, { dx: f32Reduce(width, Math.sqrt(width + 1)) }, note);
        }
      }),
      lawRuns({ runs: 100, name: "softmax" }),
    );
  });

  it("gives one n-th to each of n equal elements and nothing to masked ones", async (context) => {
    if (device === undefined) return context.skip();
    const target = targetOf(device);
    const outputs = await expectAgreement(device, softmax({ rows: 2, width: 4 }, target), { x: Float32Array.of(-1e30, -1e30, -1e30, -1e30, 5, -1e30, 5, -1e30) }, { y: f32 });
    expect([...outputs("y")]).toEqual([0.25, 0.25, 0.25, 0.25, 0.5, 0, 0.5, 0]);
  });

  it("takes more rows than one grid dimension has workgroups", async (context) => {
    if (device === undefined) return context.skip();
    const rows = 70_001;
    const x = uniformData(rows * 2, 3);
    await expectAgreement(device, softmax({ rows, width: 2 }, targetOf(device)), { x }, { y: f32 });
    expect(softmax({ rows: 70_001, width: 65 }, portableTarget).grid).toEqual([32768, 3, 1]);
  });
});

describe("softmax gradients", () => {
  it.each([false, true])("match central differences, log %s", (log) => {
    fc.assert(
      fc.property(dims({ tile: 4 }), dims({ tile: 4 }), dataSeed, (rows, width, seed) => {
        const shape = { rows, width, log };
        const x = Float64Array.from(uniformData(rows * width, seed, -3, 3));
        const { y } = softmaxReference(shape, { x });
        checkGradient({
          op: "softmax",
          seed,
          point: x,
          forward: (point) => softmaxReference(shape, { x: point }).y,
          backward: (dy) => softmaxBackwardReference(shape, { y, dy }).dx,
        });
      }),
      lawRuns({ runs: 100, name: "softmax gradient" }),
    );
  });
});
