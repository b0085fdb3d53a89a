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
        const place = (b * rows + row) * width + i;
        dsrc[place] = at(dsrc, place) + at(dy, (b * indices + k) * width + i);
      }
    }
  }
  return { dsrc };
}

/** Plain-loop chains: the first taker of each row, then the next taker of the same row after each; -1 where there is none. */
export function chainReference({ batch, rows, indices }: GatherShape, inputs: Arrays): { chain: Float64Array } {
  const index = arrayOf(inputs, "index", batch * indices);
  const chain = new Float64Array(batch * (rows + indices)).fill(-1);
  for (let b = 0; b < batch; b++) {
    const links = b * (rows + indices);
    const takerAfter = (row: number, k: number): number => {
      for (let next = k; next < indices; next++) if (at(index, b * indices + next) === row) return next;
      return -1;
    };
    for (let row = 0; row < rows; row++) chain[links + row] = takerAfter(row, 0);
    for (let k = 0; k < indices; k++) chain[links + rows + k] = takerAfter(at(index, b * indices + k), k + 1);
  }
  return { chain };
}

/** Plain-loop sums along the chains: dsrc[b, r] = sum of dy[b, k] over the takers k of row r. */
export function chainSumsReference({ batch, rows, indices, width }: GatherShape, inputs: Arrays): { dsrc: Float64Array } {
  const dy = arrayOf(inputs, "dy", batch * indices * width);
  const chain = arrayOf(inputs, "chain", batch * (rows + indices));
  const dsrc = new Float64Array(batch * rows * width);
  for (let b = 0; b < batch; b++) {
    const links = b * (rows + indices);
    for (let row = 0; row < rows; row++) {
      for (let k = at(chain, links + row); k >= 0; k = at(chain, links + rows + k)) {
        for (let i = 0; i < width; i++) {
          const place = (b * rows + row) * width + i;
          dsrc[place] = at(dsrc, place) + at(dy, (b * indices + k) * width + i);
        }
      }
    }
  }
  return { dsrc };
}

/** Row of every index over all tables; batch x rows where it lies outside its own. */
export function binNumbersReference({ batch, rows, indices }: GatherShape, inputs: Arrays): { bin: Float64Array } {
  const index = arrayOf(inputs, "index", batch * indices);
  return { bin: index.map((row, item) => (row >= 0 && row < rows ? Math.floor(item / indices) * rows + row : batch * rows)) };
}

/** Plain-loop sums over the members of each bin. */
export function binSumsReference({ batch, rows, indices, width }: GatherShape, inputs: Arrays): { dsrc: Float64Array } {
  const dy = arrayOf(inputs, "dy", batch * indices * width);
  const counts = arrayOf(inputs, "counts", batch * rows + 1);
  const start = arrayOf(inputs, "start", batch * rows);
  const order = arrayOf(inputs, "order", batch * indices);
  const dsrc = new Float64Array(batch * rows * width);
  for (let row = 0; row < batch * rows; row++) {
    for (let k = at(start, row); k < at(start, row) + at(counts, row); k++) {
      for (let i = 0; i < width; i++) dsrc[row * width + i] = at(dsrc, row * width + i) + at(dy, at(order, k) * width + i);
    }
  }
  return { dsrc };
}
