import type { Kernel, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { adamwHyper, adamwReference } from "./reference.js";

/**
 * One AdamW step, in place: parameter, m, v [length] are updated from gradient [length] and hyper [8] (see {@link adamwHyper}).
 * Decoupled weight decay in PyTorch's order: decay first, then p -= learningRate / biasCorrection1 * m / (sqrt(v / biasCorrection2) + eps).
 * A negative gradientScale leaves everything as it is, whatever the gradient holds.
 * @throws ShapeError on a bad size
 */
export function adamw({ length }: { readonly length: number }, target: KernelTarget): Kernel {
  requireSizes("adamw", { length });
  const lane = laneFor(length);
  const plan = flatGrid(length / laneWidth(lane), target, "light");
  const bindings = [
    { name: "parameter", access: "readwrite", dtype: "f32", length },
    { name: "gradient", access: "read", dtype: "f32", length },
    { name: "m", access: "readwrite", dtype: "f32", length },
    { name: "v", access: "readwrite", dtype: "f32", length },
    { name: "hyper", access: "read", dtype: "f32", length: adamwHyper.length },
  ] as const;
  const uniforms = [{ name: "items", type: "u32", value: length / laneWidth(lane) }] as const;
  const wgsl =
    declare(bindings, uniforms, { parameter: lane, gradient: lane, m: lane, v: lane }) +
    plan.main(
      `    let g = gradient[item] * gradient_scale;
    let mean = beta1 * m[item] + (1.0 - beta1) * g;
    let square = beta2 * v[item] + (1.0 - beta2) * g * g;
    m[item] = mean;
    v[item] = square;
    parameter[item] = parameter[item] * decay - rate * mean / (sqrt(square) * spread + eps);`,
      `  let gradient_scale = hyper[${position("gradientScale")}];
  if (gradient_scale < 0.0) { return; }
  let beta1 = hyper[${position("beta1")}];
  let beta2 = hyper[${position("beta2")}];
  let eps = hyper[${position("eps")}];
  let decay = 1.0 - hyper[${position("learningRate")}] * hyper[${position("weightDecay")}];
  let rate = hyper[${position("learningRate")}] / hyper[${position("biasCorrection1")}];
  let spread = 1.0 / sqrt(hyper[${position("biasCorrection2")}]);`,
    );
  return {
    name: `adamw.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 13 * length, bytes: 28 * length },
    reference: (inputs) => adamwReference(length, inputs),
  };
}

function position(name: (typeof adamwHyper)[number]): number {
  return adamwHyper.indexOf(name);
}
