import type { Tensor } from "../graph.js";
import { sameShape, type Shape } from "../shape.js";
import { sum } from "./reduce.js";
import { reshape } from "./reshape.js";

/** Adds up the axes along which `shape` was broadcast to the shape of `x`: the gradient of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const missing = x.shape.length - shape.length;
  const axes = x.shape.flatMap((n, axis) => (axis < missing || (shape[axis - missing] === 1 && n !== 1) ? [axis] : []));
  const summed = axes.length > 0 ? sum(x, { axes, keepDims: true }) : x;
  return reshape(summed, shape);
}
