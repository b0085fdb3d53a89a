import { DTypeError, segmentSum as segmentSumKernel, type SegmentSumShape, ShapeError } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { formatType, sizeOf, type TensorType, typeOf } from "../shape.js";
import { gather, scatterAdd } from "./gather.js";
import { defineKernelOp } from "./kernel-op.js";
import { reshape } from "./reshape.js";

interface Segments {
  readonly segments: number;
}

const sizes = (x: TensorType | undefined, { segments }: Segments): SegmentSumShape => ({ items: x?.shape[0] ?? 0, segments, width: x?.shape[1] ?? 0 });

/** Sums of rows by ascending id: x [N, W], ids i32 [N] -> y [segments, W]. */
export const segmentSumOp: OpDefinition<Segments> = defineKernelOp({
  name: "segmentSum",
  inputs: ["x", "ids"],
  outputs: ["y"],
  shape: ([x, ids], { segments }) => {
    if (ids?.dtype !== "i32") throw new DTypeError(`segmentSum: wrong type of ids, expected i32, got ${ids?.dtype ?? "nothing"}. Declare the input with dtype "i32".`);
    if (x?.shape.length !== 2 || ids.shape.length !== 1 || ids.shape[0] !== x.shape[0]) {
      throw new ShapeError(`segmentSum: shapes do not fit, expected x [N, W] and ids [N], got ${x ? formatType(x) : "nothing"} and ${formatType(ids)}. Give one id per row.`);
    }
    return [typeOf([segments, x.shape[1] ?? 0])];
  },
  kernels: ({ target, inputs: [x], attributes }) => segmentSumKernel(sizes(x, attributes), target),
  vjp: {
    saves: ["ids"],
    recompute: "cheap",
    rule: ({ inputs: [, ids], cotangents: [dy] }) => [ids && dy ? gather(dy, ids) : undefined],
  },
  tolerance: ([x]) => ({ terms: x?.shape[0] ?? 1, scale: 2 }),
  // One id for all rows: drawn ids would be in no order.
  samples: (draw) => {
    const [items, segments, width, id] = [draw.size(40), draw.size(9), draw.size(9), draw.integer(-1, 9)];
    return { inputs: [typeOf([items, width]), { ...typeOf([items], "i32"), range: [id, id] }], attributes: { segments } };
  },
});

/**
 * Sum of the rows of each segment, always in the same order.
 * @param x [N, ...rest]
 * @param ids i32 [N], the segment of each row; one outside [0, segments) counts nowhere
 * @param options `sorted`: ids ascend, which takes a single pass (with other ids the result is wrong); default false
 * @returns [segments, ...rest], zeros where a segment has no row
 * @throws DTypeError, ShapeError
 */
export function segmentSum(x: Tensor, ids: Tensor, segments: number, { sorted = false }: { readonly sorted?: boolean } = {}): Tensor {
  if (!sorted) return scatterAdd(x, ids, segments);
  const rest = x.shape.slice(1);
  const y = applyOp(segmentSumOp, [reshape(x, [x.shape[0] ?? 0, sizeOf(rest)]), ids], { segments });
  return reshape(y, [segments, ...rest]);
}
