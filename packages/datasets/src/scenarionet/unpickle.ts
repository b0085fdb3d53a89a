import { type PickleDialect, readPickle } from "../pickle/machine.js";
import { PickleObject, type PickleValue } from "../pickle/values.js";
import { NumpyArray, NumpyDtype, scalarValue } from "./numpy-array.js";

/** One of the numpy names a pickle may mention; a marker only, nothing is callable. */
class NumpyGlobal extends PickleObject {
  constructor(readonly role: "reconstruct" | "ndarray" | "dtype" | "fromBuffer" | "scalar") {
    super();
  }
}

const ALLOWED: ReadonlyMap<string, NumpyGlobal["role"]> = new Map([
  ["numpy.core.multiarray._reconstruct", "reconstruct"],
  ["numpy._core.multiarray._reconstruct", "reconstruct"],
  // Protocol 5 writes arrays with their bytes in one call.
  ["numpy.core.numeric._frombuffer", "fromBuffer"],
  ["numpy._core.numeric._frombuffer", "fromBuffer"],
  ["numpy.core.multiarray.scalar", "scalar"],
  ["numpy._core.multiarray.scalar", "scalar"],
  ["numpy.ndarray", "ndarray"],
  ["numpy.dtype", "dtype"],
]);

/** Plain values and numpy arrays. */
const numpy: PickleDialect = {
  subject: "numpy",
  advice: "Only numpy arrays are read from pickles; this file asks to run code. Get it again from a source you trust.",
  global: (name) => {
    const role = ALLOWED.get(name);
    return role === undefined ? undefined : new NumpyGlobal(role);
  },
  reduce: (callee, args) => {
    if (!(callee instanceof NumpyGlobal)) return undefined;
    if (callee.role === "dtype" && typeof args[0] === "string") return new NumpyDtype(args[0]);
    if (callee.role === "scalar") return args[0] instanceof NumpyDtype && args[1] instanceof Uint8Array ? scalarValue(args[0], args[1]) : undefined;
    if (callee.role === "fromBuffer") return fromBuffer(args);
    return callee.role === "reconstruct" ? new NumpyArray() : undefined;
  },
  build: (target, state) => {
    if (!Array.isArray(state)) return false;
    if (target instanceof NumpyDtype && typeof state[1] === "string") {
      target.byteOrder = state[1];
      return true;
    }
    if (!(target instanceof NumpyArray) || state.length !== 5) return false;
    const [, shape, dtype, fortran, data] = state;
    return fill(target, shape, dtype, fortran === true, data instanceof Uint8Array ? data : null);
  },
};

function fromBuffer([data, dtype, shape, order]: readonly PickleValue[]): NumpyArray | undefined {
  const array = new NumpyArray();
  return data instanceof Uint8Array && fill(array, shape, dtype, order === "F", data) ? array : undefined;
}

/** @returns false for a shape or type that is none */
function fill(target: NumpyArray, shape: PickleValue | undefined, dtype: PickleValue | undefined, columnMajor: boolean, bytes: Uint8Array | null): boolean {
  if (!Array.isArray(shape) || !shape.every((n): n is number => typeof n === "number") || !(dtype instanceof NumpyDtype)) return false;
  Object.assign(target, { shape, dtype, columnMajor, bytes });
  return true;
}

/**
 * Reads a Python pickle of plain values, numpy arrays and numpy scalars. Nothing is ever executed: a global that spells none of them
 * is refused by name.
 * @param bytes the whole file
 * @param where start of every message, e.g. `scenarioNet: data/scene-0061.pkl`
 * @throws DatasetError for a foreign global, a truncated file or something that is not a pickle, with the byte offset
 */
export function unpickle(bytes: Uint8Array, where: string): PickleValue {
  return readPickle(bytes, numpy, where);
}
