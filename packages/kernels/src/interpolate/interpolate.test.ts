import { checkGradient, dataSeed, dims, exact, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { interpolate2d, interpolate2dBackward } from "./interpolate.js";
import { interpolate2dBackwardReference, interpolate2dReference } from "./reference.js";

const size = dims({ tile: 4, min: 1, max: 13 });
const options = fc.record({ batch: dims({ tile: 2, max: 3 }), height: size, width: size, outHeight: size, outWidth: size, channels: fc.constantFrom(1, 3, 4, 8), mode: fc.constantFrom("nearest", "bilinear") });

describe("interpolate2d [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(options, fc.boolean(), dataSeed, async (shape, portable, seed) => {
        const target = portable ? portableTarget : targetOf(own);
        const { batch, height, width, outHeight, outWidth, channels, mode } = shape;
        const x = uniformData(batch * height * width * channels, seed);
        await expectAgreement(own, interpolate2d(shape, target), { x }, { y: mode === "nearest" ? exact : f32Reduce(4) }, { shape, seed });
        const dy = uniformData(batch * outHeight * outWidth * channels, seed + 1);
        const shares = 4 * Math.ceil(outHeight / height + 1) * Math.ceil(outWidth / width + 1);
        await expectAgreement(own, interpolate2dBackward(shape, target), { dy }, { dx: f32Reduce(shares) }, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "interpolate2d" }),
    );
  });
});

describe("interpolate2d", () => {
  it("interpolates by hand as PyTorch does", () => {
    const line = { batch: 1, height: 1, width: 2, channels: 1, outHeight: 1, outWidth: 4 } as const;
    const x = Float64Array.of(0, 8);
    expect([...interpolate2dReference({ ...line, mode: "nearest" }, { x }).y]).toEqual([0, 0, 8, 8]);
    expect([...interpolate2dReference({ ...line, mode: "bilinear" }, { x }).y]).toEqual([0, 2, 6, 8]);
    const down = { batch: 1, height: 1, width: 5, channels: 1, outHeight: 1, outWidth: 2 } as const;
    const ramp = Float64Array.of(0, 1, 2, 3, 4);
    expect([...interpolate2dReference({ ...down, mode: "nearest" }, { x: ramp }).y]).toEqual([0, 2]);
    expect([...interpolate2dReference({ ...down, mode: "bilinear" }, { x: ramp }).y]).toEqual([0.75, 3.25]);
  });

  it("has the gradient its central differences say", () => {
    fc.assert(
      fc.property(options, dataSeed, (shape, seed) => {
        checkGradient({
          op: "interpolate2d",
          seed,
          point: Float64Array.from(uniformData(shape.batch * shape.height * shape.width * shape.channels, seed)),
          forward: (x) => interpolate2dReference(shape, { x }).y,
          backward: (dy) => interpolate2dBackwardReference(shape, { dy }).dx,
        });
      }),
      lawRuns({ runs: 30, name: "interpolate2d gradient" }),
    );
  });

  it("refuses axes whose positions would not fit", () => {
    expect(() => interpolate2d({ batch: 1, height: 1, width: 40000, channels: 1, outHeight: 1, outWidth: 80000, mode: "nearest" }, portableTarget)).toThrow(ShapeError);
    expect(() => interpolate2d({ batch: 1, height: 0, width: 4, channels: 1, outHeight: 1, outWidth: 8, mode: "nearest" }, portableTarget)).toThrow(/bad size height/);
  });
});
