import { fromHalf } from "@distilldrive/kernels";
import type { StoredTensor } from "@distilldrive/tensor";
import { CheckpointError } from "../errors.js";

/** How elements of one type become ours. */
export interface ElementType {
  readonly bytes: number;
  readonly dtype: "f32" | "i32";
  /** "bits": the four bytes as they are (a number would lose the payload of a NaN). */
  readonly read: "bits" | ((view: DataView, at: number) => number);
}

/** Element types of state dicts by their safetensors names. Wider numbers are rounded to float32 or refused where they do not fit. */
export const ELEMENT_TYPES = {
  F32: { bytes: 4, dtype: "f32", read: "bits" },
  F64: { bytes: 8, dtype: "f32", read: (view, at) => view.getFloat64(at, true) },
  F16: { bytes: 2, dtype: "f32", read: (view, at) => fromHalf(Uint16Array.of(view.getUint16(at, true)))[0] ?? 0 },
  BF16: { bytes: 2, dtype: "f32", read: (view, at) => brainFloat(view.getUint16(at, true)) },
  I64: { bytes: 8, dtype: "i32", read: (view, at) => Number(view.getBigInt64(at, true)) },
  I32: { bytes: 4, dtype: "i32", read: "bits" },
  I16: { bytes: 2, dtype: "i32", read: (view, at) => view.getInt16(at, true) },
  I8: { bytes: 1, dtype: "i32", read: (view, at) => view.getInt8(at) },
  U8: { bytes: 1, dtype: "i32", read: (view, at) => view.getUint8(at) },
  BOOL: { bytes: 1, dtype: "i32", read: (view, at) => view.getUint8(at) },
} as const satisfies Record<string, ElementType>;

/** Elements of a tensor at most: more than any weight has, less than an array can. */
const MOST_ELEMENTS = 2 ** 29;

/** A tensor as a window of a storage. */
export interface StorageWindow {
  readonly shape: readonly number[];
  /** Elements from the storage's beginning; default 0. */
  readonly offset?: number;
  /** Elements; default row-major. */
  readonly strides?: readonly number[];
}

/**
 * Gathers a window of a storage of any element type into a tensor of f32 or i32.
 * @param where names the tensor in messages
 * @throws CheckpointError when the storage is too short or an integer has more than 32 bits
 */
export function readElements(type: ElementType, bytes: Uint8Array, { shape, offset = 0, strides = rowMajor(shape) }: StorageWindow, where: string): StoredTensor {
  const size = shape.reduce((a, b) => a * b, 1);
  if (![...shape, ...strides, offset].every((n) => Number.isSafeInteger(n) && n >= 0) || strides.length !== shape.length || size > MOST_ELEMENTS) {
    throw new CheckpointError(`${where}: no such tensor can be, expected at most ${MOST_ELEMENTS} elements, got shape [${shape.join(", ")}], strides [${strides.join(", ")}], offset ${offset}. The file is damaged.`);
  }
  const last = size === 0 ? -1 : offset + shape.reduce((at, extent, axis) => at + (extent - 1) * (strides[axis] ?? 0), 0);
  if ((last + 1) * type.bytes > bytes.byteLength) throw new CheckpointError(`${where}: the data is cut off, expected ${(last + 1) * type.bytes} bytes, got ${bytes.byteLength}. Copy or download it again.`);
  const data = type.dtype === "f32" ? new Float32Array(size) : new Int32Array(size);
  const words = new Uint32Array(data.buffer);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = shape.map(() => 0);
  for (let i = 0, at = offset; i < size; i++) {
    const value = type.read === "bits" ? undefined : type.read(view, at * type.bytes);
    if (value === undefined) words[i] = view.getUint32(at * type.bytes, true);
    else data[i] = value;
    if (type.dtype === "i32" && value !== undefined && data[i] !== value) throw new CheckpointError(`${where}: element ${i} does not fit, expected a 32-bit integer, got ${value}.`);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const step = strides[axis] ?? 0;
      index[axis] = (index[axis] ?? 0) + 1;
      at += step;
      if ((index[axis] ?? 0) < (shape[axis] ?? 0)) break;
      at -= step * (shape[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return { dtype: type.dtype, shape, data };
}

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
}

/** bfloat16 is the upper half of a float32. */
function brainFloat(bits: number): number {
  return new DataView(Uint32Array.of(bits * 65536).buffer).getFloat32(0, true);
}
