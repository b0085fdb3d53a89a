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
  const header: Record<string, Entry | Readonly<Record<string, string>>> = {};
  if (Object.keys(metadata).length > 0) header["__metadata__"] = metadata;
  let offset = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    header[name] = { dtype: nameOfDType[dtype], shape: [...shape], data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, 8, 8 + headerBytes);
  file.set(text, 8);
  let at = 8 + headerBytes;
  for (const { data } of tensors.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/**
 * Reads a safetensors file.
 * @param where the file's name, for messages
 * @throws StateError when it is truncated, malformed or holds a dtype other than F32, I32, U32
 */
export function decodeSafetensors(file: Uint8Array, where: string): StateFile {
  const fail = (what: string): StateError => new StateError(`${where}: ${what} Use an undamaged copy or an earlier checkpoint.`);
  if (file.byteLength < 8) throw fail(`not a safetensors file, expected at least 8 bytes, got ${file.byteLength}.`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = Number(view.getBigUint64(0, true));
  if (!Number.isSafeInteger(headerBytes) || 8 + headerBytes > file.byteLength) {
    throw fail(`the header is truncated, expected ${headerBytes} bytes behind the length field, got ${file.byteLength - 8}.`);
  }
  const header = parseHeader(new TextDecoder().decode(file.subarray(8, 8 + headerBytes)), fail);
  const data = file.subarray(8 + headerBytes);
  const tensors = new Map<string, StoredTensor>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      metadata = value as Readonly<Record<string, string>>;
      continue;
    }
    const entry = value as Partial<Entry> | null;
    const dtype = dtypeOfName[entry?.dtype ?? ""];
    const shape = entry?.shape;
    const [begin, end] = entry?.data_offsets ?? [-1, -1];
    if (!dtype || !Array.isArray(shape)) throw fail(`tensor "${name}" has dtype ${String(entry?.dtype)}, expected F32, I32 or U32.`);
    if (end - begin !== 4 * sizeOf(shape)) throw fail(`tensor "${name}" has ${end - begin} bytes, expected ${4 * sizeOf(shape)} for shape [${shape.join(", ")}].`);
    if (begin < 0 || end > data.byteLength) throw fail(`tensor "${name}" is truncated, expected data up to byte ${end}, got ${data.byteLength}.`);
    // Not data.slice(): Node's Buffer would share its memory.
    const bytes = new Uint8Array(data.subarray(begin, end)).buffer;
    tensors.set(name, { shape, dtype, data: dtype === "f32" ? new Float32Array(bytes) : dtype === "i32" ? new Int32Array(bytes) : new Uint32Array(bytes) });
  }
  return { tensors, metadata };
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
