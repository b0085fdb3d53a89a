import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a sum over segments. */
export interface SegmentSumShape {
  /** Rows that are summed. */
  readonly items: number;
  readonly segments: number;
  /** Elements in a row. */
  readonly width: number;
}

/** Plain-loop sums of the rows of each id. */
export function segmentSumReference({ items, segments, width }: SegmentSumShape, inputs: Arrays): { y: Float64Array } {
  const x = arrayOf(inputs, "x", items * width);
  const ids = arrayOf(inputs, "ids", items);
  const y = new Float64Array(segments * width);
  for (let k = 0; k < items; k++) {
    const id = at(ids, k);
    if (id < 0 || id >= segments) continue;
    for (let i = 0; i < width; i++) y[id * width + i] = at(y, id * width + i) + at(x, k * width + i);
  }
  return { y };
}
