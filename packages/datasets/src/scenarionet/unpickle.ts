import { type PickleDialect, PickleObject, type PickleValue, readPickle } from "../pickle/machine.js";
import { NumpyArray, NumpyDtype } from "./numpy-array.js";

/** One of the three numpy names a pickle may mention; a marker only, nothing is callable. */
class NumpyGlobal extends PickleObject {
  constructor(readonly role: "reconstruct" | "ndarray" | "dtype") {
    super();
  }
}

const ALLOWED: ReadonlyMap<string, NumpyGlobal["role"]> = new Map([
  ["numpy.core.multiarray._reconstruct", "reconstruct"],
  ["numpy._core.multiarray._reconstruct", "reconstruct"],
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
    if (!Array.isArray(shape) || !shape.every((n): n is number => typeof n === "number") || !(dtype instanceof NumpyDtype)) return false;
    target.shape = shape;
    target.dtype = dtype;
    target.columnMajor = fortran === true;
    target.bytes = data instanceof Uint8Array ? data : null;
    return true;
  },
};

/**
 * Reads a Python pickle of plain values and numpy arrays. Nothing is ever executed: a global other than numpy's three array
 * names is refused by name.
 * @param bytes the whole file
 * @param where start of every message, e.g. `scenarioNet: data/scene-0061.pkl`
 * @throws DatasetError for a foreign global, a truncated file or something that is not a pickle, with the byte offset
 */
export function unpickle(bytes: Uint8Array, where: string): PickleValue {
  return readPickle(bytes, numpy, where);
}
