import { DatasetError } from "../errors.js";
import { NumpyArray, toFloat64 } from "./numpy-array.js";
import type { PickleValue } from "../pickle/values.js";

const OTHER_FORMAT = "Is this a ScenarioNet scene? Convert it again with ScenarioNet's convert scripts.";

/** A value of an unpickled file together with where it was found, for messages. */
export interface Field {
  readonly value: PickleValue | undefined;
  /** e.g. `scenarioNet: data/scene-0061.pkl: tracks.ego.state`; the root ends with a colon. */
  readonly where: string;
}

/** A dict's field, which may be absent. @throws DatasetError when `parent` is not a dict */
export function optional(parent: Field, key: string): Field {
  if (!(parent.value instanceof Map)) throw mismatch(parent, "a dict");
  return { value: parent.value.get(key), where: `${parent.where}${parent.where.endsWith(":") ? " " : "."}${key}` };
}

/** A dict's field. @throws DatasetError when it is absent, listing the keys that are there */
export function required(parent: Field, key: string): Field {
  const field = optional(parent, key);
  if (field.value === undefined) {
    const keys = parent.value instanceof Map ? [...parent.value.keys()].slice(0, 12).map(keyName).join(", ") : "";
    throw new DatasetError(`${field.where}: the key is missing, expected it among the dict's keys, got ${keys || "none"}. ${OTHER_FORMAT}`);
  }
  return field;
}

/** A dict's entries as [key, field]. @throws DatasetError when it is not a dict */
export function entries(field: Field): [string, Field][] {
  if (!(field.value instanceof Map)) throw mismatch(field, "a dict");
  return [...field.value].map(([key, value]) => [keyName(key), { value, where: `${field.where}.${keyName(key)}` }]);
}

/** @throws DatasetError when the field is not a string */
export function asString(field: Field): string {
  if (typeof field.value !== "string") throw mismatch(field, "a string");
  return field.value;
}

/** @throws DatasetError when the field is not a finite number */
export function asNumber(field: Field): number {
  const value = typeof field.value === "bigint" ? Number(field.value) : field.value;
  if (typeof value !== "number" || !Number.isFinite(value)) throw mismatch(field, "a finite number");
  return value;
}

/**
 * Numbers in row-major order, with their shape, from a numpy array or from nested lists.
 * @throws DatasetError when the field is neither, or ragged
 */
export function asNumbers(field: Field): { data: Float64Array; shape: readonly number[] } {
  if (field.value instanceof NumpyArray) return { data: toFloat64(field.value, field.where), shape: field.value.shape };
  if (!Array.isArray(field.value)) throw mismatch(field, "an array of numbers");
  const rows = field.value;
  const first = rows[0];
  if (!Array.isArray(first) && !(first instanceof NumpyArray)) return { data: Float64Array.from(rows, (v, i) => element(field, v, [i])), shape: [rows.length] };
  const width = first instanceof NumpyArray ? first.shape.reduce((a, b) => a * b, 1) : first.length;
  const data = new Float64Array(rows.length * width);
  rows.forEach((row, r) => {
    const values = row instanceof NumpyArray ? Array.from(toFloat64(row, `${field.where}[${r}]`)) : row;
    if (!Array.isArray(values) || values.length !== width) throw mismatch({ value: row, where: `${field.where}[${r}]` }, `${width} numbers as in row 0`);
    values.forEach((v, c) => (data[r * width + c] = element(field, v, [r, c])));
  });
  return { data, shape: [rows.length, width] };
}

/**
 * A per-frame array.
 * @param frames expected first extent
 * @param width numbers a frame; 1 accepts both [frames] and [frames, 1]
 * @returns [frames * width], row-major
 * @throws DatasetError naming the expected and the found shape
 */
export function perFrame(field: Field, frames: number, width: number): Float64Array {
  const { data, shape } = asNumbers(field);
  const fits = shape[0] === frames && (shape.length === 2 ? shape[1] === width : shape.length === 1 && width === 1);
  if (!fits) {
    const expected = width === 1 ? `[${frames}] or [${frames}, 1]` : `[${frames}, ${width}]`;
    throw new DatasetError(`${field.where}: wrong shape, expected ${expected}, got [${shape.join(", ")}]. ${OTHER_FORMAT}`);
  }
  return data;
}

/** The error for a field of another type. */
export function mismatch(field: Field, expected: string): DatasetError {
  return new DatasetError(`${field.where}: wrong type, expected ${expected}, got ${describe(field.value)}. ${OTHER_FORMAT}`);
}

function element(field: Field, value: PickleValue, index: readonly number[]): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  throw mismatch({ value, where: `${field.where}[${index.join("][")}]` }, "a number");
}

/** Keys are strings, or numbers in some sets. */
function keyName(key: PickleValue): string {
  return typeof key === "string" || typeof key === "number" || typeof key === "bigint" ? String(key) : describe(key);
}

function describe(value: PickleValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (value instanceof Map) return "a dict";
  if (value instanceof Set) return "a set";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof NumpyArray) return `a ${value.dtype.code} array of shape [${value.shape.join(", ")}]`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "string") return `"${value.slice(0, 40)}"`;
  return typeof value === "object" ? "a numpy type" : String(value);
}
