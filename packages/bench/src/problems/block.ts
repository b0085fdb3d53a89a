import { attentionBackward, attentionForward } from "./attention.js";
import { accumulateProduct, denseView, transposed } from "./matmul.js";
import { elements, type InputSpec, type Reference, type Values, type Work } from "./problem.js";
import { layerNormBackward, normalizeRows } from "./rows.js";

/** A pre-norm transformer block: y = x + attention(norm1(x)), out = y + outer(relu(inner(norm2(y)))). */
export interface BlockProblem {
  readonly batch: number;
  /** Tokens per sample. */
  readonly tokens: number;
  /** D */
  readonly width: number;
  readonly heads: number;
  /** Width of the feed-forward layer. */
  readonly hidden: number;
}

/** AdamW as every library runs it: decoupled decay of every parameter, bias-corrected moments. */
export const blockOptimizer = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-2 } as const;

/** Names and shapes of the parameters; linear weights are [out, in], as PyTorch stores them. */
export function blockParameters({ width, hidden }: BlockProblem): readonly InputSpec[] {
  const matrix = (name: string, rows: number, columns: number): InputSpec => ({ name, shape: [rows, columns], fill: "uniform", scale: 1 / Math.sqrt(columns), differentiable: true });
  const vector = (name: string, length: number, offset = 0): InputSpec => ({ name, shape: [length], fill: "uniform", scale: 0.1, offset, differentiable: true });
  return [
    vector("norm1.weight", width, 1),
    vector("norm1.bias", width),
    matrix("attention.in_proj_weight", 3 * width, width),
    vector("attention.in_proj_bias", 3 * width),
    matrix("attention.out_proj.weight", width, width),
    vector("attention.out_proj.bias", width),
    vector("norm2.weight", width, 1),
    vector("norm2.bias", width),
    matrix("inner.weight", hidden, width),
    vector("inner.bias", hidden),
    matrix("outer.weight", width, hidden),
    vector("outer.bias", width),
  ];
}

/** Everything the block is given: x and target [batch, tokens, width], and the parameters. */
export function blockInputs(problem: BlockProblem): readonly InputSpec[] {
  const shape = [problem.batch, problem.tokens, problem.width];
  return [{ name: "x", shape, fill: "uniform", differentiable: false }, { name: "target", shape, fill: "uniform", differentiable: false }, ...blockParameters(problem)];
}

/** Useful work of a training step: three times the forward products, and one pass of AdamW over its state. */
export function blockWork(problem: BlockProblem): Work {
  const { batch, tokens, width, hidden } = problem;
  const rows = batch * tokens;
  const forward = 2 * rows * width * 4 * width + 4 * rows * tokens * width + 4 * rows * width * hidden;
  const parameters = blockParameters(problem).reduce((sum, { shape }) => sum + elements(shape), 0);
  return { flops: 3 * forward + 14 * parameters, bytes: 4 * (2 * rows * width + 7 * parameters) };
}

/** y = x wᵀ + b. @param x [rows, inputs] @param w [outputs, inputs] */
function linear(x: ArrayLike<number>, w: ArrayLike<number>, b: ArrayLike<number>, rows: number, inputs: number, outputs: number): Float64Array {
  const y = new Float64Array(rows * outputs).map((_, at) => b[at % outputs] ?? 0);
  accumulateProduct(y, 0, outputs, rows, outputs, inputs, denseView(x, inputs), transposed(denseView(w, inputs)));
  return y;
}

function linearBackward(x: ArrayLike<number>, w: ArrayLike<number>, dy: ArrayLike<number>, rows: number, inputs: number, outputs: number): { dx: Float64Array; dw: Float64Array; db: Float64Array } {
  const [dx, dw, db] = [new Float64Array(rows * inputs), new Float64Array(outputs * inputs), new Float64Array(outputs)];
  accumulateProduct(dx, 0, inputs, rows, inputs, outputs, denseView(dy, outputs), denseView(w, inputs));
  accumulateProduct(dw, 0, inputs, outputs, inputs, rows, transposed(denseView(dy, outputs)), denseView(x, inputs));
  for (let at = 0; at < rows * outputs; at++) db[at % outputs] = (db[at % outputs] ?? 0) + (dy[at] ?? 0);
  return { dx, dw, db };
}

