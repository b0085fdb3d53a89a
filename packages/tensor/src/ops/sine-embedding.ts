import { ShapeError, sineEmbedding as sineKernel, sineEmbeddingBackward } from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { formatType, sizeOf, type TensorType, typeOf } from "../shape.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";
import { reshape } from "./reshape.js";

interface Hidden {
  readonly hidden: number;
}
const rowsOf = (type: TensorType | undefined): number => type?.shape[0] ?? 0;

/** Sine embedding of points (DETR's, in metres): position [R, 2] -> y [R, hidden]. */
export const sineEmbeddingOp: OpDefinition<Hidden> = defineKernelOp({
  name: "sineEmbedding",
  inputs: ["position"],
  outputs: ["y"],
  shape: ([position], { hidden }) => [typeOf([rowsOf(position), hidden])],
  kernels: ({ target, inputs: [position], attributes: { hidden } }) => sineKernel({ rows: rowsOf(position), hidden }, target),
  vjp: {
    saves: ["y"],
    recompute: "cheap",
    rule: ({ outputs: [y], cotangents: [dy] }) => [y && dy ? applyOp(sineEmbeddingBackwardOp, [y, dy], {}) : undefined],
  },
  tolerance: () => "transcendental",
  samples: (draw) => ({ inputs: [{ ...typeOf([draw.size(40), 2]), range: [-60, 60] }], attributes: { hidden: 4 * draw.integer(1, 12) } }),
});

/** Gradient of {@link sineEmbeddingOp}: y, dy [R, hidden] -> dposition [R, 2]. */
export const sineEmbeddingBackwardOp: OpDefinition<None> = defineKernelOp({
  name: "sineEmbeddingBackward",
  inputs: ["y", "dy"],
  outputs: ["dposition"],
  shape: ([y]) => [typeOf([rowsOf(y), 2])],
  kernels: ({ target, inputs: [y] }) => sineEmbeddingBackward({ rows: rowsOf(y), hidden: y?.shape[1] ?? 0 }, target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([y]) => ({ terms: 8 + (y?.shape[1] ?? 0), scale: 8 }),
  samples: (draw) => {
    const shape = [draw.size(40), 4 * draw.integer(1, 12)];
    return { inputs: [{ ...typeOf(shape), range: [-1, 1] }, typeOf(shape)], attributes: {} };
  },
});

/**
 * Sine embedding of 2-D positions in metres: sin and cos in turn of 2 pi position / 10000^(2k / half), first of y, then of x
 * (`gen_sineembed_for_position` of the published code).
 * @param positions [..., 2] x, y (m)
 * @param hidden multiple of 4
 * @returns [..., hidden]
 * @throws ShapeError
 */
export function sineEmbedding(positions: Operand, hidden: number): Tensor {
  const position = graphOf("sineEmbedding", [positions]).lift(positions);
  if (position.at(-1) !== 2) throw new ShapeError(`sineEmbedding: wrong positions, expected [..., 2], got ${formatType(position.type)}. Give x and y on the last axis.`);
  const leading = position.shape.slice(0, -1);
  return reshape(applyOp(sineEmbeddingOp, [reshape(position, [sizeOf(leading), 2])], { hidden }), [...leading, hidden]);
}
