import { elements } from "../problems/problem.js";

/** Copies an array with its axes reordered: axis i of the result is axis `order[i]` of `shape`. */
export function permuted(data: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const out = new Float32Array(data.length);
  const to = order.map((axis) => shape[axis] ?? 1);
  const strides = shape.map((_, axis) => elements(shape.slice(axis + 1)));
  const index = to.map(() => 0);
  for (let at = 0; at < out.length; at++) {
    let from = 0;
    order.forEach((axis, i) => {
      from += (index[i] ?? 0) * (strides[axis] ?? 0);
    });
    out[at] = data[from] ?? 0;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1;
      if ((index[axis] ?? 0) < (to[axis] ?? 0)) break;
      index[axis] = 0;
    }
  }
  return out;
}

/** The order that undoes `order`. */
export function inverse(order: readonly number[]): readonly number[] {
  return order.map((_, axis) => order.indexOf(axis));
}

/** How a library's own layout of a tensor differs from the problem's: axis orders by tensor name (`x`, `weight`, `out`). */
export type Layouts = Readonly<Record<string, readonly number[]>>;

/** A tensor in a library's layout. */
export function toLibrary(name: string, data: Float32Array, shape: readonly number[], layouts: Layouts): { data: Float32Array; shape: number[] } {
  const order = layouts[name === "dout" ? "out" : name];
  return order === undefined ? { data, shape: [...shape] } : { data: permuted(data, shape, order), shape: order.map((axis) => shape[axis] ?? 1) };
}

/** A result of a library in the problem's layout. @param shape in the problem's layout */
export function fromLibrary(name: string, data: Float32Array, shape: readonly number[], layouts: Layouts): Float32Array {
  const order = layouts[name];
  return order === undefined ? data : permuted(data, order.map((axis) => shape[axis] ?? 1), inverse(order));
}
