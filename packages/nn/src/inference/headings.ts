/**
 * Headings along a path by central differences, the last one by a backward difference; the start's if it hardly moves.
 *
 * @param positions [steps, 2] m
 * @param start m, before the first step
 * @param startYaw rad
 * @param standing m; a path that ends closer to its start keeps `startYaw`
 * @returns [steps] rad, counter-clockwise from +x
 */
export function headings(positions: Float64Array, start: readonly [number, number], startYaw: number, standing: number): Float64Array {
  const steps = positions.length / 2;
  const x = (step: number): number => (step < 0 ? start[0] : (positions[step * 2] ?? 0));
  const y = (step: number): number => (step < 0 ? start[1] : (positions[step * 2 + 1] ?? 0));
  const still = Math.hypot(x(steps - 1) - start[0], y(steps - 1) - start[1]) < standing;
  return Float64Array.from({ length: steps }, (_, step) => {
    if (still) return startYaw;
    const next = Math.min(step + 1, steps - 1);
    return Math.atan2(y(next) - y(step - 1), x(next) - x(step - 1));
  });
}
