import type { Lane, MapLine } from "../schema.js";

/** An area with holes, m, world frame; outlines do not repeat their first point. */
export interface Area {
  /** [P, 2]. */
  readonly outline: Float64Array;
  /** [Q, 2] each. */
  readonly holes: readonly Float64Array[];
}

/** Gap at which an outline still counts as closed, m. */
const CLOSED = 0.01;

/**
 * The drivable areas that closed road edges bound: sources cut from area maps (nuScenes) give edges as closed outlines, outer ones
 * and islands, nested. An outline is an area when an even number of others surround it and a lane runs inside (so that a lone traffic
 * island is none); the outlines directly within are its holes. Open edges bound nothing.
 *
 * @param lines map lines; only those of style `edge` count
 * @param lanes lanes of the same map
 */
export function drivableAreas(lines: readonly MapLine[], lanes: readonly Lane[]): Area[] {
  const loops = lines.filter((line) => line.style === "edge" && isClosed(line.points)).map(({ points }) => points.subarray(0, points.length - 2));
  const parents = loops.map((loop) => loops.filter((other) => other !== loop && mostlyInside(loop, other)));
  return loops.flatMap((outline, index) => {
    if ((parents[index]?.length ?? 0) % 2 === 1) return [];
    if (!lanes.some((lane) => containsPoint(outline, lane.centerline[0] ?? 0, lane.centerline[1] ?? 0))) return [];
    const depth = parents[index]?.length ?? 0;
    const holes = loops.filter((_, other) => parents[other]?.length === depth + 1 && parents[other]?.includes(outline));
    return [{ outline, holes }];
  });
}

/**
 * Whether a point lies in one of the areas.
 *
 * @param areas the areas
 * @param x m, world frame
 * @param y m, world frame
 */
export function inAreas(areas: readonly Area[], x: number, y: number): boolean {
  return areas.some(({ outline, holes }) => containsPoint(outline, x, y) && !holes.some((hole) => containsPoint(hole, x, y)));
}

function isClosed(points: Float64Array): boolean {
  const last = points.length - 2;
  return last >= 6 && Math.hypot((points[0] ?? 0) - (points[last] ?? 0), (points[1] ?? 0) - (points[last + 1] ?? 0)) < CLOSED;
}

/** Outlines of one map touch at most: of three points of one, at least two lie clearly inside or outside the other. */
function mostlyInside(loop: Float64Array, other: Float64Array): boolean {
  const count = loop.length / 2;
  const votes = [0, Math.floor(count / 3), Math.floor((2 * count) / 3)].filter((i) => containsPoint(other, loop[i * 2] ?? 0, loop[i * 2 + 1] ?? 0));
  return votes.length >= 2;
}

/** Even-odd rule. */
function containsPoint(outline: Float64Array, x: number, y: number): boolean {
  let inside = false;
  let [px, py] = [outline[outline.length - 2] ?? 0, outline[outline.length - 1] ?? 0];
  for (let i = 0; i + 1 < outline.length; i += 2) {
    const [qx, qy] = [outline[i] ?? 0, outline[i + 1] ?? 0];
    if (qy > y !== py > y && x < qx + ((y - qy) * (px - qx)) / (py - qy)) inside = !inside;
    [px, py] = [qx, qy];
  }
  return inside;
}
