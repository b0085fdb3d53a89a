/** An oriented box in the plane. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly yaw: number;
  readonly length: number;
  readonly width: number;
}

/** Whether two boxes share any area (separating axis test on the four edge directions). */
export function boxesOverlap(a: Box, b: Box): boolean {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const reach = (Math.hypot(a.length, a.width) + Math.hypot(b.length, b.width)) / 2;
  if (dx * dx + dy * dy >= reach * reach) return false;
  for (const axis of [a.yaw, a.yaw + Math.PI / 2, b.yaw, b.yaw + Math.PI / 2]) {
    const distance = Math.abs(dx * Math.cos(axis) + dy * Math.sin(axis));
    if (distance >= halfExtent(a, axis) + halfExtent(b, axis)) return false;
  }
  return true;
}

function halfExtent(box: Box, axis: number): number {
  const angle = axis - box.yaw;
  return (Math.abs(Math.cos(angle)) * box.length + Math.abs(Math.sin(angle)) * box.width) / 2;
}
