import { wrapAngle } from "../angles.js";
import { crossingLines, edgeLines } from "../geometry/map-lines.js";
import { boxAround, boxesMeet, type Box, type Polygon } from "../geometry/polygon.js";
import type { Lane, MapLine } from "../schema.js";
import type { Divider, LaneArc, LocationMap, MapLane } from "./map-file.js";

/**
 * The planner's map lines inside a region, as the published converter derives them: pedestrian crossings, parallel ones that
 * touch merged; road and lane dividers; the outlines of the union of road segments and lanes, cut to the region.
 */
export function linesWithin(map: LocationMap, region: Box): MapLine[] {
  const near = (polygon: Polygon): boolean => boxesMeet(boxAround(polygon.outline), region);
  const crossings = map.crossings.filter(([, polygon]) => polygon.outline.length >= 6 && near(polygon));
  return [
    ...crossingLines(crossings),
    ...dividerLines(map.roadDividers, region, () => "solid_yellow"),
    ...dividerLines(map.laneDividers, region, ({ kinds }) => (kinds.some((kind) => kind.includes("SOLID")) ? "solid_white" : "broken_white")),
    ...edgeLines(map.roads.filter(near), region),
  ];
}

function dividerLines(dividers: readonly Divider[], region: Box, style: (divider: Divider) => MapLine["style"]): MapLine[] {
  return dividers
    .filter(({ points }) => points.length >= 4 && boxesMeet(boxAround(points), region))
    .map((divider) => ({ id: divider.token, category: "divider", style: style(divider), points: Float64Array.from(divider.points) }));
}

/** Lanes and lane connectors that meet a region; those without a stored path are left out. */
export function lanesWithin(map: LocationMap, region: Box): Lane[] {
  const paths = map.lanes.flatMap((lane): { lane: MapLane; centerline: Float64Array }[] => {
    const centerline = discretise(lane.path);
    return centerline.length >= 6 && boxesMeet(boxAround(centerline.filter((_, i) => i % 3 !== 2)), region) ? [{ lane, centerline }] : [];
  });
  const ids = new Set(paths.map(({ lane }) => lane.token));
  return paths.map(({ lane, centerline }) => ({
    id: lane.token,
    centerline,
    polygon: lane.surface === null || lane.surface.outline.length < 6 ? null : Float64Array.from(lane.surface.outline),
    connector: lane.surface === null,
    successors: [...new Set(lane.outgoing)].filter((id) => ids.has(id)).sort(),
  }));
}

/** m between the points of a centerline. */
const SPACING = 1;
/** m; nearer points are one. */
const SAME = 1e-3;
/** Sense of each letter of a path's shape. */
const TURN: Readonly<Record<string, number>> = { L: 1, S: 0, R: -1 };

/**
 * Points along a lane path: each piece starts at a pose and runs through three stretches of constant curvature.
 * @returns [P, 3] x, y (m), yaw (rad), at most 1 m apart
 */
function discretise(path: readonly LaneArc[]): Float64Array {
  const points: number[] = [];
  const add = (x: number, y: number, yaw: number): void => {
    const n = points.length;
    if (n > 0 && Math.hypot(x - (points[n - 3] ?? 0), y - (points[n - 2] ?? 0)) < SAME) return;
    points.push(x, y, wrapAngle(yaw));
  };
  for (const { start_pose, shape, radius, segment_length } of path) {
    let [x, y, yaw] = start_pose as [number, number, number];
    add(x, y, yaw);
    segment_length.forEach((length, s) => {
      const curvature = (TURN[shape[s] ?? "S"] ?? 0) / radius;
      const steps = Math.ceil(length / SPACING);
      for (let i = 0; i < steps; i++) {
        // A circular step is its chord, along the mean direction.
        const turn = (curvature * length) / steps;
        const chord = turn === 0 ? length / steps : (2 * Math.sin(turn / 2)) / curvature;
        x += chord * Math.cos(yaw + turn / 2);
        y += chord * Math.sin(yaw + turn / 2);
        yaw += turn;
        add(x, y, yaw);
      }
    });
  }
  return Float64Array.from(points);
}
