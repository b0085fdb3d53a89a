import { softmaxRows, softmaxRowsBackward } from "./attention.js";
import type { Definition, InputSpec, Reference, RowsProblem, Values } from "./problem.js";

/** Added to the variance of a layer norm. */
export const layerNormEps = 1e-5;

/** (x - mean) / sqrt(variance + eps) row by row, and 1 / sqrt(variance + eps). */
export function normalizeRows(x: ArrayLike<number>, rows: number, width: number): { normal: Float64Array; rstd: Float64Array } {
  const [normal, rstd] = [new Float64Array(rows * width), new Float64Array(rows)];
  for (let row = 0; row < rows; row++) {
    let [mean, variance] = [0, 0];
    for (let i = 0; i < width; i++) mean += (x[row * width + i] ?? 0) / width;
    for (let i = 0; i < width; i++) variance += ((x[row * width + i] ?? 0) - mean) ** 2 / width;
    const scale = 1 / Math.sqrt(variance + layerNormEps);
    rstd[row] = scale;
    for (let i = 0; i < width; i++) normal[row * width + i] = ((x[row * width + i] ?? 0) - mean) * scale;
  }
  return { normal, rstd };
}

/** Gradients of a layer norm. @param dout [rows, width] */
export function layerNormBackward(x: ArrayLike<number>, weight: ArrayLike<number>, dout: ArrayLike<number>, rows: number, width: number): { dx: Float64Array; dweight: Float64Array; dbias: Float64Array } {
  const { normal, rstd } = normalizeRows(x, rows, width);
  const [dx, dweight, dbias] = [new Float64Array(rows * width), new Float64Array(width), new Float64Array(width)];
  for (let row = 0; row < rows; row++) {
    let [sum, dot] = [0, 0];
    for (let i = 0; i < width; i++) {
      const at = row * width + i;
      const [d, y] = [dout[at] ?? 0, normal[at] ?? 0];
      dweight[i] = (dweight[i] ?? 0) + d * y;
      dbias[i] = (dbias[i] ?? 0) + d;
      sum += d * (weight[i] ?? 0);
      dot += d * (weight[i] ?? 0) * y;
    }
    for (let i = 0; i < width; i++) {
      const at = row * width + i;
      dx[at] = (rstd[row] ?? 0) * ((dout[at] ?? 0) * (weight[i] ?? 0) - sum / width - ((normal[at] ?? 0) * dot) / width);
    }
  }
  return { dx, dweight, dbias };
}

const none = new Float32Array(0);

function probabilitiesOf(x: ArrayLike<number>, rows: number, width: number): Float64Array {
  const p = Float64Array.from(x);
  softmaxRows(p, rows, width);
  return p;
}

const operations: Readonly<Record<RowsProblem["op"], (problem: RowsProblem) => Definition>> = {
  softmax: ({ rows, width }) => ({
    inputs: [matrix("x", rows, width)],
    outShape: [rows, width],
    flops: { forward: 5 * rows * width, backward: 4 * rows * width },
    forward: ({ x = none }) => probabilitiesOf(x, rows, width),
    backward: ({ x = none }, dout) => {
      const dx = Float64Array.from(dout);
      softmaxRowsBackward(probabilitiesOf(x, rows, width), dx, rows, width);
      return { dx };
    },
  }),
  layerNorm: ({ rows, width }) => ({
    inputs: [matrix("x", rows, width), vector("weight", width), vector("bias", width)],
    outShape: [rows, width],
    flops: { forward: 8 * rows * width, backward: 12 * rows * width },
    forward: ({ x = none, weight = none, bias = none }) => normalizeRows(x, rows, width).normal.map((value, at) => value * (weight[at % width] ?? 0) + (bias[at % width] ?? 0)),
    backward: ({ x = none, weight = none }, dout): Reference => layerNormBackward(x, weight, dout, rows, width),
  }),
  klDivergence: ({ rows, width }) => ({
    inputs: [matrix("x", rows, width), { name: "target", shape: [rows, width], fill: "probabilities", differentiable: false }],
    outShape: [rows],
    flops: { forward: 9 * rows * width, backward: 3 * rows * width },
    forward: ({ x = none, target = none }) => {
      const p = probabilitiesOf(x, rows, width);
      return new Float64Array(rows).map((_, row) => {
        let sum = 0;
        for (let i = row * width; i < (row + 1) * width; i++) {
          const t = target[i] ?? 0;
          if (t > 0) sum += t * (Math.log(t) - Math.log(p[i] ?? 0));
        }
        return sum;
      });
    },
    backward: ({ x = none, target = none }, dout) => {
      const p = probabilitiesOf(x, rows, width);
      const dx = new Float64Array(rows * width);
      for (let row = 0; row < rows; row++) {
        let mass = 0;
        for (let i = row * width; i < (row + 1) * width; i++) mass += target[i] ?? 0;
        for (let i = row * width; i < (row + 1) * width; i++) dx[i] = (dout[row] ?? 0) * (mass * (p[i] ?? 0) - (target[i] ?? 0));
      }
      return { dx };
    },
  }),
  chain: ({ rows, width }) => ({
    inputs: [matrix("x", rows, width), vector("scale", width), vector("shift", width), matrix("residual", rows, width)],
    outShape: [rows, width],
    flops: { forward: 4 * rows * width, backward: 6 * rows * width },
    forward: ({ x = none, scale = none, shift = none, residual = none }) =>
      new Float64Array(rows * width).map((_, at) => Math.max(0, (x[at] ?? 0) * (scale[at % width] ?? 0) + (shift[at % width] ?? 0)) + (residual[at] ?? 0)),
    backward: ({ x = none, scale = none, shift = none }: Values, dout) => {
      const [dx, dscale, dshift] = [new Float64Array(rows * width), new Float64Array(width), new Float64Array(width)];
      for (let at = 0; at < rows * width; at++) {
        const column = at % width;
        const [value, factor] = [x[at] ?? 0, scale[column] ?? 0];
        const passed = value * factor + (shift[column] ?? 0) > 0 ? (dout[at] ?? 0) : 0;
        dx[at] = passed * factor;
        dscale[column] = (dscale[column] ?? 0) + passed * value;
        dshift[column] = (dshift[column] ?? 0) + passed;
      }
      return { dx, dscale, dshift, dresidual: Float64Array.from(dout) };
    },
  }),
};

function matrix(name: string, rows: number, width: number): InputSpec {
  return { name, shape: [rows, width], fill: "uniform", differentiable: true };
}

function vector(name: string, width: number): InputSpec {
  return { name, shape: [width], fill: "uniform", differentiable: true };
}

/** Definition of an operation on rows. */
export function rowsDefinition(problem: RowsProblem): Definition {
  return operations[problem.op](problem);
}
