import { accumulateProduct, type MatrixView, transposed } from "./matmul.js";
import type { AttentionProblem, Definition } from "./problem.js";

/** softmax(scores) row by row, in place; scores [rows, width]. */
export function softmaxRows(scores: Float64Array, rows: number, width: number): void {
  for (let row = 0; row < rows; row++) {
    const values = scores.subarray(row * width, (row + 1) * width);
    let largest = -Infinity;
    for (const value of values) largest = Math.max(largest, value);
    let sum = 0;
    values.forEach((value, index) => {
      sum += values[index] = Math.exp(value - largest);
    });
    values.forEach((value, index) => {
      values[index] = value / sum;
    });
  }
}

/** Gradient of softmax rows: p * (dp - sum(p * dp)), written over dp. */
export function softmaxRowsBackward(p: Float64Array, dp: Float64Array, rows: number, width: number): void {
  for (let row = 0; row < rows; row++) {
    let dot = 0;
    for (let i = row * width; i < (row + 1) * width; i++) dot += (p[i] ?? 0) * (dp[i] ?? 0);
    for (let i = row * width; i < (row + 1) * width; i++) dp[i] = (p[i] ?? 0) * ((dp[i] ?? 0) - dot);
  }
}

/** Attention forward in float64. @returns out [batch, queries, heads * dim] */
export function attentionForward(problem: AttentionProblem, q: ArrayLike<number>, k: ArrayLike<number>, v: ArrayLike<number>): Float64Array {
  const { batch, queries, keys, heads, dim } = problem;
  const out = new Float64Array(batch * queries * heads * dim);
  eachHead(problem, (atQueries, atKeys, width) => {
    const weights = weightsOf(problem, head(q, atQueries, width), head(k, atKeys, width));
    accumulateProduct(out, atQueries, width, queries, dim, keys, { data: weights, rowStride: keys, columnStride: 1 }, head(v, atKeys, width));
  });
  return out;
}

/** Gradients of attention in float64. */
export function attentionBackward(problem: AttentionProblem, q: ArrayLike<number>, k: ArrayLike<number>, v: ArrayLike<number>, dout: ArrayLike<number>): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { queries, keys, dim } = problem;
  const [dq, dk, dv] = [new Float64Array(q.length), new Float64Array(k.length), new Float64Array(v.length)];
  eachHead(problem, (atQueries, atKeys, width) => {
    const [qs, ks, vs, ds] = [head(q, atQueries, width), head(k, atKeys, width), head(v, atKeys, width), head(dout, atQueries, width)];
    const weights = weightsOf(problem, qs, ks);
    const p: MatrixView = { data: weights, rowStride: keys, columnStride: 1 };
    accumulateProduct(dv, atKeys, width, keys, dim, queries, transposed(p), ds);
    const dp = new Float64Array(queries * keys);
    accumulateProduct(dp, 0, keys, queries, keys, dim, ds, transposed(vs));
    softmaxRowsBackward(weights, dp, queries, keys);
    for (let i = 0; i < dp.length; i++) dp[i] = (dp[i] ?? 0) / Math.sqrt(dim);
    const scores: MatrixView = { data: dp, rowStride: keys, columnStride: 1 };
    accumulateProduct(dq, atQueries, width, queries, dim, keys, scores, ks);
    accumulateProduct(dk, atKeys, width, keys, dim, queries, transposed(scores), qs);
  });
  return { dq, dk, dv };
}

function eachHead({ batch, queries, keys, heads, dim }: AttentionProblem, visit: (atQueries: number, atKeys: number, width: number) => void): void {
  const width = heads * dim;
  for (let b = 0; b < batch; b++) for (let h = 0; h < heads; h++) visit(b * queries * width + h * dim, b * keys * width + h * dim, width);
}

function head(data: ArrayLike<number>, offset: number, width: number): MatrixView {
  return { data, offset, rowStride: width, columnStride: 1 };
}

function weightsOf({ queries, keys, dim }: AttentionProblem, q: MatrixView, k: MatrixView): Float64Array {
  const scores = new Float64Array(queries * keys);
  accumulateProduct(scores, 0, keys, queries, keys, dim, q, transposed(k));
  for (let i = 0; i < scores.length; i++) scores[i] = (scores[i] ?? 0) / Math.sqrt(dim);
  softmaxRows(scores, queries, keys);
  return scores;
}

/** Definition of multi-head attention. */
export function attentionDefinition(problem: AttentionProblem): Definition {
  const { batch, queries, keys, heads, dim } = problem;
  const width = heads * dim;
  const product = 2 * batch * heads * queries * keys * dim;
  const none = new Float32Array(0);
  return {
    inputs: [
      { name: "q", shape: [batch, queries, width], fill: "uniform", differentiable: true },
      { name: "k", shape: [batch, keys, width], fill: "uniform", differentiable: true },
      { name: "v", shape: [batch, keys, width], fill: "uniform", differentiable: true },
    ],
    outShape: [batch, queries, width],
    flops: { forward: 2 * product, backward: 4 * product },
    forward: ({ q = none, k = none, v = none }) => attentionForward(problem, q, k, v),
    backward: ({ q = none, k = none, v = none }, dout) => attentionBackward(problem, q, k, v, dout),
  };
}
