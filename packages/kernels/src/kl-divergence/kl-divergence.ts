import type { Kernel, KernelTarget } from "../kernel.js";
import { largestFinite } from "../lanes.js";
import { rowGrid } from "../row-grid.js";
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
  const plan = rowGrid(rows, width, target);
  const bindings = [
    { name: "logits", access: "read", dtype: "f32", length: rows * width },
    { name: "targets", access: "read", dtype: "f32", length: rows * width },
    { name: "weight", access: "read", dtype: "f32", length: rows },
    { name: "loss", access: "write", dtype: "f32", length: rows },
  ] as const;
  const wgsl =
    declare(bindings, plan.uniforms, { logits: plan.lane, targets: plan.lane }) +
    plan.main(`${logSumExp(plan.lane)}
  var sum = ${plan.lane}();
  for (var i = begin; i < end; i += stride) {
    let t = targets[origin + i];
    let term = t * (log(max(t, ${plan.lane}(${smallestNormal}))) - (logits[origin + i] - peak - spread));
    sum += select(${plan.lane}(), term, t > ${plan.lane}());
  }
  let total = row_sum(sum);
  if (leader) { loss[row] = weight[row] * total; }`);
  return {
    name: `klDivergence.${plan.variant}`,
    wgsl,
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 12 * rows * width, bytes: 8 * rows * width + 8 * rows },
    reference: (inputs) => klDivergenceReference(shape, inputs),
  };
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
  const plan = rowGrid(rows, width, target);
  const bindings = [
    { name: "logits", access: "read", dtype: "f32", length: rows * width },
    { name: "targets", access: "read", dtype: "f32", length: rows * width },
    { name: "weight", access: "read", dtype: "f32", length: rows },
    { name: "dloss", access: "read", dtype: "f32", length: rows },
    { name: "dlogits", access: "write", dtype: "f32", length: rows * width },
  ] as const;
  const wgsl =
    declare(bindings, plan.uniforms, { logits: plan.lane, targets: plan.lane, dlogits: plan.lane }) +
    plan.main(`${logSumExp(plan.lane)}
  var masses = ${plan.lane}();
  for (var i = begin; i < end; i += stride) { masses += max(targets[origin + i], ${plan.lane}()); }
  let mass = row_sum(masses);
  let scale = weight[row] * dloss[row];
  for (var i = begin; i < end; i += stride) {
    dlogits[origin + i] = scale * (exp(logits[origin + i] - peak - spread) * mass - max(targets[origin + i], ${plan.lane}()));
  }`);
  return {
    name: `klDivergenceBackward.${plan.variant}`,
    wgsl,
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 12 * rows * width, bytes: 12 * rows * width + 8 * rows },
    reference: (inputs) => klDivergenceBackwardReference(shape, inputs),
  };
}

/** The smallest normal float32: logarithms are not taken of anything smaller. */
const smallestNormal = "1.17549435e-38";

/** `peak + spread` is the logarithm of the sum of exponentials of the row's logits; kept apart to subtract without loss. */
function logSumExp(lane: string): string {
  return `
  let origin = row * params.width;
  var top = ${lane}(-${largestFinite});
  for (var i = begin; i < end; i += stride) { top = max(top, logits[origin + i]); }
  let peak = row_max(top);
  var share = ${lane}();
  for (var i = begin; i < end; i += stride) { share += exp(logits[origin + i] - peak); }
  let spread = log(row_sum(share));`;
}
