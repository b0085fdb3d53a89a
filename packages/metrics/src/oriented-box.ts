import { finiteAt } from "./errors.js";

/** A rectangle on the ground. */
export interface OrientedBox {
  /** m, centre. */
  readonly x: number;
  /** m, centre. */
  readonly y: number;
  /** m, along the heading. */
  readonly length: number;
  /** m, across the heading. */
  readonly width: number;
  /** rad, counter-clockwise from +x. */
  readonly yaw: number;
}

/** m. Boxes closer than this touch, and touching counts; it only absorbs the rounding of sines and cosines. */
const CONTACT_TOLERANCE = 1e-9;

/**
 * Corners of a box: front left, front right, rear right, rear left.
 *
 * @returns [4, 2] m, in the frame of the box, flat
 */
export function boxCorners(box: OrientedBox): Float64Array {
  const cos = Math.cos(box.yaw);
  const sin = Math.sin(box.yaw);
  const corners = new Float64Array(8);
  const signs = [1, 1, 1, -1, -1, -1, -1, 1];
  for (let i = 0; i < 4; i += 1) {
    const along = (signs[2 * i] ?? 0) * 0.5 * box.length;
    const across = (signs[2 * i + 1] ?? 0) * 0.5 * box.width;
    corners[2 * i] = box.x + along * cos - across * sin;
    corners[2 * i + 1] = box.y + along * sin + across * cos;
  }
  return corners;
}

/**
 * Whether two oriented boxes share a point; touching counts, as in shapely's `intersects`.
 *
 * Separating axes: two rectangles are disjoint iff their projections onto one of the four edge directions are.
 */
export function boxesIntersect(a: OrientedBox, b: OrientedBox): boolean {
  const distance = Math.hypot(a.x - b.x, a.y - b.y);
  const reach = 0.5 * (Math.hypot(a.length, a.width) + Math.hypot(b.length, b.width));
  if (distance > reach + CONTACT_TOLERANCE) return false;
  return !separatedAlongAxesOf(a, a, b) && !separatedAlongAxesOf(b, a, b);
}

/** Whether the heading or the cross direction of `axes` separates a from b. */
function separatedAlongAxesOf(axes: OrientedBox, a: OrientedBox, b: OrientedBox): boolean {
  for (const direction of [axes.yaw, axes.yaw + Math.PI / 2]) {
    const ux = Math.cos(direction);
    const uy = Math.sin(direction);
    const gap = Math.abs((b.x - a.x) * ux + (b.y - a.y) * uy) - halfExtent(a, ux, uy) - halfExtent(b, ux, uy);
    if (gap > CONTACT_TOLERANCE) return true;
  }
  return false;
}

/** m, half the length of a box's projection onto the unit vector (ux, uy). */
function halfExtent(box: OrientedBox, ux: number, uy: number): number {
  const cos = Math.cos(box.yaw);
  const sin = Math.sin(box.yaw);
  return 0.5 * (box.length * Math.abs(cos * ux + sin * uy) + box.width * Math.abs(-sin * ux + cos * uy));
}

/**
 * The obstacle in one row of a [K, 5] table.
 *
 * @param obstacles [K, 5] x, y, length, width (m), yaw (rad), flat
 * @param row 0 .. K - 1
 * @throws MetricError when a value is missing or not finite
 */
export function obstacleAt(obstacles: ArrayLike<number>, row: number): OrientedBox {
  const read = (column: number): number => finiteAt(obstacles, 5 * row + column, "metrics.obstacles");
  return { x: read(0), y: read(1), length: read(2), width: read(3), yaw: read(4) };
}
