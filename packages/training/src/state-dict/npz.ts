import { fromHalf } from "@distilldrive/kernels";
import { CheckpointError } from "../errors.js";
import { openZip } from "./zip.js";

/** One array of a numpy archive, in C order. */
export interface NumpyArray {
  /** Extent of every axis; empty for a scalar. */
  readonly shape: readonly number[];
  /** Whether the file holds whole numbers or truth values. */
  readonly integer: boolean;
  readonly values: Float64Array;
}

/** The arrays of an `.npz` file by name, each read when it is asked for. */
export interface NumpyArchive {
  readonly names: readonly string[];
  has(name: string): boolean;
  /** @throws CheckpointError when there is no such array, or it is not read here */
  get(name: string): NumpyArray;
}

const elements: Readonly<Record<string, (data: ArrayBuffer) => ArrayLike<number | bigint>>> = {
  "<f8": (data) => new Float64Array(data),
  "<f4": (data) => new Float32Array(data),
  "<f2": (data) => fromHalf(new Uint16Array(data)),
  "<i8": (data) => new BigInt64Array(data),
  "<i4": (data) => new Int32Array(data),
  "<i2": (data) => new Int16Array(data),
  "|i1": (data) => new Int8Array(data),
  "<u4": (data) => new Uint32Array(data),
  "<u2": (data) => new Uint16Array(data),
  "|u1": (data) => new Uint8Array(data),
  "|b1": (data) => new Uint8Array(data),
};

/**
 * Opens a numpy archive (stored or deflated). Pickled objects are refused.
 * @param where what to call it in messages
 * @throws CheckpointError when it is not a zip archive
 */
export function decodeNpz(file: Uint8Array, where: string): NumpyArchive {
  const archive = openZip(file, where, "a numpy archive", "a zip file. Write it again with numpy.savez.");
  const names = archive.names.map((name) => name.replace(/\.npy$/, ""));
  const known = new Set(names);
  const cache = new Map<string, NumpyArray>();
  const get = (name: string): NumpyArray => {
    const before = cache.get(name);
    if (before) return before;
    if (!known.has(name)) throw new CheckpointError(`${where}: no array "${name}", expected one of ${names.slice(0, 8).join(", ")} ... (${names.length}). Was it made for something else?`);
    const array = decodeNpy(archive.read(`${name}.npy`), `${where}: ${name}`);
    cache.set(name, array);
    return array;
  };
  return { names, has: (name) => known.has(name), get };
}

/**
 * Reads one `.npy` file (format 1 to 3, little endian).
 * @param where what to call it in messages
 * @throws CheckpointError when it is not one, is truncated, or holds a type that is not read here
 */
export function decodeNpy(file: Uint8Array, where: string): NumpyArray {
  const magic = String.fromCharCode(...file.subarray(0, 6));
  if (magic !== "\x93NUMPY" || file.length < 12) throw new CheckpointError(`${where}: not a numpy array, expected the magic "\\x93NUMPY". Write it again with numpy.save.`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const long = view.getUint8(6) >= 2;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(file.subarray(start, end));
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? "";
  const extents = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  const read = elements[type];
  const order = /'fortran_order':\s*(False|True)/.exec(header)?.[1];
  if (read === undefined || extents === undefined || order === undefined) {
    throw new CheckpointError(`${where}: this array is not read, expected one of ${Object.keys(elements).join(" ")}, got ${header.trim()}. Convert it with numpy first.`);
  }
  const shape = extents.split(",").filter((part) => part.trim() !== "").map(Number);
  const size = shape.reduce((product, extent) => product * extent, 1);
  // A copy with a buffer of its own: Node's Buffer.slice would give a view of a pool.
  const data = new Uint8Array(file.subarray(end));
  const bytes = Number(type.slice(2));
  if (data.length !== size * bytes) throw new CheckpointError(`${where}: wrong length, expected ${size * bytes} bytes, got ${data.length}. The file is damaged.`);
  const values = Float64Array.from(read(data.buffer), Number);
  return { shape, integer: !type.includes("f"), values: order === "True" ? toRowMajor(values, shape) : values };
}

/** Values whose first index runs fastest, in C order. */
function toRowMajor(values: Float64Array, shape: readonly number[]): Float64Array {
  return Float64Array.from(values, (_, row) => {
    let [source, rest, stride] = [0, row, values.length];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis] ?? 1;
      stride /= extent;
      source += (rest % extent) * stride;
      rest = Math.floor(rest / extent);
    }
    return values[source] ?? NaN;
  });
}
