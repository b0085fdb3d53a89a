/** Thrown when a plan, a sample or a box handed to a metric is malformed. */
export class MetricError extends Error {
  readonly userFacing = true;
  override readonly name = "MetricError";

  /**
   * @param where function or metric that refused
   * @param what what is wrong, what was expected, what was got
   * @param fix how to fix it
   */
  constructor(where: string, what: string, fix: string) {
    super(`${where}: ${what}. ${fix}`);
  }
}

/**
 * Reads an array entry that must be there and finite.
 *
 * @param values numbers
 * @param index position
 * @param where function that reads, and name of the array, for the message
 * @throws MetricError when the entry is missing or not finite
 */
export function finiteAt(values: ArrayLike<number>, index: number, where: string): number {
  const value = values[index];
  if (value === undefined || !Number.isFinite(value)) {
    throw new MetricError(
      where,
      `entry ${index} of ${values.length} is not a number, expected a finite value, got ${value === undefined ? "nothing" : String(value)}`,
      "Pass arrays of the documented shape with finite values.",
    );
  }
  return value;
}

/**
 * Checks the length of a flat array.
 *
 * @throws MetricError when it differs
 */
export function requireLength(values: ArrayLike<number>, length: number, where: string, shape: string): void {
  if (values.length !== length) {
    throw new MetricError(
      where,
      `wrong number of values, expected ${length} (${shape}), got ${values.length}`,
      `Pass ${shape} as one flat array.`,
    );
  }
}
