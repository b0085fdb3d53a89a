import { maxPool as maxPoolKernel, maxPoolBackward, sequenceOf, ShapeError } from "@distilldrive/kernels";
import { graphOf, type Operand, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp, renameTensors } from "./kernel-op.js";
import { reshape } from "./reshape.js";

const sizes = (x: TensorType | undefined): { outer: number; n: number; inner: number } => {
  const [outer = 0, n = 0, inner = 0] = x?.shape ?? [];
  return { outer, n, inner };
};

/** Maximum over points: x [O, N, D], mask [O, N] optional (nonzero = padding) -> y [O, D]; 0 where every point is padding. */
export const maxPoolOp: OpDefinition<None> = defineKernelOp({
  name: "maxPool",
  inputs: ["x", "mask..."],
  outputs: ["y", "index"],
  shape: ([x, mask]) => {
    const { outer, n, inner } = sizes(x);
    if (mask && (mask.shape[0] !== outer || mask.shape[1] !== n)) throw new ShapeError(`maxPool: mask does not fit, expected f32[${outer}, ${n}], got ${formatType(mask)}.`);
    return [typeOf([outer, inner]), typeOf([outer, inner], "i32")];
  },
  kernels: ({ target, inputs: [x, mask] }) => renameTensors(sequenceOf(maxPoolKernel({ ...sizes(x), mask: mask !== undefined }, target)), { mask: "mask0" }),
  vjp: {
    saves: ["index"],
    recompute: "costly",
    rule: ({ inputs: [x], outputs: [, index], cotangents: [dy] }) => (x && index && dy ? x.graph.apply(maxPoolBackwardOp, [index, dy], { n: x.at(1) }) : []),
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const [outer, n, inner] = [draw.size(6), draw.size(20), draw.size(12)];
    return { inputs: [{ ...typeOf([outer, n, inner]), distinct: 0.01 }, ...(draw.boolean() ? [{ ...typeOf([outer, n]), mask: true }] : [])], attributes: {} };
  },
});

/** Routes dy [O, D] to the points of index [O, D] -> dx [O, N, D]. */
export const maxPoolBackwardOp: OpDefinition<{ readonly n: number }> = defineKernelOp({
  name: "maxPoolBackward",
  inputs: ["index", "dy"],
  outputs: ["dx"],
  shape: ([index], { n }) => [typeOf([index?.shape[0] ?? 0, n, index?.shape[1] ?? 0])],
  kernels: ({ target, outputs: [dx] }) => maxPoolBackward(sizes(dx), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: () => "exact",
  samples: (draw) => {
    const [outer, n, inner] = [draw.size(6), draw.size(20), draw.size(12)];
    return { inputs: [{ ...typeOf([outer, inner], "i32"), range: [-1, n - 1] }, typeOf([outer, inner])], attributes: { n } };
  },
});

/**
 * Maximum over the points of a set (PointNet), ignoring padding.
 * @param x [..., N, D]
 * @param mask [..., N], nonzero = padding
 * @returns [..., D]; zeros where every point is padding
 * @throws ShapeError when the mask does not fit
 */
export function maxPool(x: Tensor, mask?: Operand): Tensor {
  const graph = graphOf("maxPool", [x]);
  const leading = x.shape.slice(0, -2);
  const outer = sizeOf(leading);
  const points = reshape(x, [outer, x.at(-2), x.at(-1)]);
  const given = mask === undefined ? undefined : graph.lift(mask);
  if (given && !sameShape(given.shape, x.shape.slice(0, -1))) {
    throw new ShapeError(`maxPool: mask does not fit, expected f32[${x.shape.slice(0, -1).join(", ")}], got ${formatType(given.type)}. It has a number per point of ${formatType(x.type)}.`);
  }
  const masks = given ? [reshape(given, [outer, x.at(-2)])] : [];
  const [y] = graph.apply(maxPoolOp, [points, ...masks], {});
  return reshape(y ?? x, [...leading, x.at(-1)]);
}
