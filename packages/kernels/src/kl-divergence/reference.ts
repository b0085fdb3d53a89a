import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a row-wise divergence. */
export interface KlDivergenceShape {
  readonly rows: number;
  /** Classes (modes) in a row. */
  readonly width: number;
}

/** Plain-loop divergence of every row: loss[r] = weight[r] sum over m of t (log t - log softmax(x)), where 0 log 0 = 0. */
export function klDivergenceReference({ rows, width }: KlDivergenceShape, inputs: Arrays): { loss: Float64Array } {
  const logits = arrayOf(inputs, "logits", rows * width);
  const targets = arrayOf(inputs, "targets", rows * width);
  const weight = arrayOf(inputs, "weight", rows);
  const loss = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    const normaliser = logSumExp(logits, r, width);
    let sum = 0;
    for (let m = 0; m < width; m++) {
      const t = at(targets, r * width + m);
      if (t > 0) sum += t * (Math.log(t) - (at(logits, r * width + m) - normaliser));
    }
    loss[r] = sum * at(weight, r);
  }
  return { loss };
}

/** Plain-loop gradient to the logits: weight dloss (softmax(x) sum of t - t). */
export function klDivergenceBackwardReference({ rows, width }: KlDivergenceShape, inputs: Arrays): { dlogits: Float64Array } {
  const logits = arrayOf(inputs, "logits", rows * width);
  const targets = arrayOf(inputs, "targets", rows * width);
  const weight = arrayOf(inputs, "weight", rows);
  const dloss = arrayOf(inputs, "dloss", rows);
  const dlogits = new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const normaliser = logSumExp(logits, r, width);
    let mass = 0;
    for (let m = 0; m < width; m++) mass += Math.max(0, at(targets, r * width + m));
    for (let m = 0; m < width; m++) {
      const k = r * width + m;
      dlogits[k] = at(weight, r) * at(dloss, r) * (Math.exp(at(logits, k) - normaliser) * mass - Math.max(0, at(targets, k)));
    }
  }
  return { dlogits };
}

function logSumExp(logits: Float64Array, row: number, width: number): number {
  let peak = -Infinity;
  for (let m = 0; m < width; m++) peak = Math.max(peak, at(logits, row * width + m));
  let total = 0;
  for (let m = 0; m < width; m++) total += Math.exp(at(logits, row * width + m) - peak);
  return peak + Math.log(total);
}
