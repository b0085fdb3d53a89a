import { ShapeError } from "./errors.js";

/**
 * Checks the sizes a kernel is asked for.
 * @param where the kernel, for the message
 * @param sizes by name, or by axis
 * @param smallest least allowed value, default 0
 * @throws ShapeError naming the first size that is not an integer >= `smallest`
 */
export function requireSizes(where: string, sizes: Readonly<Record<string, number>> | readonly number[], smallest = 0): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(size) || size < smallest) {
      throw new ShapeError(`${where}: bad size ${name}, expected an integer >= ${smallest}, got ${size}. Check the shapes of the operands.`);
    }
  }
}
