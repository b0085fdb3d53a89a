import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** What AdamW reads from its `hyper` buffer, in this order. All of it may change from step to step without recompiling. */
export const adamwHyper = [
  /** Step size, > 0. */
  "learningRate",
  /** Decay of the mean gradient, usually 0.9. */
  "beta1",
  /** Decay of the mean squared gradient, usually 0.999. */
  "beta2",
  /** Added to the root of the mean squared gradient, usually 1e-8. */
  "eps",
  /** Decoupled: every step first multiplies the parameter by 1 - learningRate weightDecay. */
  "weightDecay",
  /** 1 - beta1^step, with step counted from 1. */
  "biasCorrection1",
  /** 1 - beta2^step. */
  "biasCorrection2",
  /** The gradient is multiplied by it (clipping); negative: nothing at all is updated (a step with non-finite gradients). */
  "gradientScale",
] as const;

/** Plain-loop AdamW step (Loshchilov and Hutter, 2019; PyTorch's order of operations), in place. */
export function adamwReference(length: number, inputs: Arrays): { parameter: Float64Array; m: Float64Array; v: Float64Array } {
  const hyper = arrayOf(inputs, "hyper", adamwHyper.length);
  const of = (name: (typeof adamwHyper)[number]): number => at(hyper, adamwHyper.indexOf(name));
  const gradient = arrayOf(inputs, "gradient", length);
  const parameter = arrayOf(inputs, "parameter", length).slice();
  const m = arrayOf(inputs, "m", length).slice();
  const v = arrayOf(inputs, "v", length).slice();
  if (of("gradientScale") < 0) return { parameter, m, v };
  for (let i = 0; i < length; i++) {
    const g = at(gradient, i) * of("gradientScale");
    m[i] = of("beta1") * at(m, i) + (1 - of("beta1")) * g;
    v[i] = of("beta2") * at(v, i) + (1 - of("beta2")) * g * g;
    const decayed = at(parameter, i) * (1 - of("learningRate") * of("weightDecay"));
    const denominator = Math.sqrt(at(v, i)) / Math.sqrt(of("biasCorrection2")) + of("eps");
    parameter[i] = decayed - ((of("learningRate") / of("biasCorrection1")) * at(m, i)) / denominator;
  }
  return { parameter, m, v };
}

/** Plain-loop clipping factor: min(1, maxNorm / (norm + 1e-6)), -1 (and norm -1) where any gradient is not finite. */
export function clipScaleReference(maxNorm: number, inputs: Arrays): { scale: Float64Array; norm: Float64Array } {
  const squares = at(arrayOf(inputs, "sumSquares", 1), 0);
  if (at(arrayOf(inputs, "nonFinite", 1), 0) > 0 || !Number.isFinite(squares)) return { scale: Float64Array.of(-1), norm: Float64Array.of(-1) };
  const norm = Math.sqrt(squares);
  return { scale: Float64Array.of(maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1), norm: Float64Array.of(norm) };
}
