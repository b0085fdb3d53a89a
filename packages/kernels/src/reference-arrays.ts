import { ShapeError } from "./errors.js";
import type { Arrays } from "./kernel.js";

/** An input of a reference computation. @throws ShapeError when it is missing or has another length */
export function arrayOf(inputs: Arrays, name: string, length: number): Float64Array {
  const array = inputs[name];
  if (array?.length !== length) {
    throw new ShapeError(`reference: input "${name}" does not fit, expected ${length} elements, got ${array?.length ?? "none"}. Check the sizes the kernel was made for.`);
  }
  return array;
}

/** One element; reading outside an array is a mistake in the reference, never a zero. @throws RangeError outside */
export function at(array: Float64Array, index: number): number {
  const value = array[index];
  if (value === undefined) throw new RangeError(`reference: index ${index} is outside an array of ${array.length}.`);
  return value;
}
