/** What is compared, which decides the tolerance. */
export type TensorKind = "activation" | "loss" | "gradient" | "exact";

/** Largest error, as a fraction of the largest expected magnitude, that passes. */
export const PARITY_TOLERANCE: Readonly<Record<TensorKind, number>> = { activation: 1e-4, loss: 1e-5, gradient: 1e-4, exact: 0 };

/**
 * A gradient that is smaller than this fraction of the largest one of its model is rounding of a gradient that is zero
 * (biases in front of a norm, of a softmax): it is compared with the largest one instead of with itself. In recorded models the
 * rounding is below 4e-7 of the largest, and the smallest gradient that is none is above 4e-4.
 */
export const VANISHING = 1e-5;

/**
 * Float32 steps of 6e-8 of a model's largest gradient are in every smaller one, as it is what large terms leave when they cancel
 * (norms of four channels behind a ReLU leave next to nothing): an error is at least measured by this fraction of the largest, of
 * which the tolerance is one such step.
 */
export const ROUNDING_FLOOR = 6e-8 / 1e-4;

/** One tensor against its published values. */
export interface Comparison {
  readonly name: string;
  readonly kind: TensorKind;
  /** Largest error, a fraction of the largest expected magnitude; for "exact" the number of elements that differ */
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** Elements that were compared. */
  readonly elements: number;
  /** What is wrong, where it is not just the error; or where the error is. */
  readonly note?: string;
}

/** Values to compare. */
export interface Pair {
  readonly name: string;
  readonly kind: TensorKind;
  readonly actual: ArrayLike<number>;
  readonly expected: ArrayLike<number>;
  /** 1 where an element counts; default everywhere */
  readonly counts?: ArrayLike<number>;
  /** What an error of each element is a fraction of; default the largest expected magnitude of all */
  readonly scales?: ArrayLike<number>;
  /** What the elements are called, for the message of one that is off. */
  readonly labels?: readonly string[];
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

/** A result that the published model has and ours does not: never in tolerance. */
export function absent(name: string, kind: TensorKind, note: string): Comparison {
  return { name, kind, error: Number.POSITIVE_INFINITY, tolerance: PARITY_TOLERANCE[kind], ok: false, elements: 0, note };
}

function compare(pair: Pair, steepest: number): Comparison {
  const { name, kind, actual, expected, counts, scales, labels } = pair;
  if (actual.length !== expected.length) return absent(name, kind, `expected ${expected.length} numbers, got ${actual.length}`);
  if (counts && counts.length !== expected.length) return absent(name, kind, `the mask of ${counts.length} numbers does not fit ${expected.length}`);
  let [worst, at, largest, differing, elements] = [0, -1, 0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (counts?.[i] === 0) continue;
    elements++;
    const [mine, published] = [actual[i] ?? Number.NaN, expected[i] ?? Number.NaN];
    if (!Number.isFinite(published)) return { ...absent(name, kind, `the recorded values are not finite: ${labels?.[i] ?? `element ${i}`} is ${published}`), elements };
    if (!Number.isFinite(mine)) return { ...absent(name, kind, `${labels?.[i] ?? `element ${i}`} is ${mine}, expected ${published}`), elements };
    const difference = Math.abs(mine - published) / (scales?.[i] ?? 1);
    if (difference > worst) [worst, at] = [difference, i];
    largest = Math.max(largest, Math.abs(published));
    if (difference !== 0) differing++;
  }
  const label = labels?.[at];
  const where = label === undefined ? {} : { note: label };
  if (kind === "exact") return { name, kind, error: differing, tolerance: 0, ok: differing === 0, elements, ...where };
  if (!scales && kind === "gradient" && largest < VANISHING * steepest) {
    const error = worst / steepest;
    return { name, kind, error, tolerance: VANISHING, ok: error <= VANISHING, elements, note: "vanishes" };
  }
  const scale = kind === "gradient" ? Math.max(largest, ROUNDING_FLOOR * steepest) : largest;
  const error = scales || scale === 0 ? worst : worst / scale;
  return { name, kind, error, tolerance: PARITY_TOLERANCE[kind], ok: error <= PARITY_TOLERANCE[kind], elements, ...where };
}
