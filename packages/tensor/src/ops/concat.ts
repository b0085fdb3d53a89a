import { concat as concatKernel, DTypeError, ShapeError, split as splitKernel } from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { formatType, resolveAxis, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";
import { expandDims } from "./reshape.js";

interface Joined {
  readonly axis: number;
}

const widthsOf = (types: readonly TensorType[], axis: number): { outer: number; widths: number[] } => ({
  outer: sizeOf(types[0]?.shape.slice(0, axis) ?? []),
  widths: types.map(({ shape }) => sizeOf(shape.slice(axis))),
});

/** Joins tensors along an axis. Its gradient takes them apart again. */
export const concatOp: OpDefinition<Joined> = defineKernelOp({
  name: "concat",
  inputs: ["x..."],
  outputs: ["y"],
  shape: (inputs, { axis }) => {
    const [first] = inputs;
    if (!first) throw new ShapeError("concat: nothing to join, expected at least one tensor, got none.");
    for (const input of inputs) {
      if (input.dtype !== first.dtype) throw new DTypeError(`concat: types differ, expected ${first.dtype}, got ${input.dtype}. Cast first.`);
      const fits = input.shape.length === first.shape.length && input.shape.every((n, i) => i === axis || n === first.shape[i]);
      if (!fits) throw new ShapeError(`concat: shapes differ off axis ${axis}, expected like ${formatType(first)}, got ${formatType(input)}.`);
    }
    const total = inputs.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
    return [typeOf(first.shape.map((n, i) => (i === axis ? total : n)), first.dtype)];
  },
  along: (along, inputs, { axis }) => (along === axis ? undefined : { inputs: inputs.map(() => along) }),
  kernels: ({ target, inputs, attributes: { axis } }) => concatKernel(widthsOf(inputs, axis), target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ inputs, cotangents: [dy], attributes: { axis } }) =>
      dy ? dy.graph.apply(splitOp, [dy], { axis, sizes: inputs.map((input) => input.at(axis)) }) : [],
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const shape = [draw.size(5), draw.size(6), draw.size(9)].slice(draw.integer(0, 2));
    const axis = draw.integer(0, shape.length - 1);
    return {
      inputs: Array.from({ length: draw.integer(1, 9) }, () => typeOf(shape.map((n, i) => (i === axis ? draw.size(6) : n)))),
      attributes: { axis },
    };
  },
});

/** Takes a tensor apart along an axis. */
export const splitOp: OpDefinition<Joined & { readonly sizes: readonly number[] }> = defineKernelOp({
  name: "split",
  inputs: ["x"],
  outputs: ["y..."],
  shape: ([x], { axis, sizes }) => sizes.map((size) => typeOf((x?.shape ?? []).map((n, i) => (i === axis ? size : n)), x?.dtype)),
  kernels: ({ target, outputs, attributes: { axis } }) => splitKernel(widthsOf(outputs, axis), target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ outputs, cotangents, attributes: { axis } }) => {
      const graph = outputs[0]?.graph;
      if (!graph) return [];
      const parts = outputs.map((output, i) => cotangents[i] ?? graph.constant(new Float32Array(sizeOf(output.shape)), output.shape));
      return [applyOp(concatOp, parts, { axis })];
    },
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const sizes = Array.from({ length: draw.integer(1, 9) }, () => draw.size(6));
    const axis = draw.integer(0, 1);
    const shape = [draw.size(5), draw.size(9)];
    return { inputs: [typeOf(shape.map((n, i) => (i === axis ? sizes.reduce((a, b) => a + b, 0) : n)))], attributes: { axis, sizes } };
  },
});

/**
 * Joins tensors along an axis (negative: from the end).
 * @throws ShapeError when they differ elsewhere
 */
export function concat(parts: readonly Operand[], axis: number): Tensor {
  const graph = graphOf("concat", parts);
  const tensors = parts.map((part) => graph.lift(part));
  const at = resolveAxis("concat", axis, tensors[0]?.shape.length ?? 0);
  const [only] = tensors;
  return tensors.length === 1 && only ? only : applyOp(concatOp, tensors, { axis: at });
}

/** Joins tensors of one shape along a new axis. @throws ShapeError when shapes differ */
export function stack(parts: readonly Operand[], axis: number): Tensor {
  const graph = graphOf("stack", parts);
  const tensors = parts.map((part) => graph.lift(part));
  const [first] = tensors;
  for (const tensor of tensors) {
    if (first && !sameShape(tensor.shape, first.shape)) throw new ShapeError(`stack: shapes differ, expected ${formatType(first.type)}, got ${formatType(tensor.type)}.`);
  }
  return concat(
    tensors.map((tensor) => expandDims(tensor, axis)),
    axis,
  );
}
