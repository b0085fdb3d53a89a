/**
 * Sums displacements to positions.
 *
 * @param deltas [..., 2] m, displacements
 * @param start index of the first number to use
 * @param steps how many displacements to sum
 * @returns [steps, 2] m
 */
export function positionsOf(deltas: ArrayLike<number>, start = 0, steps = deltas.length / 2): Float64Array {
  const positions = new Float64Array(steps * 2);
  for (let i = 0; i < positions.length; i++) positions[i] = (deltas[start + i] ?? 0) + (i < 2 ? 0 : (positions[i - 2] ?? 0));
  return positions;
}
