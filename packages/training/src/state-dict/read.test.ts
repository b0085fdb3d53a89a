import { encodeRawSafetensors, encodeSafetensors, type StoredTensor } from "@distilldrive/tensor";
import { lawRuns, writePyTorch, writtenTensor } from "@distilldrive/testkit";
import fc from "fast-check";
import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { decodeStateDict } from "./read.js";

const state = new Map<string, StoredTensor>([
  ["layers.0.weight", { shape: [2, 3], dtype: "f32", data: Float32Array.of(1, -0, 3.5, 1e-42, -3e38, 0.1) }],
  ["count", { shape: [], dtype: "i32", data: Int32Array.of(-7) }],
]);

/** A `.npy` file of format 1. */
function npy(type: string, shape: readonly number[], data: { readonly buffer: ArrayBufferLike }): Uint8Array {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.map((extent) => `${extent},`).join(" ")}), }`;
  const text = new TextEncoder().encode(`${header.padEnd(117)}\n`);
  const bytes = new Uint8Array(data.buffer);
  const file = new Uint8Array(10 + text.length + bytes.length);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length, 0]);
  file.set(text, 10);
  file.set(bytes, 10 + text.length);
  return file;
}
const npz = (): Uint8Array => zipSync({ "layers.0.weight.npy": npy("<f4", [2, 3], Float32Array.of(1, -0, 3.5, 1e-42, -3e38, 0.1)), "count.npy": npy("<i8", [], BigInt64Array.of(-7n)) });
const pth = (): Uint8Array => writePyTorch(new Map([...state].map(([name, tensor]) => [name, writtenTensor(tensor)])), "state_dict");

describe("decodeStateDict", () => {
  it("tells the formats by their content and gives the same bits of each", () => {
    const files = { PyTorch: pth(), safetensors: encodeSafetensors(state, { who: "me" }), numpy: npz() };
    for (const [format, file] of Object.entries(files)) {
      const read = decodeStateDict(file, "x");
      expect([read.format, [...read.tensors]], format).toEqual([format, [...state]]);
      expect(Object.is(read.tensors.get("layers.0.weight")?.data[1], -0), format).toBe(true);
    }
    expect(decodeStateDict(files.safetensors, "x").metadata).toEqual({ who: "me" });
    expect(decodeStateDict(files.PyTorch, "x").under).toEqual(["state_dict"]);
  });

  it("reads every element type of safetensors, and refuses those it does not know", () => {
    const one = (dtype: string, shape: readonly number[], data: { readonly buffer: ArrayBufferLike }) =>
      decodeStateDict(encodeRawSafetensors(new Map([["x", { dtype, shape, bytes: new Uint8Array(data.buffer) }]])), "x.safetensors").tensors.get("x");
    expect(one("F64", [2], Float64Array.of(0.1, 2))?.data).toEqual(Float32Array.of(0.1, 2));
    expect(one("F16", [2], Uint16Array.of(0x3c00, 0xc500))?.data).toEqual(Float32Array.of(1, -5));
    expect(one("BF16", [1, 2], Uint16Array.of(0x3f80, 0xc0a0))).toEqual({ shape: [1, 2], dtype: "f32", data: Float32Array.of(1, -5) });
    expect(one("I64", [], BigInt64Array.of(12n))).toEqual({ shape: [], dtype: "i32", data: Int32Array.of(12) });
    expect(one("BOOL", [2], Uint8Array.of(1, 0))?.data).toEqual(Int32Array.of(1, 0));
    expect(() => one("I64", [1], BigInt64Array.of(2n ** 40n))).toThrow('import: x.safetensors: "x": element 0 does not fit, expected a 32-bit integer, got 1099511627776.');
    expect(() => one("F8_E4M3", [4], new Uint8Array(4))).toThrow('import: x.safetensors: "x" has elements of type F8_E4M3, expected F32, F64');
    expect(() => one("F32", [3], new Uint8Array(8))).toThrow('import: x.safetensors: "x": the data is cut off, expected 12 bytes, got 8.');
    expect(() => one("F32", [2 ** 40, 0, 2 ** 40], new Uint8Array(0))).not.toThrow();
    expect(() => one("F32", [2 ** 40], new Uint8Array(8))).toThrow("no such tensor can be");
  });

  it("reads numpy arrays of either order", () => {
    const columns = npy("<f4", [2, 3], Float32Array.of(1, 4, 2, 5, 3, 6));
    const text = new TextDecoder("latin1").decode(columns.subarray(10, 128)).replace("False", "True ");
    columns.set(Uint8Array.from(text, (character) => character.charCodeAt(0)), 10);
    expect(decodeStateDict(zipSync({ "x.npy": columns }), "x.npz").tensors.get("x")?.data).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
  });

  it("refuses safetensors whose tensors overlap, leave holes or have other sizes than they say", () => {
    const file = (header: unknown, bytes: number): Uint8Array => {
      const text = new TextEncoder().encode(JSON.stringify(header));
      const whole = new Uint8Array(8 + text.length + bytes);
      new DataView(whole.buffer).setBigUint64(0, BigInt(text.length), true);
      whole.set(text, 8);
      return whole;
    };
    const tensor = (begin: number, end: number, shape = [(end - begin) / 4]) => ({ dtype: "F32", shape, data_offsets: [begin, end] });
    const reading = (header: unknown, bytes: number) => () => decodeStateDict(file(header, bytes), "x.safetensors");
    expect(reading({ a: tensor(0, 8), b: tensor(8, 12) }, 12)).not.toThrow();
    expect(reading({ a: tensor(0, 8), b: tensor(4, 12) }, 12)).toThrow('import: x.safetensors: tensor "b" does not begin where the one before ends, expected byte 8, got 4.');
    expect(reading({ a: tensor(0, 8), b: tensor(12, 16) }, 16)).toThrow('tensor "b" does not begin where the one before ends, expected byte 8, got 12.');
    expect(reading({ a: tensor(0, 8) }, 12)).toThrow("there is more data than tensors, expected 8 bytes behind the header, got 12.");
    expect(reading({ a: tensor(0, 8, [1]) }, 8)).toThrow('"a" has more data than its shape, expected 4 bytes for F32 [1], got 8.');
    expect(reading({ a: { ...tensor(0, 8), data_offsets: [0, 8, 9] } }, 8)).toThrow('tensor "a" is described wrongly');
    for (const metadata of [null, ["a"], { a: 1 }, "a"]) expect(reading({ __metadata__: metadata, a: tensor(0, 8) }, 8)).toThrow("the metadata is described wrongly, expected an object of strings, got");
  });

  it("refuses every truncation and what is no state dict with one clear error", () => {
    const files = [pth(), encodeSafetensors(state), npz()];
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.double({ min: 0, max: 0.999, noNaN: true }), (file, share) => {
        expect(() => decodeStateDict(file.subarray(0, Math.floor(share * file.length)), "x")).toThrow(CheckpointError);
      }),
      lawRuns({ runs: 200, name: "decodeStateDict truncated" }),
    );
    const reading = (file: Uint8Array) => () => decodeStateDict(file, "x.pth");
    expect(reading(new Uint8Array(0))).toThrow("import: x.pth: no state dict, expected a .pth or .pt file of torch.save, a .safetensors or an .npz file, got an empty file.");
    expect(reading(Uint8Array.of(0x80, 2, 0x8a, 10, 1, 2, 3, 4, 5, 6))).toThrow("PyTorch's format from before 1.6");
    expect(reading(zipSync({ "a.txt": Uint8Array.of(1) }))).toThrow("a zip archive of something else, expected data.pkl (PyTorch) or .npy files (numpy) in it, got a.txt.");
    expect(reading(zipSync({ "a.npy": npy("|O", [1], new Uint8Array(8)) }))).toThrow("this array is not read");
  });

  it("survives any damaged byte: an error of ours, or tensors", () => {
    const files = [pth(), encodeSafetensors(state), npz()];
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 0, max: 255 }), (file, share, value) => {
        const damaged = file.slice();
        damaged[Math.floor(share * file.length)] = value;
        try {
          expect(decodeStateDict(damaged, "x").tensors.size).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError);
        }
      }),
      lawRuns({ runs: 400, name: "decodeStateDict damaged" }),
    );
  });
});
