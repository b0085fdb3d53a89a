import { DatasetError } from "../errors.js";
import { PickleObject, type PickleValue } from "../pickle/values.js";

/** A numpy dtype as pickled: kind and size (`f8`, `i4`, `b1` ...) and byte order. */
export class NumpyDtype extends PickleObject {
  byteOrder = "<";

  constructor(readonly code: string) {
    super();
  }
}

/** A numpy array as pickled; numbers are decoded on demand by {@link toFloat64}. */
export class NumpyArray extends PickleObject {
  shape: number[] = [0];
  dtype = new NumpyDtype("f8");
  columnMajor = false;
  /** The elements, or null for an array of Python objects. */
  bytes: Uint8Array | null = new Uint8Array(0);
}

type ElementReader = (view: DataView, at: number, little: boolean) => number;

const READERS: ReadonlyMap<string, ElementReader> = new Map<string, ElementReader>([
  ["f8", (v, at, little) => v.getFloat64(at, little)],
  ["f4", (v, at, little) => v.getFloat32(at, little)],
  ["f2", (v, at, little) => halfToNumber(v.getUint16(at, little))],
  ["i8", (v, at, little) => Number(v.getBigInt64(at, little))],
  ["u8", (v, at, little) => Number(v.getBigUint64(at, little))],
  ["i4", (v, at, little) => v.getInt32(at, little)],
  ["u4", (v, at, little) => v.getUint32(at, little)],
  ["i2", (v, at, little) => v.getInt16(at, little)],
  ["u2", (v, at, little) => v.getUint16(at, little)],
  ["i1", (v, at) => v.getInt8(at)],
  ["u1", (v, at) => v.getUint8(at)],
  ["b1", (v, at) => (v.getUint8(at) === 0 ? 0 : 1)],
]);

/**
 * Elements of a numpy array as numbers in row-major order.
 * @param where start of the message, e.g. `scenarioNet: a.pkl: tracks.ego.state.position`
 * @throws DatasetError for dtypes that are no numbers and for a byte count that does not fit the shape
 */
export function toFloat64(array: NumpyArray, where: string): Float64Array {
  const { shape, dtype, bytes } = array;
  const read = READERS.get(dtype.code);
  if (read === undefined || bytes === null) {
    throw new DatasetError(
      `${where}: expected an array of numbers (${[...READERS.keys()].join(", ")}), got dtype "${dtype.code}". Convert the scene again with a current ScenarioNet.`,
    );
  }
  const size = Number(dtype.code.slice(1));
  const count = shape.reduce((a, b) => a * b, 1);
  if (bytes.length !== count * size) {
    throw new DatasetError(
      `${where}: expected ${count * size} bytes for shape [${shape.join(", ")}] of ${dtype.code}, got ${bytes.length}. The file is damaged: copy or download it again.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = dtype.byteOrder !== ">";
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) out[i] = read(view, i * size, little);
  return array.columnMajor && shape.length > 1 ? toRowMajor(out, shape) : out;
}

/** A numpy scalar as a plain value; an array without axes where its type is none of ours. @param bytes of the one element */
export function scalarValue(dtype: NumpyDtype, bytes: Uint8Array): PickleValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = dtype.byteOrder !== ">";
  const size = Number(dtype.code.slice(1));
  const read = READERS.get(dtype.code);
  if (read !== undefined && bytes.length === size) return dtype.code === "b1" ? read(view, 0, little) !== 0 : read(view, 0, little);
  // Text is four bytes a character, padded with zeros.
  if (/^U\d+$/.test(dtype.code) && bytes.length === 4 * size) {
    const codes = Array.from({ length: size }, (_, i) => view.getUint32(4 * i, little));
    if (codes.every((code) => code <= 0x10ffff)) return String.fromCodePoint(...codes).replace(/\0+$/, "");
  }
  const array = new NumpyArray();
  return Object.assign(array, { shape: [], dtype, bytes });
}

function toRowMajor(columnMajor: Float64Array, shape: readonly number[]): Float64Array {
  const out = new Float64Array(columnMajor.length);
  const index = shape.map(() => 0);
  for (let row = 0; row < out.length; row++) {
    let source = 0;
    let stride = 1;
    shape.forEach((extent, axis) => {
      source += (index[axis] ?? 0) * stride;
      stride *= extent;
    });
    out[row] = columnMajor[source] ?? NaN;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      index[axis] = next < (shape[axis] ?? 0) ? next : 0;
      if (index[axis] !== 0) break;
    }
  }
  return out;
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
