import { contiguousStrides, elementsOf } from "../copy/reference.js";
import { stridedCopyAs } from "../copy/strided-copy.js";
import { ShapeError } from "../errors.js";
import type { Kernel, KernelTarget } from "../kernel.js";

/**
 * Reorders axes: x [shape] -> y with y.shape[i] = shape[order[i]], any four-byte type. Its gradient is the permutation back,
 * {@link inversePermutation}. Axes that stay neighbours are merged, so ranks above five often work too.
 * @throws ShapeError when `order` is not a permutation of the axes
 */
export function permute({ shape, order }: { readonly shape: readonly number[]; readonly order: readonly number[] }, target: KernelTarget): Kernel {
  if (order.length !== shape.length || shape.some((_, axis) => !order.includes(axis))) {
    throw new ShapeError(`permute: the order does not name every axis once, expected a permutation of 0 .. ${shape.length - 1}, got [${order.join(", ")}]. Check the order.`);
  }
  const strides = contiguousStrides(shape);
  const permuted = order.map((axis) => shape[axis] ?? 0);
  const length = elementsOf(shape);
  const srcStrides = order.map((axis) => strides[axis] ?? 0);
  return stridedCopyAs("permute", { shape: permuted, srcStrides, srcOffset: 0, srcLength: length, dstStrides: contiguousStrides(permuted), dstOffset: 0, dstLength: length }, target);
}

/** The order that undoes `order`. */
export function inversePermutation(order: readonly number[]): number[] {
  return order.map((_, axis) => order.indexOf(axis));
}
