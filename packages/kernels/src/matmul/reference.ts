import type { Arrays } from "../kernel.js";
import { finishReference } from "./epilogue.js";
import { sliceLength, type MatmulShape } from "./shape.js";

const empty = new Float64Array();

/**
 * Plain-loop matrix product: out[b, i, j] = dropout(activation(scale * (sum over l of a[b, i, l] b[b, l, j]) + bias[j])) + residual[b, i, j].
 * With slices, out[b, s, i, j] sums over the l of slice s only.
 */
export function matmulReference(shape: MatmulShape, inputs: Arrays): { out: Float64Array } {
  const { batch, m, n, k, transposeA, transposeB, batchA, batchB, slices } = shape;
  const length = sliceLength(shape);
  const { a = empty, b = empty } = inputs;
  const finish = finishReference(shape, inputs);
  const out = new Float64Array(batch * slices * m * n);
  for (let part = 0; part < batch * slices; part++) {
    const p = Math.floor(part / slices);
    const first = (part % slices) * length;
    const a0 = batchA ? p * m * k : 0;
    const b0 = batchB ? p * k * n : 0;
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = first; l < Math.min(k, first + length); l++) {
          sum += (a[a0 + (transposeA ? l * m + i : i * k + l)] ?? 0) * (b[b0 + (transposeB ? j * k + l : l * n + j)] ?? 0);
        }
        const index = (part * m + i) * n + j;
        out[index] = finish(sum, j, index);
      }
    }
  }
  return { out };
}
