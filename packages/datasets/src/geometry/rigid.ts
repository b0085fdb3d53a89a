/**
 * Heading of a rotation: the direction of its x axis in the plane.
 * @param q w, x, y, z
 * @returns rad in (-pi, pi]
 */
export function quaternionYaw([w = 1, x = 0, y = 0, z = 0]: readonly number[]): number {
  const yaw = Math.atan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z);
  return yaw === -Math.PI ? Math.PI : yaw;
}

/**
 * The rigid motion of a pose: takes points of the posed frame to its parent.
 * @param q w, x, y, z; need not be a unit
 * @param t m
 * @returns [4, 4] row-major
 */
export function rigidMotion(q: readonly number[], t: readonly number[]): Float64Array {
  const norm = Math.hypot(...q);
  const [w = 1, x = 0, y = 0, z = 0] = q.map((v) => v / norm);
  const [tx = 0, ty = 0, tz = 0] = t;
  return Float64Array.of(
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), tx,
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), ty,
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), tz,
    0, 0, 0, 1,
  );
}

/** Product a x b of [4, 4] row-major matrices. */
export function compose(a: Float64Array, b: Float64Array): Float64Array {
  return Float64Array.from({ length: 16 }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += (a[(i & 12) + k] ?? 0) * (b[4 * k + (i & 3)] ?? 0);
    return sum;
  });
}

/** Inverse of a rigid motion, [4, 4] row-major. */
export function invertRigid(m: Float64Array): Float64Array {
  const at = (row: number, column: number): number => m[4 * row + column] ?? 0;
  const out = new Float64Array(16);
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      out[4 * row + column] = at(column, row);
      out[4 * row + 3] = (out[4 * row + 3] ?? 0) - at(column, row) * at(column, 3);
    }
  }
  out[15] = 1;
  return out;
}
