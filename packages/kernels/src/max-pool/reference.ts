import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a maximum over points. */
export interface MaxPoolShape {
  readonly outer: number;
  /** Points that are pooled. */
  readonly n: number;
  /** Channels. */
  readonly inner: number;
  /** There is a mask [outer, n], non-zero where a point is padding. Default false. */
  readonly mask?: boolean;
}

/** Plain-loop maximum over the points that are not masked, with its index; 0 and -1 where all are masked. */
export function maxPoolReference({ outer, n, inner, mask: masked = false }: MaxPoolShape, inputs: Arrays): { y: Float64Array; index: Float64Array } {
  const x = arrayOf(inputs, "x", outer * n * inner);
  const mask = masked ? arrayOf(inputs, "mask", outer * n) : new Float64Array(outer * n);
  const y = new Float64Array(outer * inner);
  const index = new Float64Array(outer * inner).fill(-1);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      for (let k = 0; k < n; k++) {
        const value = at(x, (o * n + k) * inner + i);
        const output = o * inner + i;
        if (at(mask, o * n + k) !== 0 || (at(index, output) >= 0 && value <= at(y, output))) continue;
        y[output] = value;
        index[output] = k;
      }
    }
  }
  return { y, index };
}

/** Plain-loop gradient: dy goes to the point it came from. */
export function maxPoolBackwardReference({ outer, n, inner }: MaxPoolShape, inputs: Arrays): { dx: Float64Array } {
  const index = arrayOf(inputs, "index", outer * inner);
  const dy = arrayOf(inputs, "dy", outer * inner);
  const dx = new Float64Array(outer * n * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const k = at(index, o * inner + i);
      if (k >= 0) dx[(o * n + k) * inner + i] = at(dy, o * inner + i);
    }
  }
  return { dx };
}
