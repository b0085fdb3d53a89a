import { Clipper, FillRule, type Path64, type Paths64 } from "clipper2-ts";

/** A closed outline as x, y pairs (m); the first point is not repeated. */
export type Ring = readonly number[];

/** A surface: its outline and its holes, in any orientation. */
export interface Polygon {
  readonly outline: Ring;
  readonly holes: readonly Ring[];
}

/** An axis-aligned rectangle, m. */
export interface Box {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
}

/** Units a metre: Clipper computes with integers, which makes it exact and robust; a tenth of a millimetre loses nothing. */
const UNITS = 1e4;

/**
 * The outlines of the union of surfaces, by Clipper2: outer ones clockwise, holes counter-clockwise, so that the surface
 * lies to the right of every outline. Surfaces that share an edge become one.
 * @param clip cut the union to this rectangle
 */
export function unionOutlines(polygons: readonly Polygon[], clip?: Box): number[][] {
  const first = polygons[0]?.outline;
  if (first === undefined) return [];
  // Numbers stay small, and products exact, relative to a point of the surfaces.
  const origin: readonly [number, number] = [Math.round(first[0] ?? 0), Math.round(first[1] ?? 0)];
  const paths: Paths64 = [];
  for (const { outline, holes } of polygons) {
    paths.push(toPath(outline, origin, 1));
    for (const hole of holes) paths.push(toPath(hole, origin, -1));
  }
  let union = Clipper.union(paths, FillRule.NonZero);
  if (clip !== undefined) {
    const { minX, minY, maxX, maxY } = clip;
    union = Clipper.intersect(union, [toPath([minX, minY, maxX, minY, maxX, maxY, minX, maxY], origin, 1)], FillRule.NonZero);
  }
  return union.map((path) => path.toReversed().flatMap(({ x, y }) => [x / UNITS + origin[0], y / UNITS + origin[1]]));
}

/** @param sign 1 for a counter-clockwise path, -1 for a clockwise one */
function toPath(ring: Ring, origin: readonly [number, number], sign: 1 | -1): Path64 {
  const path: Path64 = [];
  for (let i = 0; i + 1 < ring.length; i += 2) {
    path.push({ x: Math.round(((ring[i] ?? 0) - origin[0]) * UNITS), y: Math.round(((ring[i + 1] ?? 0) - origin[1]) * UNITS) });
  }
  return ringArea(ring) * sign < 0 ? path.reverse() : path;
}

/** Area inside an outline, m^2; negative where it runs clockwise. */
export function ringArea(ring: Ring): number {
  let twice = 0;
  for (let i = 0, j = ring.length - 2; i + 1 < ring.length; j = i, i += 2) {
    twice += (ring[j] ?? 0) * (ring[i + 1] ?? 0) - (ring[i] ?? 0) * (ring[j + 1] ?? 0);
  }
  return twice / 2;
}

/** The smallest axis-aligned rectangle around points. */
export function boxAround(points: ArrayLike<number>): Box {
  let [minX, minY, maxX, maxY] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < points.length; i += 2) {
    const [x, y] = [points[i] ?? 0, points[i + 1] ?? 0];
    minX = Math.min(minX, x);
    maxX = Math.max(maxX, x);
    minY = Math.min(minY, y);
    maxY = Math.max(maxY, y);
  }
  return { minX, minY, maxX, maxY };
}

/** True where two rectangles touch or overlap. */
export function boxesMeet(a: Box, b: Box): boolean {
  return a.minX <= b.maxX && b.minX <= a.maxX && a.minY <= b.maxY && b.minY <= a.maxY;
}

/**
 * Direction of the longer side of the smallest rectangle, turned any way, around an outline.
 * @returns unit vector
 */
export function longDirection(ring: Ring): readonly [number, number] {
  let best: readonly [number, number] = [1, 0];
  let smallest = Infinity;
  const hull = convexHull(ring);
  for (let i = 0, j = hull.length - 2; i + 1 < hull.length; j = i, i += 2) {
    // The smallest rectangle has a side along an edge of the hull.
    const [dx, dy] = [(hull[i] ?? 0) - (hull[j] ?? 0), (hull[i + 1] ?? 0) - (hull[j + 1] ?? 0)];
    const length = Math.hypot(dx, dy);
    if (length === 0) continue;
    const [ux, uy] = [dx / length, dy / length];
    const box = boxAround(hull.map((_, k) => (k % 2 === 0 ? (hull[k] ?? 0) * ux + (hull[k + 1] ?? 0) * uy : (hull[k] ?? 0) * ux - (hull[k - 1] ?? 0) * uy)));
    const [along, across] = [box.maxX - box.minX, box.maxY - box.minY];
    if (along * across >= smallest) continue;
    smallest = along * across;
    best = along >= across ? [ux, uy] : [-uy, ux];
  }
  return best;
}

/** Andrew's monotone chain; counter-clockwise x, y pairs. */
function convexHull(ring: Ring): number[] {
  const points = Array.from({ length: ring.length / 2 }, (_, i) => [ring[2 * i] ?? 0, ring[2 * i + 1] ?? 0] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (list: typeof points): number[] => {
    const out: number[] = [];
    for (const [x, y] of list) {
      for (let n = out.length; n >= 4; n = out.length) {
        const [ax, ay, bx, by] = out.slice(n - 4) as [number, number, number, number];
        if ((bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0) break;
        out.length -= 2;
      }
      out.push(x, y);
    }
    return out.slice(0, -2);
  };
  return [...half(points), ...half(points.toReversed())];
}
