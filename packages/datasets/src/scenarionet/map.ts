import { wrapAngle } from "../angles.js";
import { DatasetError } from "../errors.js";
import type { Lane, MapClass, MapLine } from "../schema.js";
import { asNumbers, asString, entries, mismatch, optional, required, type Field } from "./fields.js";

/** m; a lane continues in every lane that starts this close to its end. */
const LINK_DISTANCE = 0.1;

/** Map of a scene. */
interface SceneMap {
  readonly lines: MapLine[];
  readonly lanes: Lane[];
}

/**
 * Reads lanes and lines. Feature types that are neither (speed bumps, stop signs, driveways ...) are left out.
 * @throws DatasetError for missing polylines, wrong shapes and points that are not finite
 */
export function readMap(features: Field): SceneMap {
  const lines: MapLine[] = [];
  const lanes: Omit<Lane, "successors">[] = [];
  for (const [id, feature] of entries(features)) {
    const type = asString(required(feature, "type"));
    if (type.startsWith("LANE_")) {
      const lane = readLane(id, feature);
      if (lane !== null) lanes.push(lane);
      continue;
    }
    const paint = lineClass(type, id);
    if (paint === null) continue;
    const crossing = paint.category === "ped_crossing";
    const points = distinct(readPoints(required(feature, crossing ? "polygon" : "polyline"), 2), 2);
    const closed = crossing ? close(points) : points;
    if (closed.length >= 4) lines.push({ id, ...paint, points: closed });
  }
  return { lines, lanes: link(lanes) };
}

/** The planner's class and the paint of a ScenarioNet line type; null for what is no line. */
function lineClass(type: string, id: string): { category: MapClass; style: MapLine["style"] } | null {
  if (type.startsWith("CROSSWALK")) return { category: "ped_crossing", style: "crossing" };
  if (type.startsWith("ROAD_EDGE") || (type.startsWith("ROAD_LINE") && id.startsWith("boundary"))) return { category: "boundary", style: "edge" };
  if (!type.startsWith("ROAD_LINE")) return null;
  if (type.includes("YELLOW")) return { category: "divider", style: "solid_yellow" };
  return { category: "divider", style: type.includes("BROKEN") ? "broken_white" : "solid_white" };
}

function readLane(id: string, feature: Field): Omit<Lane, "successors"> | null {
  const polyline = required(feature, "polyline");
  const { data, shape } = asNumbers(polyline);
  if (data.length === 0) return null;
  const width = shape[1] ?? 0;
  if (shape.length !== 2 || width < 2) throw mismatch(polyline, "points [P, 2] or [P, 3]");
  requireFinite(data, polyline, width);
  // (x, y) with a yaw in nuScenes sets, with a height in others: there, and without a third number, yaw follows the points.
  const listed = Array.isArray(polyline.value) && width === 3;
  const points: number[] = [];
  for (let p = 0; p < data.length; p += width) {
    const [x, y] = [data[p] ?? 0, data[p + 1] ?? 0];
    const n = points.length;
    if (n > 0 && points[n - 3] === x && points[n - 2] === y) continue;
    points.push(x, y, listed ? wrapAngle(data[p + 2] ?? 0) : 0);
  }
  if (points.length < 6) return null;
  if (!listed) yawFromPoints(points);
  const outline = optional(feature, "polygon");
  const polygon = outline.value === undefined || outline.value === null ? null : readPoints(outline, 2);
  return {
    id,
    centerline: Float64Array.from(points),
    polygon: polygon !== null && polygon.length >= 6 ? polygon : null,
    connector: polygon === null,
  };
}

function yawFromPoints(points: number[]): void {
  const count = points.length / 3;
  for (let p = 0; p < count; p++) {
    const a = 3 * Math.min(p, count - 2);
    points[3 * p + 2] = Math.atan2((points[a + 4] ?? 0) - (points[a + 1] ?? 0), (points[a + 3] ?? 0) - (points[a] ?? 0));
  }
}

/** The first `columns` numbers of each point. */
function readPoints(field: Field, columns: number): Float64Array {
  const { data, shape } = asNumbers(field);
  const width = shape[1] ?? 0;
  if (data.length === 0) return data;
  if (shape.length !== 2 || width < columns) throw mismatch(field, `points [P, ${columns}] or wider`);
  requireFinite(data, field, width);
  return width === columns ? data.slice() : data.filter((_, i) => i % width < columns);
}

function requireFinite(data: Float64Array, field: Field, width: number): void {
  const bad = data.findIndex((v) => !Number.isFinite(v));
  if (bad < 0) return;
  throw new DatasetError(
    `${field.where}: point ${Math.floor(bad / width)} is not finite, expected metres, got ${data[bad]}. Convert the scene again, or remove this map feature.`,
  );
}

/** Drops points that repeat their predecessor. */
function distinct(points: Float64Array, width: number): Float64Array {
  return points.filter((_, i) => {
    const start = i - (i % width);
    return start === 0 || points[start] !== points[start - width] || points[start + 1] !== points[start - width + 1];
  });
}

function close(points: Float64Array): Float64Array {
  const n = points.length;
  if (n < 6 || (points[0] === points[n - 2] && points[1] === points[n - 1])) return points;
  return Float64Array.of(...points, points[0] ?? 0, points[1] ?? 0);
}

/** Adds to every lane the lanes that begin within 0.1 m of its end. */
function link(lanes: readonly Omit<Lane, "successors">[]): Lane[] {
  const cell = (x: number, y: number, right = 0, up = 0): string =>
    `${Math.floor(x / LINK_DISTANCE) + right},${Math.floor(y / LINK_DISTANCE) + up}`;
  const starts = new Map<string, Omit<Lane, "successors">[]>();
  for (const lane of lanes) {
    const key = cell(lane.centerline[0] ?? 0, lane.centerline[1] ?? 0);
    starts.set(key, [...(starts.get(key) ?? []), lane]);
  }
  return lanes.map((lane) => {
    const [x, y] = [lane.centerline.at(-3) ?? 0, lane.centerline.at(-2) ?? 0];
    const successors: string[] = [];
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        for (const next of starts.get(cell(x, y, dx, dy)) ?? []) {
          const gap = Math.hypot((next.centerline[0] ?? 0) - x, (next.centerline[1] ?? 0) - y);
          if (next.id !== lane.id && gap <= LINK_DISTANCE) successors.push(next.id);
        }
      }
    }
    return { ...lane, successors: successors.sort() };
  });
}
