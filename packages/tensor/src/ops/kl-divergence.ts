import { klDivergence as klKernel, klDivergenceBackward, ShapeError } from "@distilldrive/kernels";
import { graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { broadcastTo } from "./elementwise.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";
import { reshape } from "./reshape.js";

const sizes = (logits: TensorType | undefined): { rows: number; width: number } => {
  const [rows = 0, width = 0] = logits?.shape ?? [];
  return { rows, width };
};

/** Rows of KL(targets || softmax(logits)), weighted: logits, targets [R, M], weight [R] -> loss [R]. Targets and weights are data. */
export const klDivergenceOp: OpDefinition<None> = defineKernelOp({
  name: "klDivergence",
  inputs: ["logits", "targets", "weight"],
  outputs: ["loss"],
  shape: ([logits, targets, weight]) => {
    const { rows } = sizes(logits);
    if (!logits || !targets || !sameShape(logits.shape, targets.shape) || weight?.shape[0] !== rows) {
      throw new ShapeError(`klDivergence: shapes do not fit, expected logits and targets [R, M] and weight [R], got ${[logits, targets, weight].map((type) => (type ? formatType(type) : "nothing")).join(", ")}.`);
    }
    return [typeOf([rows])];
  },
  kernels: ({ target, inputs: [logits] }) => klKernel(sizes(logits), target),
  vjp: {
    saves: ["logits", "targets", "weight"],
    recompute: "cheap",
    rule: ({ inputs: [logits, targets, weight], cotangents: [dloss] }) =>
      logits && targets && weight && dloss ? logits.graph.apply(klDivergenceBackwardOp, [logits, targets, weight, dloss], {}) : [],
  },
  tolerance: ([logits]) => ({ terms: 8 + sizes(logits).width, scale: 8 }),
  samples: (draw) => klSample(draw, false),
});

/** Gradient of {@link klDivergenceOp} to the logits [R, D], from dloss [R]. */
export const klDivergenceBackwardOp: OpDefinition<None> = defineKernelOp({
  name: "klDivergenceBackward",
  inputs: ["logits", "targets", "weight", "dloss"],
  outputs: ["dlogits"],
  shape: ([logits]) => [typeOf(logits?.shape ?? [])],
  kernels: ({ target, inputs: [logits] }) => klDivergenceBackward(sizes(logits), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([logits]) => ({ terms: 8 + sizes(logits).width, scale: 8 }),
  samples: (draw) => klSample(draw, true),
});

function klSample(draw: Draw, backward: boolean): Sample<None> {
  const [rows, width] = [draw.size(20), draw.size(24)];
  const data = { checkGradient: false as const };
  return {
    inputs: [
      { ...typeOf([rows, width]), range: [-6, 6] },
      { ...typeOf([rows, width]), range: [0, 1], ...data },
      { ...typeOf([rows]), range: [0, 2], ...data },
      ...(backward ? [typeOf([rows])] : []),
    ],
    attributes: {},
  };
}

/**
 * KL divergence of softmax(logits) from target probabilities, numerically safe: sum over m of t (log t - log softmax(x)), 0 log 0 = 0.
 * @param logits [..., M]
 * @param targets [..., M], >= 0, data
 * @param weight [...], data; default 1
 * @returns [...]
 * @throws ShapeError when the targets do not fit
 */
export function klDivergence(logits: Tensor, targets: Operand, weight: Operand = 1): Tensor {
  const graph = graphOf("klDivergence", [logits]);
  const leading = logits.shape.slice(0, -1);
  const rows = sizeOf(leading);
  const wanted = graph.lift(targets);
  if (!sameShape(wanted.shape, logits.shape)) throw new ShapeError(`klDivergence: targets do not fit, expected ${formatType(logits.type)} like the logits, got ${formatType(wanted.type)}. Give one probability per logit.`);
  const weights = reshape(broadcastTo(graph.lift(weight), leading), [rows]);
  const [loss] = graph.apply(klDivergenceOp, [reshape(logits, [rows, logits.at(-1)]), reshape(wanted, [rows, logits.at(-1)]), weights], {});
  return reshape(loss ?? weights, leading);
}
