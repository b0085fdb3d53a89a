import type { Activation } from "./shape.js";

/** Gauss error function to float64 precision: erf(x) = 2/sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (2n+1)!!. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** Float64 activation. */
export function activate(activation: Activation, x: number): number {
  if (activation === "relu") return Math.max(x, 0);
  if (activation === "gelu") return 0.5 * x * (1 + erf(x * Math.SQRT1_2));
  return x;
}

/**
 * WGSL `fn activate(x: T) -> T` for `type` T = f32, vec2f or vec4f.
 * gelu uses the rational approximation 7.1.26 of Abramowitz and Stegun, error below 1.5e-7.
 */
export function activationWgsl(activation: Activation, type: string): string {
  if (activation === "none") return `fn activate(x: ${type}) -> ${type} { return x; }\n`;
  if (activation === "relu") return `fn activate(x: ${type}) -> ${type} { return max(x, ${type}(0.0)); }\n`;
  return `fn activate(x: ${type}) -> ${type} {
  let z = abs(x) * 0.7071067811865476;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * exp(-z * z);
  return 0.5 * x * (1.0 + sign(x) * (1.0 - tail));
}
`;
}