/** Columns [from, from + width) of a matrix with `stride` columns. */
function columns(data: Float64Array, rows: number, stride: number, from: number, width: number): Float64Array {
  return new Float64Array(rows * width).map((_, at) => data[Math.floor(at / width) * stride + from + (at % width)] ?? 0);
}

function sum(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  return Float64Array.from(a, (value, at) => value + (b[at] ?? 0));
}

/**
 * The first training step in float64.
 * @returns `loss` [1], the mean squared error before the step, and `m.<parameter>`, the first moments after it: a tenth
 *   of the gradients. The updated parameters are no good for checking, because AdamW's first step has the same length
 *   for all gradients and turns a rounding error near zero into a full step.
 */
export function blockReference(problem: BlockProblem, values: Values): Reference {
  const { batch, tokens, width, heads, hidden } = problem;
  const rows = batch * tokens;
  const of = (name: string): Float32Array => values[name] ?? new Float32Array(0);
  const norm = (x: ArrayLike<number>, name: string): Float64Array => normalizeRows(x, rows, width).normal.map((value, at) => value * (of(`${name}.weight`)[at % width] ?? 0) + (of(`${name}.bias`)[at % width] ?? 0));

  const x = of("x");
  const first = norm(x, "norm1");
  const projected = linear(first, of("attention.in_proj_weight"), of("attention.in_proj_bias"), rows, width, 3 * width);
  const [q, k, v] = [0, 1, 2].map((part) => columns(projected, rows, 3 * width, part * width, width));
  const attended = { op: "attention", batch, queries: tokens, keys: tokens, heads, dim: width / heads } as const;
  const [qs, ks, vs] = [q ?? projected, k ?? projected, v ?? projected];
  const gathered = attentionForward(attended, qs, ks, vs);
  const y = sum(x, linear(gathered, of("attention.out_proj.weight"), of("attention.out_proj.bias"), rows, width, width));
  const second = norm(y, "norm2");
  const active = linear(second, of("inner.weight"), of("inner.bias"), rows, width, hidden).map((value) => Math.max(0, value));
  const out = sum(y, linear(active, of("outer.weight"), of("outer.bias"), rows, hidden, width));
  const difference = Float64Array.from(out, (value, at) => value - (of("target")[at] ?? 0));
  const loss = difference.reduce((total, value) => total + value * value, 0) / difference.length;

  const dout = difference.map((value) => (2 * value) / difference.length);
  const outer = linearBackward(active, of("outer.weight"), dout, rows, hidden, width);
  const inner = linearBackward(second, of("inner.weight"), outer.dx.map((value, at) => ((active[at] ?? 0) > 0 ? value : 0)), rows, width, hidden);
  const norm2 = layerNormBackward(y, of("norm2.weight"), inner.dx, rows, width);
  const dy = sum(dout, norm2.dx);
  const output = linearBackward(gathered, of("attention.out_proj.weight"), dy, rows, width, width);
  const { dq, dk, dv } = attentionBackward(attended, qs, ks, vs, output.dx);
  const dprojected = new Float64Array(rows * 3 * width);
  [dq, dk, dv].forEach((part, which) => {
    part.forEach((value, at) => {
      dprojected[Math.floor(at / width) * 3 * width + which * width + (at % width)] = value;
    });
  });
  const input = linearBackward(first, of("attention.in_proj_weight"), dprojected, rows, width, 3 * width);
  const norm1 = layerNormBackward(x, of("norm1.weight"), input.dx, rows, width);
  const gradients: Reference = {
    "norm1.weight": norm1.dweight, "norm1.bias": norm1.dbias,
    "attention.in_proj_weight": input.dw, "attention.in_proj_bias": input.db,
    "attention.out_proj.weight": output.dw, "attention.out_proj.bias": output.db,
    "norm2.weight": norm2.dweight, "norm2.bias": norm2.dbias,
    "inner.weight": inner.dw, "inner.bias": inner.db, "outer.weight": outer.dw, "outer.bias": outer.db,
  };
  const moments = Object.entries(gradients).map(([name, gradient]) => [`m.${name}`, gradient.map((value) => value * (1 - blockOptimizer.beta1))] as const);
  return { loss: Float64Array.of(loss), ...Object.fromEntries(moments) };
}
