import { checkGradient, dataSeed, dims, f32, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { randomKey } from "../random/threefry.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { dropout } from "./dropout.js";

const rates = fc.constantFrom(0, 0.1, 0.5, 0.999);

describe("dropout [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference bit for bit in what it drops", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 256, max: 3000 }), rates, fc.nat(1000), dataSeed, async (length, rate, opId, seed) => {
        const x = uniformData(length, seed, 1, 2);
        for (const target of [targetOf(own), portableTarget]) {
          await expectAgreement(own, dropout({ length, opId, rate }, target), { x, key: randomKey(seed, 3) }, { y: f32 }, { shape: [length, rate, opId], seed });
        }
      }),
      lawRuns({ runs: 12, name: "dropout" }),
    );
  });

  it("drops the share it was asked to and keeps the mean", async (context) => {
    if (device === undefined) return context.skip();
    const length = 100_000;
    const inputs = { x: new Float32Array(length).fill(1), key: randomKey(1, 1) };
    const outputs = await expectAgreement(device, dropout({ length, opId: 4, rate: 0.3 }, targetOf(device)), inputs, { y: f32 });
    const values = Array.from(outputs("y"));
    const dropped = values.filter((value) => value === 0).length / length;
    expect(Math.abs(dropped - 0.3)).toBeLessThan(5 * Math.sqrt((0.3 * 0.7) / length));
    expect(values.reduce((sum, value) => sum + value, 0) / length).toBeCloseTo(1, 1);
  });
});

describe("dropout gradient", () => {
  it("is the same mask applied to dy", () => {
    fc.assert(
      fc.property(dims(), rates, dataSeed, (length, rate, seed) => {
        const key = Float64Array.from(randomKey(seed, 1));
        const run = (x: Float64Array): Float64Array => dropout({ length, opId: 1, rate }, portableTarget).reference({ x, key })["y"] ?? x;
        checkGradient({ op: "dropout", seed, point: Float64Array.from(uniformData(length, seed)), forward: run, backward: run });
      }),
      lawRuns({ runs: 20, name: "dropout gradient" }),
    );
  });

  it("refuses rates that keep nothing", () => {
    expect(() => dropout({ length: 4, opId: 0, rate: 1 }, portableTarget)).toThrow(ShapeError);
  });
});
