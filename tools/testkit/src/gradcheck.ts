import { uniformData } from "./arbitraries.js";

/** A function and its claimed gradient, both in float64. */
export interface GradientClaim {
  /** Named in the failure message. */
  readonly op: string;
  readonly seed: number;
  /** Where the gradient is checked. It should keep clear of kinks by much more than `step`. */
  readonly point: Float64Array;
  /** The function. */
  forward(point: Float64Array): Float64Array;
  /** The vector-Jacobian product at `point`. */
  backward(cotangent: Float64Array): Float64Array;
  /** Half the width of the central difference. Default 1e-5. */
  readonly step?: number;
  /** Allowed error relative to the size of the terms that are summed. Default 1e-6. */
  readonly tolerance?: number;
}

/**
 * Checks a gradient by central differences along three random directions, under random cotangents:
 * `cotangent . (f(x + h v) - f(x - h v)) / 2h` against `v . backward(cotangent)`.
 * @throws Error with both values when they differ
 */
export function checkGradient(claim: GradientClaim): void {
  const { op, seed, point, step = 1e-5, tolerance = 1e-6 } = claim;
  const outputs = claim.forward(point).length;
  for (let direction = 0; direction < 3; direction++) {
    const along = Float64Array.from(uniformData(point.length, seed + 2 * direction + 1));
    const cotangent = Float64Array.from(uniformData(outputs, seed + 2 * direction + 2));
    const above = claim.forward(point.map((x, i) => x + step * (along[i] ?? 0)));
    const below = claim.forward(point.map((x, i) => x - step * (along[i] ?? 0)));
    const slopes = above.map((y, i) => ((y - (below[i] ?? 0)) / (2 * step)) * (cotangent[i] ?? 0));
    const terms = claim.backward(cotangent).map((g, i) => g * (along[i] ?? 0));
    const numeric = slopes.reduce((sum, x) => sum + x, 0);
    const analytic = terms.reduce((sum, x) => sum + x, 0);
    const size = Math.max(1e-3, terms.reduce((sum, x) => sum + Math.abs(x), 0));
    if (!(Math.abs(numeric - analytic) <= tolerance * size)) {
      throw new Error(`${op} seed ${seed}: the gradient is wrong, central differences give ${numeric}, backward gives ${analytic}, allowed difference ${tolerance * size}.`);
    }
  }
}
