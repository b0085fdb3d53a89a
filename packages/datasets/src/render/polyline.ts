/** A rectangle in the plane, m. */
export interface Bounds {
  minX: number;
  minY: number;
  maxX: number;
  maxY: number;
}

/** A part of a polyline and where it begins. */
export interface PolylinePart {
  /** [P, 2] m. */
  readonly points: Float64Array;
  /** m along the original line from its first point to the part's first point. */
  readonly start: number;
}

/** Bounds that nothing has been added to yet. */
export function emptyBounds(): Bounds {
  return { minX: Infinity, minY: Infinity, maxX: -Infinity, maxY: -Infinity };
}

/** Widens bounds, in place, so that they hold a point (m). */
export function includePoint(bounds: Bounds, x: number, y: number): void {
  bounds.minX = Math.min(bounds.minX, x);
  bounds.minY = Math.min(bounds.minY, y);
  bounds.maxX = Math.max(bounds.maxX, x);
  bounds.maxY = Math.max(bounds.maxY, y);
}

/**
 * The parts of a polyline inside a rectangle: each segment is cut at the rectangle, touching pieces are joined.
 *
 * @param points [P, 2] m
 * @param bounds the rectangle
 * @returns parts of at least two points, in order
 */
export function clipPolyline(points: Float64Array, bounds: Bounds): PolylinePart[] {
  const parts: PolylinePart[] = [];
  let current: number[] = [];
  let start = 0;
  let travelled = 0;
  const flush = (): void => {
    if (current.length >= 4) parts.push({ points: Float64Array.from(current), start });
    current = [];
  };
  for (let i = 2; i + 1 < points.length; i += 2) {
    const [ax, ay, bx, by] = [points[i - 2] ?? 0, points[i - 1] ?? 0, points[i] ?? 0, points[i + 1] ?? 0];
    const [dx, dy] = [bx - ax, by - ay];
    const length = Math.hypot(dx, dy);
    if (length > 0) {
      const cut = clipSegment(ax, ay, dx, dy, bounds);
      if (cut === null) {
        flush();
      } else {
        if (cut.from > 0) flush();
        if (current.length === 0) {
          current.push(ax + cut.from * dx, ay + cut.from * dy);
          start = travelled + cut.from * length;
        }
        current.push(ax + cut.to * dx, ay + cut.to * dy);
        if (cut.to < 1) flush();
      }
    }
    travelled += length;
  }
  flush();
  return parts;
}

/** Liang-Barsky: the parameters at which a segment enters and leaves the rectangle, or null when it misses it. */
function clipSegment(x: number, y: number, dx: number, dy: number, b: Bounds): { from: number; to: number } | null {
  let from = 0;
  let to = 1;
  const edges: readonly [number, number][] = [[-dx, x - b.minX], [dx, b.maxX - x], [-dy, y - b.minY], [dy, b.maxY - y]];
  for (const [p, q] of edges) {
    if (p === 0) {
      if (q < 0) return null;
    } else if (p < 0) {
      from = Math.max(from, q / p);
    } else {
      to = Math.min(to, q / p);
    }
  }
  return from < to ? { from, to } : null;
}

/**
 * Drops points that lie within `tolerance` of the line through their neighbours (Douglas-Peucker).
 *
 * @param points [P, 2] m
 * @param tolerance m
 * @returns [Q, 2], Q <= P, first and last point kept
 */
export function simplifyPolyline(points: Float64Array, tolerance: number): Float64Array {
  const count = points.length / 2;
  if (count <= 2) return points;
  const keep = new Uint8Array(count);
  keep[0] = 1;
  keep[count - 1] = 1;
  const stack: [number, number][] = [[0, count - 1]];
  for (let range = stack.pop(); range !== undefined; range = stack.pop()) {
    const [first, last] = range;
    let worst = tolerance;
    let split = -1;
    for (let i = first + 1; i < last; i++) {
      const distance = distanceToSegment(points, i, first, last);
      if (distance > worst) {
        worst = distance;
        split = i;
      }
    }
    if (split >= 0) {
      keep[split] = 1;
      stack.push([first, split], [split, last]);
    }
  }
  const out: number[] = [];
  for (let i = 0; i < count; i++) if (keep[i] === 1) out.push(points[i * 2] ?? 0, points[i * 2 + 1] ?? 0);
  return Float64Array.from(out);
}

