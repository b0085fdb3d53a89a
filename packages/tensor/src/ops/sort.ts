import { ShapeError, sortRows, sortRowsBackward, type SortShape } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { formatType, sizeOf, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

interface Sorting {
  readonly keep: number;
  readonly descending: boolean;
}

const sizes = (x: TensorType | undefined, { keep, descending }: Sorting): SortShape => ({ rows: sizeOf(x?.shape.slice(0, -1) ?? []), width: x?.shape.at(-1) ?? 0, keep, descending });

/** The first `keep` elements of each sorted row: x [..., N] -> values, index i32 [..., keep]; equals keep their order. */
export const sortOp: OpDefinition<Sorting> = defineKernelOp({
  name: "sort",
  inputs: ["x"],
  strict: ["x"],
  outputs: ["values", "index"],
  shape: ([x], { keep }) => {
    if (!x || x.shape.length === 0 || keep < 0 || keep > (x.shape.at(-1) ?? 0)) {
      throw new ShapeError(`sort: cannot keep ${keep} of a row, expected x [..., N] with N >= ${keep}, got ${x ? formatType(x) : "nothing"}. Ask for fewer, or pad the rows.`);
    }
    const shape = [...x.shape.slice(0, -1), keep];
    return [typeOf(shape), typeOf(shape, "i32")];
  },
  kernels: ({ target, inputs: [x], attributes }) => sortRows(sizes(x, attributes), target),
  vjp: {
    saves: ["index"],
    differentiable: ["values"],
    recompute: "costly",
    rule: ({ inputs: [x], outputs: [, index], cotangents: [dvalues], attributes }) => [
      x && index && dvalues ? applyOp(sortBackwardOp, [dvalues, index], { ...attributes, width: x.at(-1) }) : undefined,
    ],
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const shape = [draw.size(6), draw.size(4), draw.size(70)].slice(draw.integer(0, 2));
    return { inputs: [{ ...typeOf(shape), distinct: 0.01 }], attributes: { keep: draw.integer(1, shape.at(-1) ?? 1), descending: draw.boolean() } };
  },
});

/** Gradient of {@link sortOp}: dvalues [..., keep] back to its places in [..., width]. */
export const sortBackwardOp: OpDefinition<Sorting & { readonly width: number }> = defineKernelOp({
  name: "sortBackward",
  inputs: ["dvalues", "index"],
  outputs: ["dx"],
  shape: ([dvalues], { width }) => [typeOf([...(dvalues?.shape.slice(0, -1) ?? []), width])],
  kernels: ({ target, outputs: [dx], attributes }) => sortRowsBackward(sizes(dx, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: () => "exact",
  // One element a row: drawn indices would meet in one place.
  samples: (draw) => {
    const [rows, width] = [draw.size(20), draw.size(20)];
    return { inputs: [typeOf([rows, 1]), { ...typeOf([rows, 1], "i32"), range: [0, width - 1] }], attributes: { keep: 1, descending: false, width } };
  },
});

/** Sorted values and where they came from. */
export interface Sorted {
  /** [..., k]; carries the gradient. */
  readonly values: Tensor;
  /** i32 [..., k], positions along the last axis. */
  readonly indices: Tensor;
}

function sorted(where: string, x: Tensor, attributes: Sorting): Sorted {
  const [values, indices] = x.graph.apply(sortOp, [x], attributes);
  if (!values || !indices) throw new ShapeError(`${where}: ${formatType(x.type)} cannot be sorted, expected an axis to sort along.`);
  return { values, indices };
}

/** Sorts along the last axis; equal values keep their order. @throws ShapeError on a scalar */
export function sort(x: Tensor, { descending = false }: { readonly descending?: boolean } = {}): Sorted {
  return sorted("sort", x, { keep: x.shape.at(-1) ?? 0, descending });
}

/**
 * The k largest (or smallest) elements along the last axis, best first; of equal values the lower index comes first.
 * @throws ShapeError when the axis has fewer than k elements
 */
export function topK(x: Tensor, k: number, { largest = true }: { readonly largest?: boolean } = {}): Sorted {
  return sorted("topK", x, { keep: k, descending: largest });
}
