import { adamDirection as directionKernel, adamwHyper, decayedStep as stepKernel, orthonormalise as orthonormaliseKernel, ShapeError } from "@distilldrive/kernels";
import { applyOp, type Operand, type Tensor } from "../graph.js";
import type { OpDefinition, SampleInput } from "../op.js";
import { formatType, sizeOf, typeOf } from "../shape.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";

const range = (shape: readonly number[], low: number, high: number): SampleInput => ({ ...typeOf(shape), range: [low, high] });

/** Adam's moments, in place, and its direction. */
export const adamDirectionOp: OpDefinition<None> = defineKernelOp({
  name: "adamDirection",
  inputs: ["gradient", "m", "v", "hyper"],
  outputs: ["direction", "nextM", "nextV"],
  shape: ([gradient, m, v]) => [gradient, m, v].map((type) => typeOf(type?.shape ?? [])),
  kernels: ({ target, inputs: [gradient] }) => directionKernel({ length: sizeOf(gradient?.shape ?? []) }, target),
  inPlace: { nextM: "m", nextV: "v" },
  vjp: { none: "part of an optimiser step" },
  tolerance: () => ({ terms: 64, scale: 4 }),
  samples: (draw) => {
    const shape = [draw.size(40), draw.size(20)];
    return { inputs: [range(shape, -2, 2), range(shape, -1, 1), range(shape, 0.1, 1), range([adamwHyper.length], 0.1, 0.9)], attributes: {} };
  },
});

/** A step along a direction with decoupled weight decay, in place. */
export const decayedStepOp: OpDefinition<None> = defineKernelOp({
  name: "decayedStep",
  inputs: ["parameter", "direction", "hyper"],
  outputs: ["next"],
  shape: ([parameter]) => [typeOf(parameter?.shape ?? [])],
  kernels: ({ target, inputs: [parameter] }) => stepKernel({ length: sizeOf(parameter?.shape ?? []) }, target),
  inPlace: { next: "parameter" },
  vjp: { none: "part of an optimiser step" },
  tolerance: () => "f32",
  samples: (draw) => {
    const shape = [draw.size(40), draw.size(20)];
    return { inputs: [typeOf(shape), typeOf(shape), range([adamwHyper.length], 0.1, 0.9)], attributes: {} };
  },
});

/** Q of the QR decomposition of square matrices. */
export const orthonormaliseOp: OpDefinition<None> = defineKernelOp({
  name: "orthonormalise",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x]) => {
    if (x?.shape.length !== 3 || x.shape[1] !== x.shape[2]) throw new ShapeError(`orthonormalise: expected square matrices f32[count, n, n], got ${x ? formatType(x) : "nothing"}. Reshape them.`);
    return [typeOf(x.shape)];
  },
  kernels: ({ target, inputs: [x] }) => orthonormaliseKernel({ count: x?.shape[0] ?? 0, size: x?.shape[1] ?? 0 }, target),
  vjp: { none: "part of an optimiser step" },
  // Columns of random matrices may be nearly dependent, and Q is then as uncertain as their difference; the kernel's own tests look closer.
  tolerance: () => ({ terms: 64, scale: 4 }),
  samples: (draw) => ({ inputs: [range([draw.integer(1, 3), 2, 2], 1, 2)], attributes: {} }),
});

/**
 * Adam's moments of a gradient and the direction they give.
 * @param hyper f32[8] as for `adamw`; a negative gradientScale changes nothing and gives zeros
 */
export function adamDirection(gradient: Tensor, m: Operand, v: Operand, hyper: Tensor): { readonly direction: Tensor; readonly m: Tensor; readonly v: Tensor } {
  const [direction, nextM, nextV] = gradient.graph.apply(adamDirectionOp, [gradient, m, v, hyper], {});
  return { direction: direction ?? gradient, m: nextM ?? gradient, v: nextV ?? gradient };
}

/** parameter * (1 - learningRate weightDecay) - learningRate * direction; a negative gradientScale in `hyper` changes nothing. */
export function decayedStep(parameter: Operand, direction: Tensor, hyper: Tensor): Tensor {
  return applyOp(decayedStepOp, [parameter, direction, hyper], {});
}

/** Q of the QR decomposition of x [count, n, n], R's diagonal >= 0. @throws ShapeError for other shapes */
export function orthonormalise(x: Tensor): Tensor {
  return applyOp(orthonormaliseOp, [x], {});
}
