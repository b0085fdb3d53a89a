import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a gather of rows. */
export interface GatherShape {
  /** Independent tables. */
  readonly batch: number;
  /** Rows of a table. */
  readonly rows: number;
  /** Rows taken from each table. */
  readonly indices: number;
  /** Elements in a row. */
  readonly width: number;
}

/** Plain-loop gather: y[b, k] = src[b, index[b, k]], zeros where the index is outside 0 .. rows - 1. */
export function gatherReference({ batch, rows, indices, width }: GatherShape, inputs: Arrays): { y: Float64Array } {
  const src = arrayOf(inputs, "src", batch * rows * width);
  const index = arrayOf(inputs, "index", batch * indices);
  const y = new Float64Array(batch * indices * width);
  for (let b = 0; b < batch; b++) {
    for (let k = 0; k < indices; k++) {
      const row = at(index, b * indices + k);
      if (row < 0 || row >= rows) continue;
      for (let i = 0; i < width; i++) y[(b * indices + k) * width + i] = at(src, (b * rows + row) * width + i);
    }
  }
  return { y };
}

/** Plain-loop scatter-add: dsrc[b, r] = sum of dy[b, k] over the k whose index is r. */
export function scatterAddReference({ batch, rows, indices, width }: GatherShape, inputs: Arrays): { dsrc: Float64Array } {
  const dy = arrayOf(inputs, "dy", batch * indices * width);
  const index = arrayOf(inputs, "index", batch * indices);
  const dsrc = new Float64Array(batch * rows * width);
  for (let b = 0; b < batch; b++) {
    for (let k = 0; k < indices; k++) {
      const row = at(index, b * indices + k);
      if (row < 0 || row >= rows) continue;
      for (let i = 0; i < width; i++) {
        const target = (b * rows + row) * width + i;
        dsrc[target] = at(dsrc, target) + at(dy, (b * indices + k) * width + i);
      }
    }
  }
  return { dsrc };
}
