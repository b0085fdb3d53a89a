import type { StoredTensor } from "@distilldrive/tensor";
import { hostileCall, lawRuns, writePyTorch, type WrittenTensor, writtenTensor } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { decodePyTorch } from "./pytorch.js";

const one = (tensor: WrittenTensor): StoredTensor | undefined => decodePyTorch(writePyTorch(new Map([["x", tensor]])), "x.pth").tensors.get("x");
const bytesOf = (array: { readonly buffer: ArrayBufferLike }): Uint8Array => new Uint8Array(array.buffer);

describe("decodePyTorch", () => {
  it("gives back every bit of float32 and int32 tensors, bare or in a checkpoint", () => {
    const tensor = fc.tuple(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }), fc.integer({ min: 0, max: 2 ** 30 }), fc.boolean()).map(([shape, seed, whole]): StoredTensor => {
      const bits = Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.imul(seed + i, 0x9e3779b1));
      return { shape, dtype: whole ? "i32" : "f32", data: whole ? bits : new Float32Array(bits.buffer) };
    });
    const names = fc.dictionary(fc.string({ minLength: 1, unit: fc.constantFrom("a", ".", "_", "é", "0") }), tensor, { minKeys: 1, maxKeys: 5 });
    fc.assert(fc.property(names, fc.constantFrom(undefined, "state_dict", "model"), (dict, under) => {
      const before = new Map(Object.entries(dict));
      const { tensors: after, under: found } = decodePyTorch(writePyTorch(new Map([...before].map(([name, value]) => [name, writtenTensor(value)])), under), "x.pth");
      expect(found).toEqual(under === undefined ? [] : [under]);
      expect([...after.keys()]).toEqual([...before.keys()]);
      for (const [name, { shape, dtype, data }] of before) {
        expect(after.get(name)).toMatchObject({ shape, dtype });
        expect(bytesOf(after.get(name)?.data ?? new Float32Array())).toEqual(bytesOf(data));
      }
    }), lawRuns({ runs: 100, name: "decodePyTorch" }));
  });

  it("reads windows of storages: transposed, sliced, expanded", () => {
    const bytes = bytesOf(Float32Array.of(0, 1, 2, 3, 4, 5));
    const float = { storage: "FloatStorage", bytes };
    expect(one({ ...float, shape: [3, 2], strides: [1, 3] })?.data).toEqual(Float32Array.of(0, 3, 1, 4, 2, 5));
    expect(one({ ...float, shape: [2], offset: 1, strides: [3] })?.data).toEqual(Float32Array.of(1, 4));
    expect(one({ ...float, shape: [2, 2], offset: 4, strides: [0, 1] })?.data).toEqual(Float32Array.of(4, 5, 4, 5));
    expect(one({ ...float, shape: [], offset: 5 })?.data).toEqual(Float32Array.of(5));
  });

  it("reads the other element types", () => {
    expect(one({ shape: [2], storage: "LongStorage", bytes: bytesOf(BigInt64Array.of(7n, -1n)) })).toEqual({ shape: [2], dtype: "i32", data: Int32Array.of(7, -1) });
    expect(one({ shape: [2], storage: "BoolStorage", bytes: Uint8Array.of(1, 0) })?.data).toEqual(Int32Array.of(1, 0));
    expect(one({ shape: [2], storage: "DoubleStorage", bytes: bytesOf(Float64Array.of(0.1, 2)) })?.data).toEqual(Float32Array.of(0.1, 2));
    expect(one({ shape: [2], storage: "HalfStorage", bytes: bytesOf(Uint16Array.of(0x3c00, 0xc500)) })?.data).toEqual(Float32Array.of(1, -5));
    expect(one({ shape: [2], storage: "BFloat16Storage", bytes: bytesOf(Uint16Array.of(0x3f80, 0xc0a0)) })?.data).toEqual(Float32Array.of(1, -5));
    expect(() => one({ shape: [1], storage: "LongStorage", bytes: bytesOf(BigInt64Array.of(2n ** 40n)) })).toThrow('import: x.pth: "x": element 0 does not fit, expected a 32-bit integer, got 1099511627776.');
  });

  it("refuses what is no state dict, executes nothing, and says where", () => {
    const good = new Map([["x", writtenTensor({ shape: [2], dtype: "f32", data: Float32Array.of(1, 2) })]]);
    const reading = (file: Uint8Array) => () => decodePyTorch(file, "x.pth");
    expect(reading(writePyTorch(good, "state_dict", hostileCall("os.system", "echo owned")))).toThrow(/^import: x\.pth: refused global "os\.system" at byte \d+\. Only tensors and dicts are read/);
    expect(reading(writePyTorch(good, "state_dict", hostileCall("os.system", "echo owned")))).toThrow(CheckpointError);
    expect(reading(new TextEncoder().encode("not a zip"))).toThrow("import: x.pth: not a PyTorch file, expected the zip format of torch.save");
    expect(reading(writePyTorch(good).subarray(0, 60))).toThrow("import: x.pth: the archive is damaged");
    expect(reading(writePyTorch(new Map()))).toThrow('import: x.pth: no tensors, expected a state dict or a checkpoint with one under "state_dict"');
    expect(reading(writePyTorch(new Map([["x", { shape: [3], storage: "FloatStorage", bytes: new Uint8Array(8) }]])))).toThrow('"x": the data is cut off, expected 12 bytes, got 8');
  });
});
