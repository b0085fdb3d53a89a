import { pack as packKernels, packLength } from "@distilldrive/kernels";
import { applyOp, type Graph, type Operand, type Tensor } from "../graph.js";
import type { OpDefinition, SampleInput } from "../op.js";
import { sizeOf, type TensorType, typeOf } from "../shape.js";
import { packAlignment, packedLength, type Variable } from "../variable.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";

const shapeOf = (parts: readonly TensorType[], accumulate: boolean): Parameters<typeof packLength>[0] => ({
  lengths: parts.map(({ shape }) => sizeOf(shape)),
  alignment: packAlignment,
  accumulate,
});

/** Tensors side by side, each padded with zeros, in the layout of a packed variable. */
export const packOp: OpDefinition<None> = defineKernelOp<None>({
  name: "pack",
  inputs: ["x..."],
  outputs: ["y"],
  shape: (parts) => [typeOf([packLength(shapeOf(parts, false))])],
  kernels: ({ target, inputs }) => packKernels(shapeOf(inputs, false), target),
  vjp: { none: "part of an optimiser step" },
  tolerance: () => "exact",
  samples: (draw) => ({ inputs: Array.from({ length: draw.integer(1, 9) }, () => typeOf([draw.size(20), draw.size(9)])), attributes: {} }),
});

/** The same, added to a packed tensor: total + pack(x...), or pack(x...) where restart [1] is not zero. Overwrites `total` where it may. */
export const packAddOp: OpDefinition<None> = defineKernelOp<None>({
  name: "packAdd",
  inputs: ["y", "restart", "x..."],
  outputs: ["next"],
  shape: ([total]) => [typeOf(total?.shape ?? [])],
  kernels: ({ target, inputs }) => packKernels(shapeOf(inputs.slice(2), true), target),
  inPlace: { next: "y" },
  vjp: { none: "part of an optimiser step" },
  tolerance: () => "f32",
  samples: (draw) => {
    const parts = Array.from({ length: draw.integer(1, 9) }, () => [draw.size(20), draw.size(9)]);
    const total = parts.reduce((sum, shape) => sum + packedLength(shape), 0);
    const restart: SampleInput = { ...typeOf([1]), mask: true };
    return { inputs: [typeOf([total]), restart, ...parts.map((shape) => typeOf(shape))], attributes: {} };
  },
});

/** Tensors in the layout of the packed variable of variables of the same shapes. */
export function packTensors(parts: readonly Tensor[]): Tensor {
  return applyOp(packOp, parts, {});
}

/**
 * Adds tensors to a packed variable of the same shapes.
 * @param restart [1]; where it is not zero the sum begins anew
 * @returns the value to assign to the variable
 */
export function packAdd(graph: Graph, total: Variable, restart: Tensor, parts: readonly Operand[]): Tensor {
  return applyOp(packAddOp, [graph.variable(total), restart, ...parts], {});
}