function distanceToSegment(points: Float64Array, index: number, first: number, last: number): number {
  const [x, y] = [points[index * 2] ?? 0, points[index * 2 + 1] ?? 0];
  const [ax, ay] = [points[first * 2] ?? 0, points[first * 2 + 1] ?? 0];
  const [dx, dy] = [(points[last * 2] ?? 0) - ax, (points[last * 2 + 1] ?? 0) - ay];
  const squared = dx * dx + dy * dy;
  const along = squared === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / squared));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/**
 * Cuts a polyline into dashes.
 *
 * @param part the line; its `start` sets the phase, so that clipping does not move dashes
 * @param dash m, painted length
 * @param gap m, unpainted length
 * @returns [P, 2] m for each dash
 */
export function dashPolyline(part: PolylinePart, dash: number, gap: number): Float64Array[] {
  const period = dash + gap;
  const dashes: Float64Array[] = [];
  let current: number[] = [];
  let travelled = part.start;
  const flush = (): void => {
    if (current.length >= 4) dashes.push(Float64Array.from(current));
    current = [];
  };
  const { points } = part;
  for (let i = 2; i + 1 < points.length; i += 2) {
    const [ax, ay, bx, by] = [points[i - 2] ?? 0, points[i - 1] ?? 0, points[i] ?? 0, points[i + 1] ?? 0];
    const length = Math.hypot(bx - ax, by - ay);
    if (length === 0) continue;
    const end = travelled + length;
    for (let cycle = Math.floor(travelled / period); cycle * period < end; cycle++) {
      const from = Math.max(travelled, cycle * period);
      const to = Math.min(end, cycle * period + dash);
      if (to <= from) continue;
      const [s, t] = [(from - travelled) / length, (to - travelled) / length];
      if (s > 0 || current.length === 0) {
        flush();
        current.push(ax + s * (bx - ax), ay + s * (by - ay));
      }
      current.push(ax + t * (bx - ax), ay + t * (by - ay));
      if (t < 1) flush();
    }
    travelled = end;
  }
  flush();
  return dashes;
}

/**
 * The part of a polygon between two parallel lines (Sutherland-Hodgman).
 *
 * @param polygon [P, 2] m, not closed
 * @param direction unit normal of the lines
 * @param from m, smallest coordinate along the normal
 * @param to m, largest coordinate along the normal
 * @returns [Q, 2] m, Q = 0 when nothing is left
 */
export function clipToSlab(polygon: Float64Array, direction: readonly [number, number], from: number, to: number): Float64Array {
  const lower = clipHalfPlane(polygon, direction[0], direction[1], from);
  return clipHalfPlane(lower, -direction[0], -direction[1], -to);
}

function clipHalfPlane(polygon: Float64Array, nx: number, ny: number, limit: number): Float64Array {
  const out: number[] = [];
  const count = polygon.length / 2;
  for (let i = 0; i < count; i++) {
    const j = (i + 1) % count;
    const [ax, ay, bx, by] = [polygon[i * 2] ?? 0, polygon[i * 2 + 1] ?? 0, polygon[j * 2] ?? 0, polygon[j * 2 + 1] ?? 0];
    const [a, b] = [ax * nx + ay * ny - limit, bx * nx + by * ny - limit];
    if (a >= 0) out.push(ax, ay);
    if (a >= 0 !== b >= 0) {
      const t = a / (a - b);
      out.push(ax + t * (bx - ax), ay + t * (by - ay));
    }
  }
  return Float64Array.from(out);
}
