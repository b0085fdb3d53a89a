import { arrayOf, at } from "../reference-arrays.js";
import type { Arrays } from "../kernel.js";

/** Plain-loop softmax (or its logarithm) of every row: y[r, i] = exp(x[r, i]) / sum over j of exp(x[r, j]). */
export function softmaxReference({ rows, width, log }: { rows: number; width: number; log: boolean }, inputs: Arrays): { y: Float64Array } {
  const x = arrayOf(inputs, "x", rows * width);
  const y = new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) {
    let peak = -Infinity;
    for (let i = 0; i < width; i++) peak = Math.max(peak, at(x, r * width + i));
    let total = 0;
    for (let i = 0; i < width; i++) total += Math.exp(at(x, r * width + i) - peak);
    for (let i = 0; i < width; i++) {
      const shifted = at(x, r * width + i) - peak;
      y[r * width + i] = log ? shifted - Math.log(total) : Math.exp(shifted) / total;
    }
  }
  return { y };
}

/**
 * Plain-loop gradient from the output. softmax: dx = y (dy - sum of dy y); log-softmax: dx = dy - exp(y) sum of dy.
 */
export function softmaxBackwardReference({ rows, width, log }: { rows: number; width: number; log: boolean }, inputs: Arrays): { dx: Float64Array } {
  const y = arrayOf(inputs, "y", rows * width);
  const dy = arrayOf(inputs, "dy", rows * width);
  const dx = new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += at(dy, r * width + i) * (log ? 1 : at(y, r * width + i));
    for (let i = 0; i < width; i++) {
      const k = r * width + i;
      dx[k] = log ? at(dy, k) - Math.exp(at(y, k)) * sum : at(y, k) * (at(dy, k) - sum);
    }
  }
  return { dx };
}
