import { ShapeError } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import { defineOp } from "../op.js";
import { resolveAxis, sameShape, type Shape, sizeOf, typeOf } from "../shape.js";

/** The same elements, in the same order, under another shape. Costs nothing. */
export const reshapeOp = defineOp<{ readonly shape: Shape }>({
  name: "reshape",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x], { shape }) => {
    const from = x?.shape ?? [];
    if (sizeOf(from) !== sizeOf(shape)) {
      throw new ShapeError(`reshape: sizes differ, expected ${sizeOf(from)} elements as in [${from.join(", ")}], got [${shape.join(", ")}]. Choose a shape of the same size.`);
    }
    return [typeOf(shape, x?.dtype)];
  },
  reference: ([x]) => [Float64Array.from(x ?? [])],
  lower: { kind: "view" },
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ inputs: [x], cotangents: [dy] }) => [x && dy ? reshape(dy, x.shape) : undefined],
  },
  cost: () => ({ flops: 0, bytes: 0 }),
  tolerance: () => "exact",
  samples: (draw) => {
    const [a, b, c] = [draw.size(6), draw.size(6), draw.size(6)];
    return { inputs: [typeOf([a, b, c])], attributes: { shape: draw.pick<Shape>([[a * b, c], [a, b * c], [a * b * c], [c, b, a]]) } };
  },
});

/**
 * The same elements under another shape; one axis may be -1 and is worked out.
 * @throws ShapeError when the sizes differ
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
  const resolved = shape.map((n) => (n === -1 ? sizeOf(x.shape) / Math.max(1, known) : n));
  return sameShape(resolved, x.shape) ? x : applyOp(reshapeOp, [x], { shape: resolved });
}

/** Inserts an axis of size 1 before `axis` (negative: counted from the end of the result). */
export function expandDims(x: Tensor, axis: number): Tensor {
  const at = resolveAxis("expandDims", axis, x.shape.length + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Removes an axis of size 1. @throws ShapeError when its size is not 1 */
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = resolveAxis("squeeze", axis, x.shape.length);
  if (x.shape[at] !== 1) {
    throw new ShapeError(`squeeze: axis ${axis} cannot be removed, expected size 1, got ${x.shape[at] ?? 0}. Use slice or a reduction.`);
  }
  return reshape(x, [...x.shape.slice(0, at), ...x.shape.slice(at + 1)]);
}
