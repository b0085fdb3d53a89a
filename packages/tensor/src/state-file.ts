import type { DType } from "@distilldrive/kernels";
import { StateError } from "./errors.js";
import type { StoredTensor } from "./run/store.js";
import { sizeOf } from "./shape.js";

/** Tensors and free-form strings of a safetensors file. */
export interface StateFile {
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const nameOfDType = { f32: "F32", i32: "I32", u32: "U32" } as const;
const dtypeOfName: Readonly<Record<string, DType>> = { F32: "f32", I32: "i32", U32: "u32" };

/** A tensor of a safetensors file as it lies there. */
export interface RawTensor {
  /** The format's name: "F32", "I64", "BF16" ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Little endian, row-major. */
  readonly bytes: Uint8Array;
}

/** Tensors of any type and free-form strings of a safetensors file. */
export interface RawStateFile {
  readonly tensors: Map<string, RawTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * Writes tensors in the safetensors format (8-byte header length, JSON header, raw little-endian data); the header is
 * padded so that the data begins at a multiple of 8.
 */
export function encodeSafetensors(tensors: ReadonlyMap<string, StoredTensor>, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  return encodeRawSafetensors(new Map([...tensors].map(([name, tensor]) => [name, rawTensor(tensor)])), metadata);
}

/** A tensor as {@link encodeRawSafetensors} takes it; shares its memory. */
export function rawTensor({ dtype, shape, data }: StoredTensor): RawTensor {
  return { dtype: nameOfDType[dtype], shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** {@link encodeSafetensors} of tensors of any type. */
export function encodeRawSafetensors(tensors: ReadonlyMap<string, RawTensor>, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const header: Record<string, Entry | Readonly<Record<string, string>>> = {};
  if (Object.keys(metadata).length > 0) header["__metadata__"] = metadata;
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape: [...shape], data_offsets: [offset, offset + bytes.byteLength] };
    offset += bytes.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, 8, 8 + headerBytes);
  file.set(text, 8);
  let at = 8 + headerBytes;
  for (const { bytes } of tensors.values()) {
    file.set(bytes, at);
    at += bytes.byteLength;
  }
  return file;
}

/**
 * Reads a safetensors file.
 * @param where the file's name, for messages
 * @throws StateError when it is truncated, malformed or holds a dtype other than F32, I32, U32
 */
export function decodeSafetensors(file: Uint8Array, where: string): StateFile {
  const { tensors, metadata } = decodeRawSafetensors(file, where);
  const fail = failing(where);
  const typed = [...tensors].map(([name, { dtype: type, shape, bytes }]): [string, StoredTensor] => {
    const dtype = dtypeOfName[type];
    if (!dtype) throw fail(`tensor "${name}" has dtype ${type}, expected F32, I32 or U32.`);
    if (bytes.byteLength !== 4 * sizeOf(shape)) throw fail(`tensor "${name}" has ${bytes.byteLength} bytes, expected ${4 * sizeOf(shape)} for shape [${shape.join(", ")}].`);
    // Not bytes.slice(): Node's Buffer would share its memory.
    const { buffer } = new Uint8Array(bytes);
    return [name, { shape, dtype, data: dtype === "f32" ? new Float32Array(buffer) : dtype === "i32" ? new Int32Array(buffer) : new Uint32Array(buffer) }];
  });
  return { tensors: new Map(typed), metadata };
}

/**
 * Reads a safetensors file with tensors of any type.
 * @param where the file's name, for messages
 * @returns tensors whose bytes share the file's memory; whether a tensor has as many as its type and shape need is not checked
 * @throws StateError when it is truncated or malformed
 */
export function decodeRawSafetensors(file: Uint8Array, where: string): RawStateFile {
  const fail = failing(where);
  if (file.byteLength < 8) throw fail(`not a safetensors file, expected at least 8 bytes, got ${file.byteLength}.`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = Number(view.getBigUint64(0, true));
  if (!Number.isSafeInteger(headerBytes) || 8 + headerBytes > file.byteLength) {
    throw fail(`the header is truncated, expected ${headerBytes} bytes behind the length field, got ${file.byteLength - 8}.`);
  }
  const header = parseHeader(new TextDecoder().decode(file.subarray(8, 8 + headerBytes)), fail);
  const data = file.subarray(8 + headerBytes);
  const tensors = new Map<string, RawTensor>();
  const spans: { name: string; begin: number; end: number }[] = [];
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      if (!isStrings(value)) throw fail(`the metadata is described wrongly, expected an object of strings, got ${JSON.stringify(value)}.`);
      metadata = value;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as { [Key in keyof Entry]?: unknown };
    const [begin, end] = isExtents(offsets) ? offsets : [];
    if (typeof dtype !== "string" || !isExtents(shape) || !isExtents(offsets) || offsets.length !== 2 || begin === undefined || end === undefined || begin > end) {
      throw fail(`tensor "${name}" is described wrongly, expected dtype, shape and data_offsets, got ${JSON.stringify(value)}.`);
    }
    if (end > data.byteLength) throw fail(`tensor "${name}" is truncated, expected data up to byte ${end}, got ${data.byteLength}.`);
    tensors.set(name, { dtype, shape, bytes: data.subarray(begin, end) });
    spans.push({ name, begin, end });
  }
  // The format has no holes and nothing twice: where the header was damaged, this is where it shows.
  let reached = 0;
  for (const { name, begin, end } of spans.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== reached) throw fail(`tensor "${name}" does not begin where the one before ends, expected byte ${reached}, got ${begin}.`);
    reached = end;
  }
  if (reached !== data.byteLength) throw fail(`there is more data than tensors, expected ${reached} bytes behind the header, got ${data.byteLength}.`);
  return { tensors, metadata };
}

function failing(where: string): (what: string) => StateError {
  return (what) => new StateError(`${where}: ${what} Use an undamaged copy or an earlier checkpoint.`);
}

function isStrings(value: unknown): value is Record<string, string> {
  return value !== null && typeof value === "object" && !Array.isArray(value) && Object.values(value).every((text) => typeof text === "string");
}

function isExtents(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

function parseHeader(text: string, fail: (what: string) => StateError): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed !== null && typeof parsed === "object" && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  } catch (cause) {
    throw fail(`the header is no JSON (${cause instanceof Error ? cause.message : String(cause)}).`);
  }
  throw fail("the header is no JSON object.");
}
