import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import type { ElementLoss } from "./losses.js";

/** Whose weight an element has: one for all, one per row, or its own. */
export type WeightForm = "all" | "row" | "element";

/** Sizes of an element-wise loss. */
export interface ElementLossShape {
  readonly rows: number;
  /** Elements in a row: what shares a weight, or the classes a label chooses from. */
  readonly width: number;
  readonly weight: WeightForm;
}

/** Divisors are not taken smaller: nothing counted gives a loss of zero. */
export const leastDivisor = 2 ** -23;

/** Length of the weights of a form. */
export function weightLength({ rows, width, weight }: ElementLossShape): number {
  return weight === "all" ? 1 : weight === "row" ? rows : rows * width;
}

/** Target and weight of every element. */
function elements(loss: ElementLoss, shape: ElementLossShape, inputs: Arrays): { x: Float64Array; target: (k: number) => number; weight: (k: number) => number } {
  const { rows, width } = shape;
  const x = arrayOf(inputs, "x", rows * width);
  const targets = arrayOf(inputs, "goal", loss.labels ? rows : rows * width);
  const weights = arrayOf(inputs, "weight", weightLength(shape));
  return {
    x,
    target: (k) => (loss.labels ? (at(targets, Math.floor(k / width)) === k % width ? 1 : 0) : at(targets, k)),
    weight: (k) => at(weights, shape.weight === "all" ? 0 : shape.weight === "row" ? Math.floor(k / width) : k),
  };
}

/** Plain-loop loss: the weighted sum over all elements, divided. An element of weight 0 counts as 0 whatever its value. */
export function elementLossReference(loss: ElementLoss, shape: ElementLossShape, inputs: Arrays): { loss: Float64Array } {
  const { loss: parts } = partsReference(loss, shape, { parts: 1, part: shape.rows * shape.width }, inputs);
  return totalReference(1, { parts, divisor: arrayOf(inputs, "divisor", 1) });
}

/** Plain-loop sums over `parts` runs of `part` elements each. */
export function partsReference(loss: ElementLoss, shape: ElementLossShape, { parts, part }: { readonly parts: number; readonly part: number }, inputs: Arrays): { loss: Float64Array } {
  const { x, target, weight } = elements(loss, shape, inputs);
  const sums = new Float64Array(parts);
  for (let k = 0; k < x.length; k++) {
    const number = Math.floor(k / part);
    if (weight(k) !== 0) sums[number] = at(sums, number) + weight(k) * loss.value(at(x, k), target(k));
  }
  return { loss: sums };
}

/** Plain-loop sum of all parts, divided. */
export function totalReference(parts: number, inputs: Arrays): { loss: Float64Array } {
  const sum = arrayOf(inputs, "parts", parts).reduce((running, part) => running + part, 0);
  return { loss: Float64Array.of(sum / Math.max(at(arrayOf(inputs, "divisor", 1), 0), leastDivisor)) };
}

/** Plain-loop gradient to x. */
export function elementLossBackwardReference(loss: ElementLoss, shape: ElementLossShape, inputs: Arrays): { dx: Float64Array } {
  const { x, target, weight } = elements(loss, shape, inputs);
  const scale = at(arrayOf(inputs, "dloss", 1), 0) / Math.max(at(arrayOf(inputs, "divisor", 1), 0), leastDivisor);
  return { dx: x.map((value, k) => (weight(k) === 0 ? 0 : scale * weight(k) * loss.slope(value, target(k)))) };
}
