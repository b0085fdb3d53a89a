import { compare, type Tolerance } from "@distilldrive/testkit";
import type { AnyOp, Along } from "../op.js";
import { aroundAxis, sameShape, type TensorType } from "../shape.js";
import type { OpCase } from "./laws.js";

/** Sums may be cut differently where there are fewer rows. */
const float64: Tolerance = { name: "float64", absolute: 1e-10, relative: 1e-10 };

/**
 * What `along` says is true: the op on some positions of its inputs gives those positions of its first output (and of others of its shape).
 * @returns how many axes of the case it spoke of
 */
export function checkAlong(op: AnyOp, { sample, inputs }: OpCase): number {
  const types: readonly TensorType[] = sample.inputs;
  const values = types.map((_, i) => inputs[`x${i}`] ?? new Float64Array(0));
  const outputs = op.shape(types, sample.attributes as never);
  const [first] = outputs;
  const whole = op.reference(values, sample.attributes as never, { inputs: types, outputs });
  if (!first) return 0;
  let axes = 0;
  first.shape.forEach((n, axis) => {
    const along = op.along?.(axis, types, sample.attributes as never) as Along<object> | undefined;
    if (!along || n < 2) return;
    axes++;
    // Every second position and the last one: no range, so that nothing but independence can explain it.
    const positions = Array.from({ length: n }, (_, i) => i).filter((i) => i % 2 === 1 || i === n - 1);
    const attributes = (along.attributes?.(positions.length) ?? sample.attributes) as never;
    const cut = types.map((type, i) => taken(type, values[i] ?? new Float64Array(0), along.inputs[i] ?? null, positions));
    const cutTypes = cut.map(({ type }) => type);
    const actual = op.reference(cut.map(({ data }) => data), attributes, { inputs: cutTypes, outputs: op.shape(cutTypes, attributes) });
    outputs.forEach((type, i) => {
      if (!sameShape(type.shape, first.shape)) return;
      const expected = taken(type, whole[i] ?? new Float64Array(0), axis, positions);
      compare(actual[i] ?? [], expected.data, float64, { op: `${op.name} along axis ${axis}`, shape: types.map(({ shape }) => `[${shape.join(", ")}]`).join(" ") });
    });
  });
  return axes;
}

/** Some positions of an axis. */
function taken(type: TensorType, data: Float64Array, axis: number | null, positions: readonly number[]): { readonly type: TensorType; readonly data: Float64Array } {
  if (axis === null) return { type, data };
  const { outer, n, inner } = aroundAxis(type.shape, axis);
  const part = new Float64Array(outer * positions.length * inner);
  for (let block = 0; block < outer; block++) {
    positions.forEach((position, i) => {
      part.set(data.subarray((block * n + position) * inner, (block * n + position + 1) * inner), (block * positions.length + i) * inner);
    });
  }
  return { type: { ...type, shape: type.shape.map((size, i) => (i === axis ? positions.length : size)) }, data: part };
}
