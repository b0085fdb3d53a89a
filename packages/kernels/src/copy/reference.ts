import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** A copy between two strided views of the same shape. Strides and offsets count elements. */
export interface StridedCopy {
  /** Extents, outermost first; any rank whose axes merge to five or fewer. */
  readonly shape: readonly number[];
  /** Zero repeats the source along an axis. */
  readonly srcStrides: readonly number[];
  readonly srcOffset: number;
  /** Elements of the whole source array. */
  readonly srcLength: number;
  readonly dstStrides: readonly number[];
  readonly dstOffset: number;
  /** Elements of the whole destination array. */
  readonly dstLength: number;
}

/** Row-major strides of a shape. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = (strides[axis + 1] ?? 1) * (shape[axis + 1] ?? 1);
  return strides;
}

/** Number of elements of a shape. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Calls `visit` for every coordinate of a shape, in row-major order. */
function forEachCoordinate(shape: readonly number[], visit: (coordinate: readonly number[]) => void): void {
  const count = elementsOf(shape);
  const coordinate = shape.map(() => 0);
  for (let i = 0; i < count; i++) {
    visit(coordinate);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (coordinate[axis] ?? 0) + 1;
      coordinate[axis] = next < (shape[axis] ?? 0) ? next : 0;
      if (next < (shape[axis] ?? 0)) break;
    }
  }
}

/** Offset of a coordinate under strides. */
function positionOf(coordinate: readonly number[], strides: readonly number[], offset = 0): number {
  return coordinate.reduce((sum, value, axis) => sum + value * (strides[axis] ?? 0), offset);
}

/** Plain-loop strided copy: y[dst(c)] = x[src(c)] for every coordinate c; the rest of y stays. */
export function stridedCopyReference(copy: StridedCopy, inputs: Arrays): { y: Float64Array } {
  const x = arrayOf(inputs, "x", copy.srcLength);
  const y = inputs["y"] === undefined ? new Float64Array(copy.dstLength) : arrayOf(inputs, "y", copy.dstLength).slice();
  forEachCoordinate(copy.shape, (c) => {
    y[positionOf(c, copy.dstStrides, copy.dstOffset)] = at(x, positionOf(c, copy.srcStrides, copy.srcOffset));
  });
  return { y };
}

/** A constant border around a tensor. */
export interface PadShape {
  readonly shape: readonly number[];
  /** Elements put before each axis. */
  readonly before: readonly number[];
  /** Elements put after each axis. */
  readonly after: readonly number[];
  /** Default 0. */
  readonly value?: number;
}

/** Plain-loop pad: y is the value everywhere, except where x lies. */
export function padReference({ shape, before, after, value = 0 }: PadShape, inputs: Arrays): { y: Float64Array } {
  const x = arrayOf(inputs, "x", elementsOf(shape));
  const padded = shape.map((extent, axis) => extent + (before[axis] ?? 0) + (after[axis] ?? 0));
  const y = new Float64Array(elementsOf(padded)).fill(Math.fround(value));
  const from = contiguousStrides(shape);
  const to = contiguousStrides(padded);
  const offset = positionOf(before, to);
  forEachCoordinate(shape, (c) => {
    y[positionOf(c, to, offset)] = at(x, positionOf(c, from));
  });
  return { y };
}

/** Plain-loop concatenation of rows: y[r] = x0[r], x1[r], ... */
export function concatReference({ outer, widths }: { outer: number; widths: readonly number[] }, inputs: Arrays): { y: Float64Array } {
  const total = widths.reduce((sum, width) => sum + width, 0);
  const y = new Float64Array(outer * total);
  let offset = 0;
  widths.forEach((width, part) => {
    const x = arrayOf(inputs, `x${part}`, outer * width);
    for (let r = 0; r < outer; r++) for (let i = 0; i < width; i++) y[r * total + offset + i] = at(x, r * width + i);
    offset += width;
  });
  return { y };
}
