/** A box on the ground. */
export interface GroundBox {
  /** m */
  readonly x: number;
  /** m */
  readonly y: number;
  /** m, along the heading */
  readonly length: number;
  /** m, across the heading */
  readonly width: number;
  /** rad, counter-clockwise from +x */
  readonly yaw: number;
}

/**
 * The published collision test (fact T19): whether a corner of one box lies in the other, or the other way round. Boxes
 * that cross like a plus sign are not found; cars at plan resolution do not do that.
 */
export function boxesMeet(a: GroundBox, b: GroundBox): boolean {
  const reach = Math.hypot(a.length, a.width) / 2 + Math.hypot(b.length, b.width) / 2;
  if (Math.hypot(a.x - b.x, a.y - b.y) > reach) return false;
  return hasCornerIn(a, b) || hasCornerIn(b, a);
}

function hasCornerIn(of: GroundBox, box: GroundBox): boolean {
  const [c, s] = [Math.cos(of.yaw), Math.sin(of.yaw)];
  const [cos, sin] = [Math.cos(box.yaw), Math.sin(box.yaw)];
  for (const along of [-0.5, 0.5]) {
    for (const across of [-0.5, 0.5]) {
      const dx = of.x + along * of.length * c - across * of.width * s - box.x;
      const dy = of.y + along * of.length * s + across * of.width * c - box.y;
      if (Math.abs(dx * cos + dy * sin) <= box.length / 2 && Math.abs(dy * cos - dx * sin) <= box.width / 2) return true;
    }
  }
  return false;
}
