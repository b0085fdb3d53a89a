/**
 * Wraps an angle to (-pi, pi]; angles already inside are returned unchanged, bit for bit.
 * @param angle rad
 * @returns rad in (-pi, pi]
 */
export function wrapAngle(angle: number): number {
  if (angle > -Math.PI && angle <= Math.PI) return angle;
  const wrapped = angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
  return wrapped <= -Math.PI ? wrapped + 2 * Math.PI : wrapped;
}
