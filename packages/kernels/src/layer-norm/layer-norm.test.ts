import { checkGradient, dataSeed, dims, f32, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { sequenceReference } from "../kernel.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement, targetsOf } from "../testing/agreement.js";
import { layerNormGradients } from "./gradients.js";
import { layerNorm, layerNormBackward } from "./layer-norm.js";
import { layerNormBackwardParameters } from "./parameters.js";

describe("layerNorm [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward, on this target and on a GPU's", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 16, max: 40 }), dims({ tile: 32, min: 1, max: 68 }), fc.constantFrom(0, 100), fc.boolean(), dataSeed, async (rows, width, offset, residual, seed) => {
        const shape = { rows, width, residual };
        const note = { shape: [rows, width, offset, residual], seed };
        const data = {
          x: uniformData(rows * width, seed, offset - 2, offset + 2),
          weight: uniformData(width, seed + 1, 0.5, 1.5),
          bias: uniformData(width, seed + 2),
          ...(residual ? { residual: uniformData(rows * width, seed + 4) } : {}),
        };
        const dy = uniformData(rows * width, seed + 3);
        // eps keeps rstd below 3.2 where a short row's elements are nearly equal; an offset costs its own rounding.
        const size = f32Reduce(width, 4 * (1 + offset));
        for (const target of targetsOf(own)) {
          const saved = await expectAgreement(own, layerNorm({ ...shape, eps: 0.1 }, target), data, { y: size, mean: size, rstd: size, ...(residual ? { sum: f32 } : {}) }, note);
          const saw = { x: residual ? saved("sum") : data.x, mean: saved("mean"), rstd: saved("rstd"), dy };
          const inputs = { ...saw, weight: data.weight, ...(residual ? { dsum: uniformData(rows * width, seed + 5) } : {}) };
          await expectAgreement(own, layerNormBackward(shape, target), inputs, { dx: f32Reduce(width, 4) }, note);
          const parameters = { dweight: f32Reduce(rows, 4), dbias: f32Reduce(rows) };
          await expectAgreement(own, layerNormBackwardParameters(shape, target), saw, parameters, note);
          await expectAgreement(own, layerNormGradients(shape, target), inputs, { dx: f32Reduce(width, 4), ...parameters }, note);
        }
      }),
      lawRuns({ runs: 100, name: "layerNorm" }),
    );
  });

  it("agrees with the reference for rows as long as a model's", async (context) => {
    if (device === undefined) return context.skip();
    for (const [rows, width] of [[150, 256], [131, 132], [5, 700]] as const) {
      const data = { x: uniformData(rows * width, 1), weight: uniformData(width, 2), bias: uniformData(width, 3) };
      const dy = uniformData(rows * width, 4);
      for (const target of [targetOf(device), portableTarget]) {
        const size = f32Reduce(width, 4);
        const saved = await expectAgreement(device, layerNorm({ rows, width }, target), data, { y: size, mean: size, rstd: size }, { shape: [rows, width] });
        const inputs = { x: data.x, weight: data.weight, mean: saved("mean"), rstd: saved("rstd"), dy };
        await expectAgreement(device, layerNormGradients({ rows, width }, target), inputs, { dx: size, dweight: f32Reduce(rows, 4), dbias: f32Reduce(rows) }, { shape: [rows, width] });
      }
    }
  });

  it("keeps its precision under an offset of 1000", async (context) => {
    if (device === undefined) return context.skip();
    // Multiples of 1/16 around 1000 are exact in float32, so only the kernel's own rounding shows.
    const x = uniformData(5 * 256, 9).map((value) => 1000 + Math.round(value * 32) / 16);
    const inputs = { x, weight: new Float32Array(256).fill(1), bias: new Float32Array(256) };
    await expectAgreement(device, layerNorm({ rows: 5, width: 256 }, targetOf(device)), inputs, { y: { ...f32, absolute: 2e-4 }, mean: f32, rstd: { ...f32, relative: 1e-4 } });
  });

  it("keeps its precision when a row's first element is an outlier", async (context) => {
    if (device === undefined) return context.skip();
    for (const size of [1e2, 1e3, 1e4]) {
      const x = uniformData(256, 10);
      x[0] = size;
      const inputs = { x, weight: new Float32Array(256).fill(1), bias: new Float32Array(256) };
      // The stated price: a few 2^-24 of the outlier for the mean, a few 256 x 2^-24 for the variance, half of that for rstd and y.
      const mean = { name: "mean beside an outlier", absolute: 4 * size * 2 ** -24, relative: 0 };
      const spread = { name: "rstd beside an outlier", absolute: 5e-5, relative: 5e-5 };
      for (const target of [targetOf(device), portableTarget]) {
        await expectAgreement(device, layerNorm({ rows: 1, width: 256 }, target), inputs, { y: spread, mean, rstd: { ...spread, absolute: 0 } }, { shape: [size] });
      }
    }
  });

  it("gives the bias for a row of equal elements", async (context) => {
    if (device === undefined) return context.skip();
    const inputs = { x: new Float32Array(8).fill(3), weight: new Float32Array(8).fill(2), bias: Float32Array.from({ length: 8 }, (_, i) => i) };
    const outputs = await expectAgreement(device, layerNorm({ rows: 1, width: 8 }, targetOf(device)), inputs, { y: f32, mean: f32, rstd: f32 });
    expect([...outputs("y")]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("refuses rows without elements", () => {
    expect(() => layerNorm({ rows: 3, width: 0 }, portableTarget)).toThrow(ShapeError);
  });
});

describe("layerNorm gradients", () => {
  it("match central differences for x, weight and bias", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 2, max: 9 }), dataSeed, (rows, width, seed) => {
        const shape = { rows, width };
        const kernel = layerNorm({ ...shape, eps: 1e-2 }, portableTarget);
        const size = rows * width;
        const slices = (point: Float64Array) => ({ x: point.slice(0, size), weight: point.slice(size, size + width), bias: point.slice(size + width) });
        const point = Float64Array.from(uniformData(size + 2 * width, seed));
        const inputs = slices(point);
        const saved = kernel.reference(inputs);
        const { mean = point, rstd = point } = saved;
        checkGradient({
          op: "layerNorm",
          seed,
          point,
          forward: (moved) => kernel.reference(slices(moved))["y"] ?? moved,
          backward: (dy) => {
            const dx = layerNormBackward(shape, portableTarget).reference({ ...inputs, mean, rstd, dy })["dx"] ?? [];
            const parameters = sequenceReference(layerNormBackwardParameters(shape, portableTarget), { ...inputs, mean, rstd, dy });
            return Float64Array.of(...dx, ...(parameters["dweight"] ?? []), ...(parameters["dbias"] ?? []));
          },
        });
      }),
      lawRuns({ runs: 100, name: "layerNorm gradient" }),
    );
  });
});
