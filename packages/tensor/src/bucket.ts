import { GraphError } from "./errors.js";
import { compileFunction, type LazyResult, type TensorValue, type TraceFunction } from "./function.js";
import { Tensor } from "./graph.js";
import type { Device } from "./run/device.js";
import type { Store } from "./run/store.js";
import { aroundAxis, type Shape } from "./shape.js";

/** How to bucket a function's arguments. */
export interface BucketOptions {
  /** Sizes that programs are compiled for. */
  readonly buckets: readonly number[];
  /** By argument: the axis whose size varies from call to call; null where the argument always has the same shape. */
  readonly axes: readonly (number | null)[];
  /** By result: the axis to cut back to the true size ("value" for a function that returns one tensor). Other results are read as they are. */
  readonly results?: Readonly<Record<string, number>>;
}

/** Results of a bucketed call. */
export interface BucketedResult extends LazyResult {
  /** The size the arguments were padded to. */
  readonly bucket: number;
}

/** A function compiled once per bucket. */
export type BucketedFunction = (store: Store, ...args: readonly TensorValue[]) => Promise<BucketedResult>;

/** The smallest bucket that holds `size`. @throws GraphError when none does */
export function bucketOf(size: number, buckets: readonly number[]): number {
  const fitting = buckets.filter((bucket) => bucket >= size);
  if (fitting.length === 0) throw new GraphError(`bucket: no bucket holds ${size}, expected at most ${Math.max(0, ...buckets)}. Add a larger bucket.`);
  return Math.min(...fitting);
}

/** Extends an axis with zeros. @returns the value with `size` positions along the axis */
export function padTo({ shape, data }: TensorValue, axis: number, size: number): TensorValue {
  const { outer, n, inner } = aroundAxis(shape, axis);
  if (size < n) throw new GraphError(`padTo: axis ${axis} is longer than that, expected at least ${n}, got ${size}.`);
  const padded = new Float32Array(outer * size * inner);
  for (let block = 0; block < outer; block++) {
    for (let i = 0; i < n * inner; i++) padded[block * size * inner + i] = data[block * n * inner + i] ?? 0;
  }
  return { shape: shape.map((was, i) => (i === axis ? size : was)), data: padded };
}

/**
 * Compiles a function for a few sizes of an axis instead of for every size: arguments are padded with zeros to the next
 * bucket, and the function gets a mask [bucket] as one more argument at the end, 1 for what is real and 0 for padding. It must
 * use the mask wherever padding would show: in sums and means over the axis, as `keyPaddingMask` (1 - mask) of an attention.
 * @param fn traced once per bucket
 * @throws GraphError when arguments differ in size along their axes, or no bucket holds it
 */
export function bucket(device: Device, fn: TraceFunction, { buckets, axes, results = {} }: BucketOptions): BucketedFunction {
  const shapes = new Map<string, Shape>();
  const compiled = compileFunction(device, (...args) => {
    const made = fn(...args);
    const size = args.at(-1)?.at(0) ?? 0;
    for (const [name, tensor] of Object.entries(made instanceof Tensor ? { value: made } : made)) shapes.set(`${size} ${name}`, tensor.shape);
    return made;
  });
  return async (store, ...args) => {
    const sizes = args.flatMap(({ shape }, i) => {
      const axis = axes[i] ?? null;
      return axis === null ? [] : [shape[axis] ?? 0];
    });
    const [size] = sizes;
    if (size === undefined || sizes.some((other) => other !== size)) {
      throw new GraphError(`bucket: arguments differ in size along their bucketed axes, expected one size, got ${sizes.join(", ") || "no bucketed argument"}. Pad them alike, or name other axes.`);
    }
    const padded = bucketOf(size, buckets);
    const mask: TensorValue = { shape: [padded], data: Float32Array.from({ length: padded }, (_, i) => (i < size ? 1 : 0)) };
    const values = args.map((value, i) => {
      const axis = axes[i] ?? null;
      return axis === null ? value : padTo(value, axis, padded);
    });
    const result = await compiled(store, ...values, mask);
    return {
      ...result,
      bucket: padded,
      read: async (name = "value") => {
        const data = await result.read(name);
        const axis = results[name];
        const shape = shapes.get(`${padded} ${name}`);
        return axis === undefined || !shape ? data : cut(data, shape, axis, size);
      },
    };
  };
}

/** The first `size` positions of an axis. */
function cut<Data extends Float32Array | Int32Array | Uint32Array>(data: Data, shape: Shape, axis: number, size: number): Data {
  const { outer, n, inner } = aroundAxis(shape, axis);
  const part = data.slice(0, outer * size * inner) as Data;
  for (let block = 1; block < outer; block++) part.set(data.subarray(block * n * inner, (block * n + size) * inner), block * size * inner);
  return part;
}
