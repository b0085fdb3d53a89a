import { ShapeError } from "@distilldrive/kernels";
import type { DType } from "@distilldrive/kernels";

/** Sizes of a tensor's axes, outermost first; `[]` is a scalar. Storage is row-major and contiguous. */
export type Shape = readonly number[];

/** Shape and element type of a tensor. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** A `TensorType` of f32 (or the given dtype). */
export function typeOf(shape: Shape, dtype: DType = "f32"): TensorType {
  return { shape, dtype };
}

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] ?? 1) * (shape[axis + 1] ?? 1);
  }
  return strides;
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, axis) => n === b[axis]);
}

/** `f32[2, 3]`. */
export function formatType(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(", ")}]`;
}

/**
 * The shape two shapes broadcast to (numpy rules: align right, 1 stretches).
 * @throws ShapeError naming `where` when they do not broadcast
 */
export function broadcastShapes(where: string, ...shapes: readonly Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, position) => {
    let size = 1;
    for (const shape of shapes) {
      const n = shape[position - rank + shape.length] ?? 1;
      if (n === 1 || n === size) continue;
      if (size !== 1) {
        throw new ShapeError(
          `${where}: shapes do not broadcast, expected equal sizes or 1 at every axis from the right, got ${shapes
            .map((s) => `[${s.join(", ")}]`)
            .join(" and ")}. Reshape or transpose one of them.`,
        );
      }
      size = n;
    }
    return size;
  });
}

/**
 * Resolves a possibly negative axis.
 * @throws ShapeError naming `where` when it lies outside the rank
 */
export function resolveAxis(where: string, axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(resolved) || resolved < 0 || resolved >= rank) {
    throw new ShapeError(
      `${where}: no such axis, expected an integer in [${-rank}, ${rank - 1}], got ${axis}. The tensor has ${rank} axes.`,
    );
  }
  return resolved;
}

/** A shape seen around one axis: [outer, n, inner]. */
export function aroundAxis(shape: Shape, axis: number): { outer: number; n: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), n: shape[axis] ?? 1, inner: sizeOf(shape.slice(axis + 1)) };
}
