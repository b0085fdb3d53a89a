import { fourierEmbedding as fourierKernel, fourierEmbeddingBackward, type FourierShape, ShapeError } from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { formatType, sizeOf, type TensorType, typeOf } from "../shape.js";
import { mul } from "./elementwise.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";
import { sum } from "./reduce.js";
import { expandDims, reshape } from "./reshape.js";

const sizes = (y: TensorType | undefined): FourierShape => {
  const [rows = 0, width = 0, frequencies = 0] = y?.shape ?? [];
  return { rows, width, frequencies };
};

/** Fourier features: x [R, D], frequency [D, F] -> y [R, D, F, 2], sine and cosine of 2 pi x frequency. */
export const fourierEmbeddingOp: OpDefinition<None> = defineKernelOp({
  name: "fourierEmbedding",
  inputs: ["x", "frequency"],
  outputs: ["y"],
  shape: ([x, frequency]) => {
    if (x?.shape.length !== 2 || frequency?.shape.length !== 2 || frequency.shape[0] !== x.shape[1]) {
      throw new ShapeError(`fourierEmbedding: shapes do not fit, expected x [R, D] and frequency [D, F], got ${x ? formatType(x) : "nothing"} and ${frequency ? formatType(frequency) : "nothing"}. Every number of x has frequencies of its own.`);
    }
    return [typeOf([...x.shape, frequency.shape[1] ?? 0, 2])];
  },
  kernels: ({ target, outputs: [y] }) => fourierKernel(sizes(y), target),
  vjp: {
    saves: ["x", "frequency", "y"],
    recompute: "cheap",
    rule: ({ inputs: [x, frequency], outputs: [y], cotangents: [dy], needs }) => {
      if (!x || !frequency || !y || !dy) return [];
      const dproduct = applyOp(fourierEmbeddingBackwardOp, [y, dy], {});
      return [needs[0] ? sum(mul(dproduct, frequency), { axes: [2] }) : undefined, needs[1] ? sum(mul(dproduct, expandDims(x, -1)), { axes: [0] }) : undefined];
    },
  },
  tolerance: () => "transcendental",
  samples: (draw) => {
    const [rows, width, frequencies] = [draw.size(12), draw.size(4), draw.size(9)];
    return { inputs: [typeOf([rows, width]), typeOf([width, frequencies])], attributes: {} };
  },
});

/** Gradient of {@link fourierEmbeddingOp} to the products of x and frequency: y, dy [R, D, F, 2] -> dproduct [R, D, F]. */
export const fourierEmbeddingBackwardOp: OpDefinition<None> = defineKernelOp({
  name: "fourierEmbeddingBackward",
  inputs: ["y", "dy"],
  outputs: ["dproduct"],
  shape: ([y]) => [typeOf(y?.shape.slice(0, -1) ?? [])],
  kernels: ({ target, inputs: [y] }) => fourierEmbeddingBackward(sizes(y), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: () => ({ terms: 2, scale: 32 }),
  samples: (draw) => {
    const shape = [draw.size(12), draw.size(4), draw.size(9), 2];
    return { inputs: [typeOf(shape), typeOf(shape)], attributes: {} };
  },
});

/**
 * Fourier features of numbers, with fixed or learned frequencies: both get gradients.
 * @param x [..., D]
 * @param frequency [D, F], turns per unit of x
 * @returns [..., 2 D F]: for every number and frequency the sine and the cosine of 2 pi x frequency
 * @throws ShapeError when the frequencies do not fit
 */
export function fourierEmbedding(x: Tensor, frequency: Operand): Tensor {
  const leading = x.shape.slice(0, -1);
  const y = applyOp(fourierEmbeddingOp, [reshape(x, [sizeOf(leading), x.at(-1)]), graphOf("fourierEmbedding", [x]).lift(frequency)], {});
  return reshape(y, [...leading, 2 * y.at(1) * y.at(2)]);
}
