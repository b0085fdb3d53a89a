import type { Kernel, KernelTarget } from "../kernel.js";
import { largestFinite } from "../lanes.js";
import { heldRowKernel } from "../row-grid-held.js";
import type { RowText } from "../row-grid-held.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { klDivergenceBackwardReference, klDivergenceReference } from "./reference.js";
import type { KlDivergenceShape } from "./reference.js";

/**
 * Kullback-Leibler divergence of softmax(logits) from target probabilities, row by row and without forming the softmax:
 * logits [rows, width], targets [rows, width] (>= 0; they need not sum to 1), weight [rows] -> loss [rows]
 * = weight sum over m of t (log t - log softmax(x)), 0 log 0 = 0. DistillDrive's KLLoss is its sum over the number of weighted rows.
 * @throws ShapeError on bad sizes
 */
export function klDivergence(shape: KlDivergenceShape, target: KernelTarget): Kernel {
  const { rows, width } = shape;
  requireSizes("klDivergence", { rows });
  requireSizes("klDivergence", { width }, 1);
  const bindings = [
    { name: "logits", access: "read", dtype: "f32", length: rows * width },
    { name: "targets", access: "read", dtype: "f32", length: rows * width },
    { name: "weight", access: "read", dtype: "f32", length: rows },
    { name: "loss", access: "write", dtype: "f32", length: rows },
  ] as const;
  return heldRowKernel("klDivergence", rows, width, target, (plan) => ({
    name: `klDivergence.${plan.variant}`,
    wgsl:
      plan.head +
      declare(bindings, plan.uniforms, { logits: plan.lane, targets: plan.lane }) +
      plan.main(
        (text) => `${logSumExp(plan.lane, text)}
    ${text.hold({ term: `t * (log(max(t, ${plan.lane}(${smallestNormal}))) - (x - peak - spread))` })}
    var sum = ${plan.lane}();
    ${text.each(`sum += select(${plan.lane}(), term, t > ${plan.lane}());`)}
    let total = row_sum(sum);
    if (leader) { loss[row] = weight[row] * total; }`,
      ),
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 12 * rows * width, bytes: 8 * rows * width + 8 * rows },
    reference: (inputs) => klDivergenceReference(shape, inputs),
  }));
}

/**
 * Gradient of {@link klDivergence} to the logits: logits, targets [rows, width], weight, dloss [rows] -> dlogits [rows, width].
 * Targets and weights are data and get no gradient.
 * @throws ShapeError on bad sizes
 */
export function klDivergenceBackward(shape: KlDivergenceShape, target: KernelTarget): Kernel {
  const { rows, width } = shape;
  requireSizes("klDivergenceBackward", { rows });
  requireSizes("klDivergenceBackward", { width }, 1);
  const bindings = [
    { name: "logits", access: "read", dtype: "f32", length: rows * width },
    { name: "targets", access: "read", dtype: "f32", length: rows * width },
    { name: "weight", access: "read", dtype: "f32", length: rows },
    { name: "dloss", access: "read", dtype: "f32", length: rows },
    { name: "dlogits", access: "write", dtype: "f32", length: rows * width },
  ] as const;
  return heldRowKernel("klDivergenceBackward", rows, width, target, (plan) => ({
    name: `klDivergenceBackward.${plan.variant}`,
    wgsl:
      plan.head +
      declare(bindings, plan.uniforms, { logits: plan.lane, targets: plan.lane, dlogits: plan.lane }) +
      plan.main(
        (text) => `${logSumExp(plan.lane, text)}
    ${text.hold({ mass_of: `max(t, ${plan.lane}())` })}
    var masses = ${plan.lane}();
    ${text.each("masses += mass_of;")}
    let mass = row_sum(masses);
    let scale = weight[row] * dloss[row];
    ${text.store("dlogits[origin + i] = scale * (exp(x - peak - spread) * mass - mass_of);")}`,
      ),
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 12 * rows * width, bytes: 12 * rows * width + 8 * rows },
    reference: (inputs) => klDivergenceBackwardReference(shape, inputs),
  }));
}

/** The smallest normal float32: logarithms are not taken of anything smaller. */
const smallestNormal = "1.17549435e-38";

/**
 * `peak + spread` is the logarithm of the sum of exponentials of the row's logits; kept apart to subtract without loss. Holds
 * the logits as `x` and the targets as `t`.
 */
function logSumExp(lane: string, { hold, each }: RowText): string {
  return `${hold({ x: "logits[origin + i]", t: "targets[origin + i]" })}
    var top = ${lane}(-${largestFinite});
    ${each("top = max(top, x);")}
    let peak = row_max(top);
    var share = ${lane}();
    ${each("share += exp(x - peak);")}
    let spread = log(row_sum(share));`;
}
