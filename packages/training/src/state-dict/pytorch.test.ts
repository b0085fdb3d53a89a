import type { StoredTensor } from "@distilldrive/tensor";
import { hostileCall, lawRuns, writePyTorch, type WrittenTensor, writtenTensor } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { decodePyTorch } from "./pytorch.js";

const CHECKPOINT =
  "UEsDBBQAAAAIAAAAIQAybE6utwEAAIkCAAAQAAAAYXJjaGl2ZS9kYXRhLnBrbHWRyW/UMBTGk7S0YPZ9b2nZUpah07IvN9RLDoi0h1yQ5TqeJlKazGe/dAApEpdU07+KA/8YjjPAiYvlt/h9v/f5R9" +
  "DAC5N5z/P2FQn4DYI+NPl3hTlJlZYZ27YBw3zkR8EhjrVYiLHouujbWOH4rGtUVII2NxhOJAu2lqqDXCqwWbUPGU4mc7YoxzVOtTgd40wvp1SJs5Lz3TovKC85Z0YRw7kvOB/5osWFGBfdSy0muCS5" +
  "rFIlDVNld2G4nAS29usnrjjtQtgZQ1w9xLUY1+uEdRIkSPE0l4QbDW6GiW+TE9zq+Qa8prwwjGvVIaR8LLSwnijNJzll3L1muB3+p51UaSrND+z6S2GYLDrBSos9heWZA1udP9t9kuGO01/Hyl8/Vq" +
  "OAcPdz5EVBi3uR3+L+kZRVUShJeVUa9kmnSqv0o12B4cFajIeEMMbaNOuCRw0eu1kk9vDETf+Kp4YwiPHMhbtY/0Pf4/7DH+lqn3e/6TYYhtnSDHqnb8RGGGbLWQ89xGa2GvmE5x2s5XzRHS+PHMYr" +
  "wusGb0Ln+VhpkxsrRng7dRmeG/vHo5HSeDetCe9jfKjrwW9QSwMEFAAAAAAAAAAhAIU94xkGAAAABgAAABEAAABhcmNoaXZlL2J5dGVvcmRlcmxpdHRsZVBLAwQUAAAAAAAAACEAdqU/LggAAAAIAA" +
  "AADgAAAGFyY2hpdmUvZGF0YS8wAACAPwAAAEBQSwMEFAAAAAAAAAAhAInR4acEAAAABAAAAA4AAABhcmNoaXZlL2RhdGEvMQAAQEBQSwECFAMUAAAACAAAACEAMmxOrrcBAACJAgAAEAAAAAAAAAAA" +
  "AAAAgAEAAAAAYXJjaGl2ZS9kYXRhLnBrbFBLAQIUAxQAAAAAAAAAIQCFPeMZBgAAAAYAAAARAAAAAAAAAAAAAACAAeUBAABhcmNoaXZlL2J5dGVvcmRlclBLAQIUAxQAAAAAAAAAIQB2pT8uCAAAAA" +
  "gAAAAOAAAAAAAAAAAAAACAARoCAABhcmNoaXZlL2RhdGEvMFBLAQIUAxQAAAAAAAAAIQCJ0eGnBAAAAAQAAAAOAAAAAAAAAAAAAACAAU4CAABhcmNoaXZlL2RhdGEvMVBLBQYAAAAABAAEAPUAAAB+" +
  "AgAAAAA=";

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

  it("passes over what checkpoints have beside tensors, and reads tensors that are wrapped", () => {
    // CHECKPOINT is of torch.save 2.13: {"meta": {"size": torch.Size([1, 2]), "type": torch.float32, "device": torch.device("cpu"), "seen": {1},
    // "raw": b"\xff"}, "state_dict": {"w": a Parameter with an attribute, "b": a Buffer}}.
    const file = Uint8Array.from(atob(CHECKPOINT), (character) => character.charCodeAt(0));
    const { tensors, under } = decodePyTorch(file, "x.pth");
    expect(under).toEqual(["state_dict"]);
    expect([...tensors]).toEqual([["w", { shape: [2], dtype: "f32", data: Float32Array.of(1, 2) }], ["b", { shape: [1], dtype: "f32", data: Float32Array.of(3) }]]);
    // One bit of the second tensor, which lies between its name and the next record.
    const damaged = file.slice();
    const three = [0, 0, 0x40, 0x40];
    const at = damaged.findIndex((_, i) => three.every((byte, k) => damaged[i + k] === byte));
    damaged[at] = 1;
    expect(() => decodePyTorch(damaged, "x.pth")).toThrow(/import: x\.pth: the archive is damaged \(the content of .*data\/1 does not have its checksum\)/);
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
