import { logSoftmax as logSoftmaxKernel, logSoftmaxBackward, softmax as softmaxKernel, softmaxBackward } from "@distilldrive/kernels";
import { applyOp, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { sizeOf, type TensorType, typeOf } from "../shape.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";

const rows = (type: TensorType | undefined): { rows: number; width: number } => {
  const shape = type?.shape ?? [];
  return { rows: sizeOf(shape.slice(0, -1)), width: shape.at(-1) ?? 1 };
};

function pair(name: string, forward: typeof softmaxKernel, backward: typeof softmaxBackward): { op: OpDefinition<None>; gradient: OpDefinition<None> } {
  const gradient = defineKernelOp<None>({
    name: `${name}Backward`,
    inputs: ["y", "dy"],
    outputs: ["dx"],
    shape: ([y]) => [typeOf(y?.shape ?? [])],
    kernels: ({ target, inputs: [y] }) => backward(rows(y), target),
    vjp: { none: "second derivatives are not needed" },
    tolerance: ([y]) => ({ terms: rows(y).width, scale: 4 }),
    samples: (draw) => {
      const shape = [draw.size(20), draw.size(70)];
      return { inputs: [{ ...typeOf(shape), range: [-3, 0] }, typeOf(shape)], attributes: {} };
    },
  });
  const op = defineKernelOp<None>({
    name,
    inputs: ["x"],
    outputs: ["y"],
    shape: ([x]) => [typeOf(x?.shape ?? [])],
    along: (axis, [x]) => (axis < (x?.shape.length ?? 0) - 1 ? { inputs: [axis] } : undefined),
    kernels: ({ target, inputs: [x] }) => forward(rows(x), target),
    vjp: {
      saves: ["y"],
      recompute: "costly",
      rule: ({ outputs: [y], cotangents: [dy] }) => [y && dy ? applyOp(gradient, [y, dy], {}) : undefined],
    },
    tolerance: ([x]) => ({ terms: rows(x).width }),
    samples: (draw) => ({ inputs: [{ ...typeOf([draw.size(5), draw.size(12), draw.size(70)].slice(draw.integer(0, 2))), range: [-8, 8] }], attributes: {} }),
  });
  return { op, gradient };
}

/** Softmax over the last axis of x [..., D], and its gradient from y and dy. */
export const { op: softmaxOp, gradient: softmaxBackwardOp } = pair("softmax", softmaxKernel, softmaxBackward);
/** Log-softmax over the last axis of x [..., D], and its gradient from y and dy. */
export const { op: logSoftmaxOp, gradient: logSoftmaxBackwardOp } = pair("logSoftmax", logSoftmaxKernel, logSoftmaxBackward);

/** Softmax over the last axis. Mask with a large negative number such as -1e30, not with -Infinity. */
export function softmax(x: Tensor): Tensor {
  return applyOp(softmaxOp, [x], {});
}

/** Logarithm of the softmax over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return applyOp(logSoftmaxOp, [x], {});
}
