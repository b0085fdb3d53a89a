import { ShapeError } from "@distilldrive/kernels";
import { graphOf, type Operand, type Tensor } from "../graph.js";
import { formatType, resolveAxis, sizeOf } from "../shape.js";
import { gather } from "./gather.js";
import { permute } from "./permute.js";
import { reshape } from "./reshape.js";

/**
 * Rows of a learned table by number; the table's gradient adds up in a fixed order.
 * @param table [R, W]
 * @param indices i32 [...K]; -1 (or anything outside [0, R)) gives zeros
 * @returns [...K, W]
 * @throws DTypeError when indices are not i32; ShapeError when the table has not two axes
 */
export function embedding(table: Operand, indices: Tensor): Tensor {
  const rows = graphOf("embedding", [table, indices]).lift(table);
  if (rows.shape.length !== 2) throw new ShapeError(`embedding: the table does not fit, expected [R, W], got ${formatType(rows.type)}. Reshape it, or use gather.`);
  return gather(rows, indices);
}

/**
 * Slices of `x` by number along an axis, the same ones everywhere.
 * @param x [...before, R, ...after]
 * @param indices i32 [K]; -1 (or anything outside [0, R)) gives zeros
 * @param axis the axis of size R; negative ones count from the end
 * @returns [...before, K, ...after]
 * @throws DTypeError when indices are not i32; ShapeError when they have not one axis, or `axis` does not exist
 */
export function indexSelect(x: Operand, indices: Tensor, axis: number): Tensor {
  const source = graphOf("indexSelect", [x, indices]).lift(x);
  const at = resolveAxis("indexSelect", axis, source.shape.length);
  if (indices.shape.length !== 1) throw new ShapeError(`indexSelect: indices do not fit, expected i32[K], got ${formatType(indices.type)}. Reshape them, or use gather with batchDims.`);
  if (at === 0) return gather(source, indices);
  // Rows are whole slices once the axis is the first one.
  const [before, after] = [source.shape.slice(0, at), source.shape.slice(at + 1)];
  const rows = permute(reshape(source, [sizeOf(before), source.shape[at] ?? 0, sizeOf(after)]), [1, 0, 2]);
  return reshape(permute(gather(rows, indices), [1, 0, 2]), [...before, indices.at(0), ...after]);
}
