/** What is compared, which decides the tolerance. */
export type TensorKind = "activation" | "loss" | "gradient" | "exact";

/** Largest error, as a fraction of the largest expected magnitude, that passes. */
export const PARITY_TOLERANCE: Readonly<Record<TensorKind, number>> = { activation: 1e-4, loss: 1e-5, gradient: 1e-4, exact: 0 };

/**
 * A gradient that is smaller than this fraction of the largest one of its model is rounding of a gradient that is zero
 * (biases in front of a norm, of a softmax): it is compared with the largest one instead of with itself.
 */
export const VANISHING = 1e-6;

/** One tensor against its published values. */
export interface Comparison {
  readonly name: string;
  readonly kind: TensorKind;
  /** Largest error, a fraction of the largest expected magnitude; for "exact" the number of elements that differ */
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
}

/** Values to compare. */
export interface Pair {
  readonly name: string;
  readonly kind: TensorKind;
  readonly actual: ArrayLike<number>;
  readonly expected: ArrayLike<number>;
  /** 1 where an element counts; default everywhere */
  readonly counts?: ArrayLike<number>;
}

/** Largest magnitude. */
export function largestOf(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] ?? 0));
  return largest;
}

/** Compares tensors; gradients know of each other, see {@link VANISHING}. */
export function compareAll(pairs: readonly Pair[]): Comparison[] {
  const steepest = Math.max(0, ...pairs.filter(({ kind }) => kind === "gradient").map(({ expected }) => largestOf(expected)));
  return pairs.map((pair) => compare(pair, steepest));
}

function compare({ name, kind, actual, expected, counts }: Pair, steepest: number): Comparison {
  if (actual.length !== expected.length) return { name, kind, error: Number.POSITIVE_INFINITY, tolerance: PARITY_TOLERANCE[kind], ok: false };
  let [worst, largest, differing] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (counts?.[i] === 0) continue;
    const difference = Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN));
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(expected[i] ?? 0));
    if (difference !== 0) differing++;
  }
  if (kind === "exact") return { name, kind, error: differing, tolerance: 0, ok: differing === 0 };
  if (kind === "gradient" && largest < VANISHING * steepest) {
    const error = worst / steepest;
    return { name, kind, error, tolerance: VANISHING, ok: error <= VANISHING };
  }
  const error = largest === 0 ? worst : worst / largest;
  return { name, kind, error, tolerance: PARITY_TOLERANCE[kind], ok: error <= PARITY_TOLERANCE[kind] };
}
