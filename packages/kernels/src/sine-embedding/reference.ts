import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a sine embedding. */
export interface SineEmbeddingShape {
  readonly rows: number;
  /** Elements of an embedding, a multiple of 4: one half each for y and x, sine and cosine in turn. */
  readonly hidden: number;
}

/** Turns per metre of the k-th sine-cosine pair: 10000^(-2k / half) with half = hidden / 2. */
export function turnsPerMetre(hidden: number, k: number): number {
  return 10000 ** ((-4 * k) / hidden);
}

/** Plain-loop sine embedding: y[r] = (sin, cos, sin, cos ... of the y coordinate, then of the x coordinate). */
export function sineEmbeddingReference({ rows, hidden }: SineEmbeddingShape, inputs: Arrays): { y: Float64Array } {
  const position = arrayOf(inputs, "position", rows * 2);
  const y = new Float64Array(rows * hidden);
  for (let r = 0; r < rows; r++) {
    for (let half = 0; half < 2; half++) {
      for (let k = 0; k < hidden / 4; k++) {
        const angle = 2 * Math.PI * at(position, r * 2 + 1 - half) * turnsPerMetre(hidden, k);
        const output = r * hidden + (half * hidden) / 2 + 2 * k;
        y[output] = Math.sin(angle);
        y[output + 1] = Math.cos(angle);
      }
    }
  }
  return { y };
}

/** Plain-loop gradient from the output: d sin = cos, d cos = -sin, times 2 pi and the frequency. */
export function sineEmbeddingBackwardReference({ rows, hidden }: SineEmbeddingShape, inputs: Arrays): { dposition: Float64Array } {
  const y = arrayOf(inputs, "y", rows * hidden);
  const dy = arrayOf(inputs, "dy", rows * hidden);
  const dposition = new Float64Array(rows * 2);
  for (let r = 0; r < rows; r++) {
    for (let half = 0; half < 2; half++) {
      let sum = 0;
      for (let k = 0; k < hidden / 4; k++) {
        const pair = r * hidden + (half * hidden) / 2 + 2 * k;
        sum += (at(dy, pair) * at(y, pair + 1) - at(dy, pair + 1) * at(y, pair)) * 2 * Math.PI * turnsPerMetre(hidden, k);
      }
      dposition[r * 2 + 1 - half] = sum;
    }
  }
  return { dposition };
}
