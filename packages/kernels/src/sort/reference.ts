import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes and direction of a sort of rows. */
export interface SortShape {
  readonly rows: number;
  readonly width: number;
  /** How many to keep from the front of each sorted row, at most `width`. */
  readonly keep: number;
  /** Largest first. Default false. */
  readonly descending?: boolean;
}

/** Plain sort of each row by value, then by index. */
export function sortReference({ rows, width, keep, descending = false }: SortShape, inputs: Arrays): { values: Float64Array; index: Float64Array } {
  const x = arrayOf(inputs, "x", rows * width);
  const values = new Float64Array(rows * keep);
  const index = new Float64Array(rows * keep);
  for (let row = 0; row < rows; row++) {
    const own = x.subarray(row * width, (row + 1) * width);
    const order = Array.from(own.keys()).sort((a, b) => (descending ? at(own, b) - at(own, a) : at(own, a) - at(own, b)) || a - b);
    order.slice(0, keep).forEach((from, rank) => {
      values[row * keep + rank] = at(own, from);
      index[row * keep + rank] = from;
    });
  }
  return { values, index };
}

/** Plain-loop gradient: dvalues goes back to where the values came from, 0 elsewhere. */
export function sortBackwardReference({ rows, width, keep }: SortShape, inputs: Arrays): { dx: Float64Array } {
  const dvalues = arrayOf(inputs, "dvalues", rows * keep);
  const index = arrayOf(inputs, "index", rows * keep);
  const dx = new Float64Array(rows * width);
  for (let i = 0; i < rows * keep; i++) dx[Math.floor(i / keep) * width + at(index, i)] = at(dvalues, i);
  return { dx };
}
