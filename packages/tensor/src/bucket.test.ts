import { compare, f32Reduce } from "@distilldrive/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bucket, bucketOf, padTo } from "./bucket.js";
import { compileFunction, tensor, valueAndGrad } from "./function.js";
import type { Tensor } from "./graph.js";
import { attention } from "./ops/attention.js";
import { broadcastTo, div, mul, sub } from "./ops/elementwise.js";
import { linear } from "./ops/matmul.js";
import { mean, sum } from "./ops/reduce.js";
import { expandDims, reshape } from "./ops/reshape.js";
import { type Device, openDevice } from "./run/device.js";
import { createStore } from "./run/store.js";
import { fanInUniform, parameter, variablesOf } from "./variable.js";

const [B, D] = [2, 8];
const wave = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(1 + i * 0.7));

describe("buckets", () => {
  test("the smallest that fits is taken", () => {
    expect(bucketOf(5, [16, 4, 8])).toBe(8);
    expect(bucketOf(8, [16, 4, 8])).toBe(8);
    expect(() => bucketOf(17, [16, 4, 8])).toThrow("bucket: no bucket holds 17, expected at most 16. Add a larger bucket.");
  });

  test("padding adds zeros behind an axis", () => {
    expect(padTo(tensor([1, 2, 3, 4], [2, 2]), 1, 3)).toEqual({ shape: [2, 3], data: Float32Array.of(1, 2, 0, 3, 4, 0) });
    expect(padTo(tensor([1, 2, 3, 4], [2, 2]), 0, 3)).toEqual({ shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 0, 0) });
    expect(() => padTo(tensor([1, 2], [2]), 0, 1)).toThrow("padTo: axis 0 is longer than that, expected at least 2, got 1.");
  });
});

describe("bucketed functions [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("equal the unpadded function, with one program per bucket", async () => {
    const model = { weight: parameter([D, D], fanInUniform(D)) };
    const store = createStore(device, variablesOf(model), { seed: 2 });
    const encode = (x: Tensor, mask?: Tensor): Tensor => {
      const h = linear(x, model.weight);
      return attention(h, h, h, { heads: 2, ...(mask ? { keyPaddingMask: broadcastTo(sub(1, mask), [B, mask.at(0)]) } : {}) });
    };
    const bucketed = bucket(
      device,
      (x, mask) => {
        if (!x || !mask) throw new Error("the function has an argument and a mask");
        const y = encode(x, mask);
        const real = mul(y, expandDims(mask, 1));
        const result = valueAndGrad(() => div(sum(real), mul(sum(mask), B * D)), model)();
        return { y, ...result };
      },
      { buckets: [4, 8, 16], axes: [1], results: { y: 1 } },
    );
    const plain = compileFunction(device, (x) => {
      if (!x) throw new Error("the function has an argument");
      const y = encode(x);
      return { y, ...valueAndGrad(() => mean(reshape(y, [-1])), model)() };
    });
    const used = new Set();
    for (const size of [3, 4, 7]) {
      const x = tensor(wave(B * size * D), [B, size, D]);
      const result = await bucketed(store, x);
      used.add(result.program);
      expect(result.bucket).toBe(size <= 4 ? 4 : 8);
      const actual = [await result.read("y"), await result.read("value"), await result.read("grads.weight")];
      const reference = await plain(store, x);
      for (const [i, name] of ["y", "value", "grads.weight"].entries()) {
        compare(actual[i] ?? [], Float64Array.from(await reference.read(name)), f32Reduce(64), { op: `${name} of size ${size}` });
      }
    }
    expect(used.size).toBe(2);
    await expect(bucketed(store, tensor(wave(B * 17 * D), [B, 17, D]))).rejects.toThrow("no bucket holds 17");
  });
});
