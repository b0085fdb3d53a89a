import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";

/** Element types of the arrays these archives hold. */
export type NpyData =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** One array of an archive, in C order. */
export interface NpyArray {
  /** Extent of every axis; empty for a scalar. */
  readonly shape: readonly number[];
  /** numpy's type string, e.g. `<f4`. */
  readonly dtype: string;
  readonly data: NpyData;
  /** The values as float64, whatever the type. */
  numbers(): Float64Array;
}

/** The arrays of an `.npz` file by name. */
export interface NpzArchive {
  /** Names in the file's order. */
  readonly names: readonly string[];
  has(name: string): boolean;
  /** @throws Error when there is no such array */
  get(name: string): NpyArray;
}

const READERS: Readonly<Record<string, (buffer: ArrayBuffer) => NpyData>> = {
  "<f8": (buffer) => new Float64Array(buffer),
  "<f4": (buffer) => new Float32Array(buffer),
  "<i8": (buffer) => new BigInt64Array(buffer),
  "<i4": (buffer) => new Int32Array(buffer),
  "<i2": (buffer) => new Int16Array(buffer),
  "<u4": (buffer) => new Uint32Array(buffer),
  "<u2": (buffer) => new Uint16Array(buffer),
  "|i1": (buffer) => new Int8Array(buffer),
  "|u1": (buffer) => new Uint8Array(buffer),
  "|b1": (buffer) => new Uint8Array(buffer),
};

/**
 * Reads a numpy archive (stored or deflated), array by array as it is asked for.
 *
 * @param path of the `.npz` file
 * @throws Error when the file cannot be read or is not a zip archive
 */
export function readNpz(path: string): NpzArchive {
  const bytes = new Uint8Array(readFileSync(path));
  const entries: string[] = [];
  unzipSync(bytes, {
    filter: ({ name }) => {
      entries.push(name);
      return false;
    },
  });
  const names = entries.map((entry) => entry.replace(/\.npy$/, ""));
  return {
    names,
    has: (name) => names.includes(name),
    get(name) {
      const entry = `${name}.npy`;
      const file = unzipSync(bytes, { filter: (candidate) => candidate.name === entry })[entry];
      if (file === undefined) {
        throw new Error(`readNpz: no array "${name}" in ${path}, expected one of ${names.slice(0, 12).join(", ")} ... (${names.length}).`);
      }
      return readNpy(file, `${path}:${name}`);
    },
  };
}

/**
 * Reads one `.npy` file (format 1 to 3, C order, little endian).
 *
 * @param bytes the file
 * @param where what to call it in messages
 * @throws Error when it is not one, or holds a type or order that is not read here
 */
export function readNpy(bytes: Uint8Array, where = "npy"): NpyArray {
  const magic = String.fromCharCode(...bytes.subarray(1, 6));
  if (bytes[0] !== 0x93 || magic !== "NUMPY") throw new Error(`${where}: not a numpy array, expected the magic "\\x93NUMPY".`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = view.getUint8(6) >= 2;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, end));
  const dtype = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const shapeText = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  const read = dtype === undefined ? undefined : READERS[dtype];
  if (dtype === undefined || shapeText === undefined || read === undefined || !/'fortran_order':\s*False/.test(header)) {
    throw new Error(`${where}: unsupported array, expected C order and one of ${Object.keys(READERS).join(" ")}, got ${header.trim()}.`);
  }
  const shape = shapeText.split(",").filter((part) => part.trim() !== "").map(Number);
  const data = read(bytes.slice(end).buffer);
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (data.length !== size) throw new Error(`${where}: truncated, expected ${size} values, got ${data.length}.`);
  return { shape, dtype, data, numbers: () => Float64Array.from(data, Number) };
}
