import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** What one stage of a reduction computes. "squares" sums squares; "nonFinite" counts NaN and infinities; "count" sums u32. */
export type StageKind = "sum" | "squares" | "nonFinite" | "count" | "max" | "min";

/** One stage: a view [outer, n, inner] reduced over chunks of n to [outer, chunks, inner]. */
export interface StageShape {
  readonly kind: StageKind;
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
  /** Elements of n per result, the last chunk may be shorter. */
  readonly chunk: number;
  /** Sums are multiplied by it. */
  readonly scale: number;
  /** max, min: indices come with the values, from an earlier stage. */
  readonly carried: boolean;
}

/** Number of results along n: at least one, so that an empty sum is zero. */
export function chunksOf({ n, chunk }: { readonly n: number; readonly chunk: number }): number {
  return Math.max(1, Math.ceil(n / Math.max(1, chunk)));
}

/**
 * Plain-loop reduction of each chunk. Among equal extremes the first wins.
 * @returns y [outer, chunks, inner], and for max and min `index`, the position along n (or what `carried` says about it)
 */
export function stageReference(shape: StageShape, inputs: Arrays): { y: Float64Array; index: Float64Array } {
  const { kind, outer, n, inner, chunk } = shape;
  const x = arrayOf(inputs, "x", outer * n * inner);
  const carried = shape.carried ? arrayOf(inputs, "carried", outer * n * inner) : undefined;
  const chunks = chunksOf(shape);
  const y = new Float64Array(outer * chunks * inner);
  const index = new Float64Array(outer * chunks * inner);
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < chunks; c++) {
      for (let i = 0; i < inner; i++) {
        let result = 0;
        let place = -1;
        for (let k = c * chunk; k < Math.min(n, (c + 1) * chunk); k++) {
          const position = (o * n + k) * inner + i;
          const value = at(x, position);
          if (kind === "sum" || kind === "count") result += value;
          else if (kind === "squares") result += value * value;
          else if (kind === "nonFinite") result += Number.isFinite(value) ? 0 : 1;
          else if (place < 0 || (kind === "max" ? value > result : value < result)) {
            result = value;
            place = carried === undefined ? k : at(carried, position);
          }
        }
        const output = (o * chunks + c) * inner + i;
        y[output] = kind === "sum" || kind === "squares" ? result * shape.scale : result;
        index[output] = place;
      }
    }
  }
  return { y, index };
}
