import type { Tolerance } from "./tolerance.js";

/** What a failure message says besides the numbers. */
export interface ComparisonContext {
  readonly op: string;
  /** Shape, or the sizes the case was made of. */
  readonly shape?: unknown;
  readonly seed?: number;
  readonly adapter?: string;
}

/** A computed array that is further from its reference than allowed. */
export class ComparisonError extends Error {
  override readonly name = "ComparisonError";
}

/**
 * Compares element by element. NaN matches NaN only; infinities match only themselves.
 * @throws ComparisonError naming op, shape, seed, worst index, both values and error/allowed
 */
export function compare(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance, context: ComparisonContext): void {
  const where = [
    context.op,
    context.shape === undefined ? "" : ` shape ${JSON.stringify(context.shape)}`,
    context.seed === undefined ? "" : ` seed ${context.seed}`,
    context.adapter === undefined ? "" : ` on ${context.adapter}`,
  ].join("");
  if (actual.length !== expected.length) throw new ComparisonError(`${where}: lengths differ, expected ${expected.length}, got ${actual.length}.`);
  let worst = -1;
  let worstRatio = 1;
  let failures = 0;
  for (let i = 0; i < expected.length; i++) {
    const ratio = excess(actual[i] ?? Number.NaN, expected[i] ?? Number.NaN, tolerance);
    if (ratio <= 1) continue;
    failures++;
    if (worst < 0 || ratio > worstRatio) [worst, worstRatio] = [i, ratio];
  }
  if (worst < 0) return;
  const a = actual[worst] ?? Number.NaN;
  const e = expected[worst] ?? Number.NaN;
  const allowed = tolerance.absolute + tolerance.relative * Math.abs(e);
  throw new ComparisonError(
    `${where}: ${failures} of ${expected.length} elements differ. Worst at ${worst}: expected ${e}, got ${a}, ` +
      `error ${Math.abs(a - e).toExponential(3)}, allowed ${allowed.toExponential(3)} (${tolerance.name}), error/allowed ${worstRatio.toPrecision(4)}.`,
  );
}

/** error / allowed; at most 1 passes. Infinite where a non-finite value is not matched by itself. */
function excess(actual: number, expected: number, tolerance: Tolerance): number {
  if (actual === expected) return 0;
  if (Number.isNaN(actual) && Number.isNaN(expected)) return 0;
  if (!Number.isFinite(actual) || !Number.isFinite(expected)) return Number.POSITIVE_INFINITY;
  const error = Math.abs(actual - expected);
  const allowed = tolerance.absolute + tolerance.relative * Math.abs(expected);
  return allowed === 0 ? Number.POSITIVE_INFINITY : error / allowed;
}
