import type { Arrays } from "../kernel.js";
import { randomStream, threefry2x32, unitFloat } from "../random/threefry.js";
import { additiveStrides, type AttentionShape, streamFloats } from "./shape.js";

/** The weights of one (batch, head, query) row before and after dropout. */
interface AttentionRow {
  readonly weights: Float64Array;
  /** 0 where dropped, else 1 / (1 - dropout). */
  readonly kept: Float64Array;
  /** log of the sum of exp(score) over the keys that count; 0 when none does. */
  readonly logSumExp: number;
}

const empty = new Float64Array();

/** The random stream of dropout: from the random key, or, in the kernels of the gradient, from behind the row statistics. */
function streamOf({ key, rowStatistics = empty }: Arrays): readonly [number, number] {
  if (key) return randomStream(key);
  const [x0 = 0, x1 = 0, y0 = 0, y1 = 0] = rowStatistics.subarray(-streamFloats);
  return [x0 + 65536 * x1, y0 + 65536 * y1];
}

function attentionRow(shape: AttentionShape, inputs: Arrays, b: number, h: number, i: number): AttentionRow {
  const { queries, keys, heads, dim, mask, additive, dropout, opId } = shape;
  const { q = empty, k = empty, keyPaddingMask = empty, additiveMask = empty } = inputs;
  const [stream0, stream1] = streamOf(inputs);
  const strides = additiveStrides(shape);
  const maskRow = b * strides.batch + h * strides.head + i * keys;
  const scores = new Float64Array(keys).fill(Number.NEGATIVE_INFINITY);
  for (let j = 0; j < keys; j++) {
    if (mask && keyPaddingMask[b * keys + j] !== 0) continue;
    const added = additive === "none" ? 0 : (additiveMask[maskRow + j] ?? 0);
    if (added <= -1e29) continue;
    let dot = 0;
    for (let c = 0; c < dim; c++) dot += (q[((b * queries + i) * heads + h) * dim + c] ?? 0) * (k[((b * keys + j) * heads + h) * dim + c] ?? 0);
    scores[j] = dot / Math.sqrt(dim) + added;
  }
  const highest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  const sum = highest === Number.NEGATIVE_INFINITY ? 0 : scores.reduce((total, score) => total + Math.exp(score - highest), 0);
  const row = ((b * heads + h) * queries + i) * keys;
  const kept = Float64Array.from({ length: keys }, (_, j) => {
    if (dropout === 0) return 1;
    return unitFloat(threefry2x32(stream0, stream1, row + j, opId)[0]) < Math.fround(dropout) ? 0 : 1 / (1 - dropout);
  });
  return {
    weights: scores.map((score) => (sum === 0 ? 0 : Math.exp(score - highest) / sum)),
    kept,
    logSumExp: sum === 0 ? 0 : highest + Math.log(sum),
  };
}

function eachRow(shape: AttentionShape, visit: (b: number, h: number, i: number) => void): void {
  for (let b = 0; b < shape.batch; b++) for (let h = 0; h < shape.heads; h++) for (let i = 0; i < shape.queries; i++) visit(b, h, i);
}

/** Plain-loop attention: out = dropout(softmax(q k^T / sqrt(d) + additiveMask)) v for every head; rows without a key give zeros. */
export function attentionReference(shape: AttentionShape, inputs: Arrays): { out: Float64Array; logSumExp: Float64Array } {
  const { batch, queries, keys, heads, valueDim } = shape;
  const { v = empty } = inputs;
  const out = new Float64Array(batch * queries * heads * valueDim);
  const logSumExp = new Float64Array(batch * heads * queries);
  eachRow(shape, (b, h, i) => {
    const row = attentionRow(shape, inputs, b, h, i);
    logSumExp[(b * heads + h) * queries + i] = row.logSumExp;
    for (let c = 0; c < valueDim; c++) {
      let sum = 0;
      for (let j = 0; j < keys; j++) sum += (row.weights[j] ?? 0) * (row.kept[j] ?? 0) * (v[((b * keys + j) * heads + h) * valueDim + c] ?? 0);
      out[((b * queries + i) * heads + h) * valueDim + c] = sum;
    }
  });
  return { out, logSumExp };
}

/** Plain-loop gradient of {@link attentionReference}. */
export function attentionGradientReference(shape: AttentionShape, inputs: Arrays): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { batch, queries, keys, heads, dim, valueDim } = shape;
  const { q = empty, k = empty, v = empty, dout = empty } = inputs;
  const dq = new Float64Array(batch * queries * heads * dim);
  const dk = new Float64Array(batch * keys * heads * dim);
  const dv = new Float64Array(batch * keys * heads * valueDim);
  eachRow(shape, (b, h, i) => {
    const { weights, kept } = attentionRow(shape, inputs, b, h, i);
    const qAt = ((b * queries + i) * heads + h) * dim;
    const outAt = ((b * queries + i) * heads + h) * valueDim;
    const dWeights = new Float64Array(keys);
    let mean = 0;
    for (let j = 0; j < keys; j++) {
      const vAt = ((b * keys + j) * heads + h) * valueDim;
      let dot = 0;
      for (let c = 0; c < valueDim; c++) {
        dot += (dout[outAt + c] ?? 0) * (v[vAt + c] ?? 0);
        dv[vAt + c] = (dv[vAt + c] ?? 0) + (weights[j] ?? 0) * (kept[j] ?? 0) * (dout[outAt + c] ?? 0);
      }
      dWeights[j] = dot * (kept[j] ?? 0);
      mean += (dWeights[j] ?? 0) * (weights[j] ?? 0);
    }
    for (let j = 0; j < keys; j++) {
      const dScore = ((weights[j] ?? 0) * ((dWeights[j] ?? 0) - mean)) / Math.sqrt(dim);
      const kAt = ((b * keys + j) * heads + h) * dim;
      for (let c = 0; c < dim; c++) {
        dq[qAt + c] = (dq[qAt + c] ?? 0) + dScore * (k[kAt + c] ?? 0);
        dk[kAt + c] = (dk[kAt + c] ?? 0) + dScore * (q[qAt + c] ?? 0);
      }
    }
  });
  return { dq, dk, dv };
}
