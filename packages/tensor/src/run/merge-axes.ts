import { type Shape, stridesOf } from "../shape.js";

/** Axes of a broadcast result, as few as possible, and the strides of each input along them. */
export interface MergedAxes {
  /** At least one axis. */
  readonly dims: readonly number[];
  /** By input; 0 where it is broadcast. */
  readonly strides: readonly (readonly number[])[];
}

/** Merges neighbouring output axes that every input walks as one; a broadcast axis has stride 0. */
export function mergeAxes(shape: Shape, inputs: readonly Shape[]): MergedAxes {
  const full = inputs.map((input) => {
    const own = stridesOf(input);
    return shape.map((_, axis) => {
      const k = axis - shape.length + input.length;
      return k < 0 || input[k] === 1 ? 0 : (own[k] ?? 0);
    });
  });
  const dims: number[] = [];
  const strides: number[][] = inputs.map(() => []);
  shape.forEach((n, axis) => {
    if (n === 1) return;
    const last = dims.length - 1;
    const joins = last >= 0 && full.every((own, input) => strides[input]?.[last] === (own[axis] ?? 0) * n);
    if (joins) dims[last] = (dims[last] ?? 1) * n;
    else dims.push(n);
    strides.forEach((own, input) => {
      own[dims.length - 1] = full[input]?.[axis] ?? 0;
    });
  });
  if (dims.length === 0) {
    dims.push(1);
    for (const own of strides) own.push(0);
  }
  return { dims, strides };
}
