import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** A running sum over chunks of the middle axis of [outer, n, inner]. */
export interface ScanShape {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
  /** Elements of n after which a new sum starts. */
  readonly chunk: number;
  readonly chunks: number;
  /** From the end towards the beginning. */
  readonly reverse: boolean;
  /** An element's own value is left out of its sum. */
  readonly exclusive: boolean;
  /** Sums start from `start` [outer, chunks, inner] instead of zero. */
  readonly started: boolean;
}

/** Plain-loop running sums: y[o, k, i] = start[o, chunk of k, i] + sum of x[o, j, i] over the j of the chunk up to k. */
export function scanReference(shape: ScanShape, inputs: Arrays): { y: Float64Array } {
  const { outer, n, inner, chunk, chunks, reverse, exclusive } = shape;
  const x = arrayOf(inputs, "x", outer * n * inner);
  const start = shape.started ? arrayOf(inputs, "start", outer * chunks * inner) : undefined;
  const y = new Float64Array(outer * n * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      for (let c = 0; c < chunks; c++) {
        const head = c * chunk;
        const last = Math.min(n, head + chunk);
        let total = start === undefined ? 0 : at(start, (o * chunks + c) * inner + i);
        for (let step = 0; step < last - head; step++) {
          const position = (o * n + (reverse ? last - 1 - step : head + step)) * inner + i;
          y[position] = exclusive ? total : total + at(x, position);
          total += at(x, position);
        }
      }
    }
  }
  return { y };
}
