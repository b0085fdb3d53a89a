import { DTypeError, gatherRows, scatterAddRows, ShapeError } from "@distilldrive/kernels";
import { applyOp, type Operand, type Tensor, graphOf } from "../graph.js";
import type { OpDefinition, SampleInput } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";
import { reshape } from "./reshape.js";
import type { None } from "./elementwise-op.js";

const sizes = (table: TensorType | undefined, index: TensorType | undefined): { batch: number; rows: number; indices: number; width: number } => {
  const [batch = 0, rows = 0, width = 0] = table?.shape ?? [];
  return { batch, rows, indices: index?.shape[1] ?? 0, width };
};
const indexInput = (batch: number, indices: number, rows: number): SampleInput => ({ ...typeOf([batch, indices], "i32"), range: [-1, rows - 1] });

function requireIndices(where: string, index: TensorType | undefined): void {
  if (index?.dtype !== "i32") throw new DTypeError(`${where}: wrong type of indices, expected i32, got ${index?.dtype ?? "nothing"}. Declare the input with dtype "i32".`);
}

/** Rows of a table by number: src [B, R, W], index i32 [B, K] -> y [B, K, W]; an index outside [0, R) gives zeros. */
export const gatherOp: OpDefinition<None> = defineKernelOp({
  name: "gather",
  inputs: ["src", "index"],
  outputs: ["y"],
  shape: ([src, index]) => {
    requireIndices("gather", index);
    const { batch, indices, width } = sizes(src, index);
    if (src?.shape.length !== 3 || index?.shape.length !== 2 || index.shape[0] !== batch) {
      throw new ShapeError(`gather: shapes do not fit, expected src [B, R, W] and index [B, K], got ${src ? formatType(src) : "nothing"} and ${index ? formatType(index) : "nothing"}.`);
    }
    return [typeOf([batch, indices, width])];
  },
  kernels: ({ target, inputs: [src, index] }) => gatherRows(sizes(src, index), target),
  vjp: {
    saves: ["index"],
    recompute: "cheap",
    rule: ({ inputs: [src, index], cotangents: [dy] }) => [src && index && dy ? applyOp(scatterAddOp, [dy, index], { rows: src.at(1) }) : undefined],
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const [b, r, k, w] = [draw.size(4), draw.size(9), draw.size(12), draw.size(9)];
    return { inputs: [typeOf([b, r, w]), indexInput(b, k, r)], attributes: {} };
  },
});

/** Adds rows up where they belong: dy [B, K, W], index i32 [B, K] -> [B, R, W]. Always in the same order, without atomics. */
export const scatterAddOp: OpDefinition<{ readonly rows: number }> = defineKernelOp({
  name: "scatterAdd",
  inputs: ["dy", "index"],
  outputs: ["dsrc"],
  shape: ([dy, index], { rows }) => {
    requireIndices("scatterAdd", index);
    if (dy?.shape.length !== 3 || !sameShape(index?.shape ?? [], dy.shape.slice(0, 2))) {
      throw new ShapeError(`scatterAdd: shapes do not fit, expected dy [B, K, W] and index [B, K], got ${dy ? formatType(dy) : "nothing"} and ${index ? formatType(index) : "nothing"}.`);
    }
    return [typeOf([dy.shape[0] ?? 0, rows, dy.shape[2] ?? 0])];
  },
  kernels: ({ target, inputs: [dy, index], outputs: [dsrc] }) => scatterAddRows(sizes(dsrc ?? dy, index), target),
  vjp: {
    saves: ["index"],
    recompute: "cheap",
    rule: ({ inputs: [, index], cotangents: [dsrc] }) => [dsrc && index ? applyOp(gatherOp, [dsrc, index], {}) : undefined],
  },
  tolerance: ([, index]) => ({ terms: index?.shape[1] ?? 1, scale: 2 }),
  samples: (draw) => {
    const [b, r, k, w] = [draw.size(4), draw.size(9), draw.size(12), draw.size(9)];
    return { inputs: [typeOf([b, k, w]), indexInput(b, k, r)], attributes: { rows: r } };
  },
});

/**
 * Rows of `x` by number along the axis behind the batch axes.
 * @param x [...batch, R, ...rest]
 * @param indices i32 [...batch, K]; -1 (or anything outside [0, R)) gives zeros
 * @returns [...batch, K, ...rest]
 * @throws DTypeError, ShapeError
 */
export function gather(x: Operand, indices: Tensor, { batchDims = 0 }: { readonly batchDims?: number } = {}): Tensor {
  const src = graphOf("gather", [x, indices]).lift(x);
  const batchShape = src.shape.slice(0, batchDims);
  if (src.shape.length <= batchDims || !sameShape(indices.shape.slice(0, batchDims), batchShape)) {
    throw new ShapeError(`gather: batch axes differ, expected the first ${batchDims} of ${formatType(src.type)} with rows behind them, got indices ${formatType(indices.type)}. Change batchDims, or reshape.`);
  }
  const rest = src.shape.slice(batchDims + 1);
  const batch = sizeOf(batchShape);
  const taken = indices.shape.slice(batchDims);
  const y = applyOp(gatherOp, [reshape(src, [batch, src.shape[batchDims] ?? 0, sizeOf(rest)]), reshape(indices, [batch, sizeOf(taken)])], {});
  return reshape(y, [...batchShape, ...taken, ...rest]);
}

/**
 * Adds rows of `updates` up at their indices: the gradient of {@link gather}.
 * @param updates [...batch, K, ...rest]
 * @param indices i32 [...batch, K]
 * @returns [...batch, rows, ...rest]
 * @throws DTypeError, ShapeError
 */
export function scatterAdd(updates: Tensor, indices: Tensor, rows: number, { batchDims = 0 }: { readonly batchDims?: number } = {}): Tensor {
  if (!sameShape(updates.shape.slice(0, indices.shape.length), indices.shape)) {
    throw new ShapeError(`scatterAdd: updates do not fit the indices, expected [${[...indices.shape, "..."].join(", ")}], got ${formatType(updates.type)}. Give one row of updates per index.`);
  }
  const batchShape = updates.shape.slice(0, batchDims);
  const batch = sizeOf(batchShape);
  const rest = updates.shape.slice(indices.shape.length);
  const taken = sizeOf(indices.shape.slice(batchDims));
  const y = applyOp(scatterAddOp, [reshape(updates, [batch, taken, sizeOf(rest)]), reshape(indices, [batch, taken])], { rows });
  return reshape(y, [...batchShape, rows, ...rest]);
}
