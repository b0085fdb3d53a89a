import fc from "fast-check";
import { expect, test } from "vitest";
import { StateError } from "./errors.js";
import { decodeRawSafetensors, decodeSafetensors, encodeRawSafetensors, encodeSafetensors } from "./state-file.js";

const file = (): Uint8Array =>
  encodeSafetensors(
    new Map([
      ["a.weight", { shape: [2, 3], dtype: "f32" as const, data: Float32Array.of(1, -2, 3.5, 0, Number.NaN, Infinity) }],
      ["empty", { shape: [0, 4], dtype: "f32" as const, data: new Float32Array(0) }],
      ["ids", { shape: [2], dtype: "i32" as const, data: Int32Array.of(-1, 7) }],
    ]),
    { task: "toy" },
  );

test("what is written is read back bit for bit, also from a Buffer inside a larger one", () => {
  const bytes = file();
  const pool = Buffer.concat([Buffer.from("leading"), Buffer.from(bytes)]).subarray(7);
  for (const source of [bytes, pool]) {
    const { tensors, metadata } = decodeSafetensors(source, "toy.safetensors");
    expect(metadata).toEqual({ task: "toy" });
    expect([...tensors.keys()]).toEqual(["a.weight", "empty", "ids"]);
    expect(tensors.get("a.weight")).toEqual({ shape: [2, 3], dtype: "f32", data: Float32Array.of(1, -2, 3.5, 0, Number.NaN, Infinity) });
    expect(tensors.get("ids")?.data).toEqual(Int32Array.of(-1, 7));
  }
});

test("every truncation is refused by name, none is read in part", () => {
  const bytes = file();
  fc.assert(
    fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), (length) => {
      expect(() => decodeSafetensors(bytes.subarray(0, length), "toy.safetensors")).toThrow(StateError);
    }),
    { numRuns: 200 },
  );
  expect(() => decodeSafetensors(bytes.subarray(0, bytes.length - 1), "toy.safetensors")).toThrow('toy.safetensors: tensor "ids" is truncated');
});

test("other dtypes are refused", () => {
  const text = '{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}';
  const bytes = new Uint8Array(8 + text.length + 2);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(new TextEncoder().encode(text), 8);
  expect(() => decodeSafetensors(bytes, "x")).toThrow("dtype BF16, expected F32, I32 or U32");
});

test("tensors of any type go through raw, and a header that makes no sense is refused", () => {
  const raw = { dtype: "I64", shape: [2], bytes: Uint8Array.from({ length: 16 }, (_, i) => i) };
  const { tensors, metadata } = decodeRawSafetensors(encodeRawSafetensors(new Map([["count", raw]]), { format: "pt" }), "x");
  expect(metadata).toEqual({ format: "pt" });
  expect(tensors.get("count")).toEqual(raw);
  const refused = (text: string) => () => {
    const bytes = new Uint8Array(8 + text.length + 8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(new TextEncoder().encode(text), 8);
    return decodeRawSafetensors(bytes, "x");
  };
  for (const entry of ['{"dtype":"F32","shape":[1]}', '{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}', '{"dtype":"F32","shape":[1],"data_offsets":[4,0]}', '{"dtype":4,"shape":[1],"data_offsets":[0,4]}', "null", "7"]) {
    expect(refused(`{"x":${entry}}`), entry).toThrow('x: tensor "x" is described wrongly, expected dtype, shape and data_offsets, got');
  }
});
