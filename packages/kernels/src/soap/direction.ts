import { adamwHyper } from "../adamw/reference.js";
import { flatGrid } from "../flat-grid.js";
import type { Kernel, KernelTarget } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { arrayOf, at } from "../reference-arrays.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

const position = (name: (typeof adamwHyper)[number]): number => adamwHyper.indexOf(name);

/**
 * Adam's direction without the step: gradient [length], m, v [length] (in place), hyper [8] (see {@link adamwHyper}) ->
 * direction [length] = (m / biasCorrection1) / (sqrt(v / biasCorrection2) + eps), after m and v have taken in gradient * gradientScale.
 * A negative gradientScale leaves m and v as they are and gives zeros.
 * @throws ShapeError on a bad size
 */
export function adamDirection({ length }: { readonly length: number }, target: KernelTarget): Kernel {
  requireSizes("adamDirection", { length });
  const lane = laneFor(length);
  const plan = flatGrid(length / laneWidth(lane), target, "light");
  const bindings = [
    { name: "gradient", access: "read", dtype: "f32", length },
    { name: "m", access: "readwrite", dtype: "f32", length },
    { name: "v", access: "readwrite", dtype: "f32", length },
    { name: "hyper", access: "read", dtype: "f32", length: adamwHyper.length },
    { name: "direction", access: "write", dtype: "f32", length },
  ] as const;
  const uniforms = [{ name: "items", type: "u32", value: length / laneWidth(lane) }] as const;
  const wgsl =
    declare(bindings, uniforms, { gradient: lane, m: lane, v: lane, direction: lane }) +
    plan.main(
      `    if (gradient_scale < 0.0) {
      direction[item] = ${lane}(0.0);
      continue;
    }
    let g = gradient[item] * gradient_scale;
    let mean = beta1 * m[item] + (1.0 - beta1) * g;
    let square = beta2 * v[item] + (1.0 - beta2) * g * g;
    m[item] = mean;
    v[item] = square;
    direction[item] = mean * lift / (sqrt(square) * spread + eps);`,
      `  let gradient_scale = hyper[${position("gradientScale")}];
  let beta1 = hyper[${position("beta1")}];
  let beta2 = hyper[${position("beta2")}];
  let eps = hyper[${position("eps")}];
  let lift = 1.0 / hyper[${position("biasCorrection1")}];
  let spread = 1.0 / sqrt(hyper[${position("biasCorrection2")}]);`,
    );
  return {
    name: `adamDirection.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 11 * length, bytes: 24 * length },
    reference: (inputs) => {
      const hyper = arrayOf(inputs, "hyper", adamwHyper.length);
      const of = (name: (typeof adamwHyper)[number]): number => at(hyper, position(name));
      const gradient = arrayOf(inputs, "gradient", length);
      const m = arrayOf(inputs, "m", length).slice();
      const v = arrayOf(inputs, "v", length).slice();
      const direction = new Float64Array(length);
      if (of("gradientScale") < 0) return { m, v, direction };
      for (let i = 0; i < length; i++) {
        const g = at(gradient, i) * of("gradientScale");
        m[i] = of("beta1") * at(m, i) + (1 - of("beta1")) * g;
        v[i] = of("beta2") * at(v, i) + (1 - of("beta2")) * g * g;
        direction[i] = at(m, i) / of("biasCorrection1") / (Math.sqrt(at(v, i) / of("biasCorrection2")) + of("eps"));
      }
      return { m, v, direction };
    },
  };
}

/**
 * A decayed step, in place: parameter [length] = parameter * (1 - learningRate weightDecay) - learningRate * direction [length], with hyper [8]
 * (see {@link adamwHyper}). A negative gradientScale leaves the parameter as it is.
 * @throws ShapeError on a bad size
 */
export function decayedStep({ length }: { readonly length: number }, target: KernelTarget): Kernel {
  requireSizes("decayedStep", { length });
  const lane = laneFor(length);
  const plan = flatGrid(length / laneWidth(lane), target, "light");
  const bindings = [
    { name: "parameter", access: "readwrite", dtype: "f32", length },
    { name: "direction", access: "read", dtype: "f32", length },
    { name: "hyper", access: "read", dtype: "f32", length: adamwHyper.length },
  ] as const;
  const uniforms = [{ name: "items", type: "u32", value: length / laneWidth(lane) }] as const;
  const wgsl =
    declare(bindings, uniforms, { parameter: lane, direction: lane }) +
    plan.main(
      `    parameter[item] = parameter[item] * decay - rate * direction[item];`,
      `  if (hyper[${position("gradientScale")}] < 0.0) { return; }
  let rate = hyper[${position("learningRate")}];
  let decay = 1.0 - rate * hyper[${position("weightDecay")}];`,
    );
  return {
    name: `decayedStep.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 3 * length, bytes: 12 * length },
    reference: (inputs) => {
      const hyper = arrayOf(inputs, "hyper", adamwHyper.length);
      const parameter = arrayOf(inputs, "parameter", length).slice();
      const direction = arrayOf(inputs, "direction", length);
      if (at(hyper, position("gradientScale")) < 0) return { parameter };
      const rate = at(hyper, position("learningRate"));
      const decay = 1 - rate * at(hyper, position("weightDecay"));
      return { parameter: parameter.map((value, i) => value * decay - rate * at(direction, i)) };
    },
  };
}
