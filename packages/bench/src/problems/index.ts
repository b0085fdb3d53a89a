import { attentionDefinition } from "./attention.js";
import { conv1dDefinition, conv2dDefinition } from "./convolution.js";
import { matmulDefinition } from "./matmul.js";
import { type Definition, type Direction, elements, type InputSpec, type Problem, type Reference, type Values, type Work } from "./problem.js";
import { rowsDefinition } from "./rows.js";

/** Inputs, work and float64 reference of a problem. */
export function definitionOf(problem: Problem): Definition {
  switch (problem.op) {
    case "matmul":
      return matmulDefinition(problem);
    case "attention":
      return attentionDefinition(problem);
    case "conv1d":
      return conv1dDefinition(problem);
    case "conv2d":
      return conv2dDefinition(problem);
    case "softmax":
    case "layerNorm":
    case "klDivergence":
    case "chain":
      return rowsDefinition(problem);
  }
}

/** Useful work of a problem in one direction. */
export function workOf({ inputs, outShape, flops }: Definition, direction: Direction): Work {
  const read = inputs.reduce((sum, { shape }) => sum + elements(shape), 0);
  const forward = 4 * (read + elements(outShape));
  if (direction === "forward") return { flops: flops.forward, bytes: forward };
  const gradients = inputs.reduce((sum, { shape, differentiable }) => sum + (differentiable ? elements(shape) : 0), 0);
  return { flops: flops.forward + flops.backward, bytes: forward + 4 * (elements(outShape) + read + gradients) };
}

/** Values of every input, and of the cotangent `dout`: the same numbers in every process. */
export function valuesOf({ inputs, outShape }: Definition): Values {
  return fillAll([...inputs, { name: "dout", shape: outShape, fill: "uniform", differentiable: false }]);
}

/** Values of tensors by name: the same numbers in every process. */
export function fillAll(tensors: readonly InputSpec[]): Values {
  return Object.fromEntries(tensors.map((spec, index) => [spec.name, fill(spec, index + 1)]));
}

function fill({ shape, fill: kind, scale = 1, offset = 0 }: InputSpec, seed: number): Float32Array {
  // mulberry32: small, and the same everywhere.
  let state = seed * 0x9e3779b9;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const data = new Float32Array(elements(shape));
  if (kind === "uniform") return data.map(() => offset + scale * (2 * uniform() - 1));
  const width = shape.at(-1) ?? 1;
  for (let row = 0; row < data.length; row += width) {
    const weights = Array.from({ length: width }, () => uniform() + 1e-3);
    const sum = weights.reduce((a, b) => a + b, 0);
    weights.forEach((weight, i) => {
      data[row + i] = weight / sum;
    });
  }
  return data;
}

/** Float64 results of a problem: `out`, with the gradients in direction forward+backward. */
export function referenceOf(definition: Definition, direction: Direction, values: Values): Reference {
  const out = definition.forward(values);
  if (direction === "forward") return { out };
  return { out, ...definition.backward(values, values["dout"] ?? new Float32Array(0)) };
}
