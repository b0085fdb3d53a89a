import { z } from "zod";
import { wrapAngle } from "../angles.js";
import { DatasetError } from "../errors.js";
import { resamplePath } from "../features/line-index.js";
import { readJson, type DatasetFiles } from "../files.js";
import { crossingLines, edgeLines } from "../geometry/map-lines.js";
import { boxAround, boxesMeet, type Box, type Polygon } from "../geometry/polygon.js";
import type { Lane, MapLine } from "../schema.js";

const path = z.array(z.object({ x: z.number(), y: z.number() }));
const line = path.min(2);
const id = z.union([z.number(), z.string()]).transform(String);
const MapArchive = z.object({
  pedestrian_crossings: z.record(z.string(), z.object({ id, edge1: line, edge2: line })),
  lane_segments: z.record(
    z.string(),
    z.object({
      id,
      is_intersection: z.boolean(),
      lane_type: z.string(),
      left_lane_boundary: line,
      left_lane_mark_type: z.string(),
      right_lane_boundary: line,
      right_lane_mark_type: z.string(),
      successors: z.array(id),
    }),
  ),
  drivable_areas: z.record(z.string(), z.object({ id, area_boundary: path.min(3) })),
});
/** The vector map of a log. */
export type MapArchive = z.infer<typeof MapArchive>;
type Point = z.infer<typeof path>[number];

/**
 * Reads the vector map `map/log_map_archive_*.json` of a log.
 * @throws DatasetError for a missing or damaged file and a wrong field, naming layer, id and field
 */
export async function readMapArchive(files: DatasetFiles): Promise<MapArchive> {
  const names = await files.list("map");
  const name = names.find((file) => /^log_map_archive_.*\.json$/.test(file));
  if (name === undefined) {
    throw new DatasetError(`argoverse2: ${files.name}map/: the map is missing, expected log_map_archive_*.json, got ${names.join(", ") || "nothing"}. Get the log again, with its map folder.`);
  }
  const where = `argoverse2: ${files.name}map/${name}`;
  const parsed = MapArchive.safeParse(await readJson(files, `map/${name}`, where));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const [layer = "file", record = "(all)", ...field] = issue?.path ?? [];
  throw new DatasetError(`${where}: layer "${String(layer)}": id ${String(record)}: field "${field.join(".")}": ${issue?.message ?? "wrong"}. Get the log again.`);
}

/** Map lines that meet a region: crossings, painted lane boundaries (each once), outlines of the drivable areas cut to it. */
export function linesOf(map: MapArchive, region: Box): MapLine[] {
  const near = (points: readonly number[]): boolean => boxesMeet(boxAround(points), region);
  const crossings = Object.values(map.pedestrian_crossings).map((crossing): readonly [string, Polygon] => [crossing.id, { outline: crossingOutline(crossing.edge1, crossing.edge2), holes: [] }]);
  const areas = Object.values(map.drivable_areas).map(({ area_boundary }): Polygon => ({ outline: flat(area_boundary), holes: [] }));
  const dividers = new Map<string, MapLine>();
  for (const lane of Object.values(map.lane_segments)) {
    for (const [side, boundary, mark] of [["left", lane.left_lane_boundary, lane.left_lane_mark_type], ["right", lane.right_lane_boundary, lane.right_lane_mark_type]] as const) {
      const style = paintOf(mark);
      const points = distinct(flat(boundary));
      if (style === null || points.length < 4 || !near(points)) continue;
      // Neighbours share a boundary, in opposite order where they drive in opposite directions.
      const key = [points.join(), reversed(points).join()].sort()[0] ?? "";
      if (!dividers.has(key)) dividers.set(key, { id: `${lane.id}_${side}`, category: "divider", style, points: Float64Array.from(points) });
    }
  }
  return [...crossingLines(crossings.filter(([, { outline }]) => near(outline))), ...dividers.values(), ...edgeLines(areas.filter(({ outline }) => near(outline)), region)];
}

function paintOf(mark: string): MapLine["style"] | null {
  if (mark === "NONE" || mark === "UNKNOWN") return null;
  if (mark.includes("YELLOW")) return "solid_yellow";
  return mark.includes("SOLID") ? "solid_white" : "broken_white";
}

/** The two long edges as one outline, joined at their nearer ends. */
function crossingOutline(edge1: readonly Point[], edge2: readonly Point[]): number[] {
  const [first, second] = [flat(edge1), flat(edge2)];
  const gap = (i: number, j: number): number => Math.hypot((first.at(i) ?? 0) - (second.at(j) ?? 0), (first.at(i + 1) ?? 0) - (second.at(j + 1) ?? 0));
  const sameWay = gap(0, 0) + gap(-2, -2) <= gap(0, -2) + gap(-2, 0);
  return distinct([...first, ...(sameWay ? reversed(second) : second)]);
}

/** m between the points of a centerline. */
const SPACING = 1;

/** Lanes for cars that meet a region; the centerline runs in the middle of the boundaries. */
export function lanesOf(map: MapArchive, region: Box): Lane[] {
  const lanes = Object.values(map.lane_segments).flatMap((lane): (Omit<Lane, "successors"> & { next: readonly string[] })[] => {
    if (lane.lane_type === "BIKE") return [];
    const [left, right] = [flat(lane.left_lane_boundary), flat(lane.right_lane_boundary)];
    const outline = distinct([...right, ...reversed(left)]);
    const centerline = middle(left, right);
    if (!boxesMeet(boxAround(outline), region) || outline.length < 6 || centerline.length < 6) return [];
    return [{ id: lane.id, centerline, polygon: Float64Array.from(outline), connector: lane.is_intersection, next: lane.successors }];
  });
  const ids = new Set(lanes.map((lane) => lane.id));
  return lanes.map(({ next, ...lane }) => ({ ...lane, successors: [...new Set(next)].filter((other) => ids.has(other)).sort() }));
}

/** Points halfway between two boundaries at equal shares of their lengths, [P, 3] x, y, yaw. */
function middle(left: readonly number[], right: readonly number[]): Float64Array {
  const length = (points: readonly number[]): number => {
    let sum = 0;
    for (let i = 2; i < points.length; i += 2) sum += Math.hypot((points[i] ?? 0) - (points[i - 2] ?? 0), (points[i + 1] ?? 0) - (points[i - 1] ?? 0));
    return sum;
  };
  const [x = 0, y = 0] = left;
  const count = Math.max(2, Math.ceil((0.5 * (length(left) + length(right))) / SPACING) + 1);
  // Near the origin, where 32 bits are a thousandth of a millimetre.
  const sides = [left, right].map((points) => {
    const out = new Float32Array(2 * count);
    resamplePath(points.map((v, i) => v - (i % 2 === 0 ? x : y)), count, out, 0);
    return out;
  });
  const points = distinct(Array.from({ length: 2 * count }, (_, i) => 0.5 * ((sides[0]?.[i] ?? 0) + (sides[1]?.[i] ?? 0)) + (i % 2 === 0 ? x : y)));
  const centerline: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const from = Math.max(0, Math.min(i, points.length - 4));
    const yaw = Math.atan2((points[from + 3] ?? 0) - (points[from + 1] ?? 0), (points[from + 2] ?? 0) - (points[from] ?? 0));
    centerline.push(points[i] ?? 0, points[i + 1] ?? 0, wrapAngle(yaw));
  }
  return Float64Array.from(centerline);
}

const flat = (points: readonly Point[]): number[] => points.flatMap(({ x, y }) => [x, y]);

/** x, y pairs in opposite order. */
const reversed = (points: readonly number[]): number[] => points.flatMap((_, i) => (i % 2 === 0 ? [points[points.length - 2 - i] ?? 0, points[points.length - 1 - i] ?? 0] : []));

/** Without points that repeat their predecessor. */
const distinct = (points: readonly number[]): number[] =>
  points.filter((_, i) => {
    const at = i - (i % 2);
    return at === 0 || points[at] !== points[at - 2] || points[at + 1] !== points[at - 1];
  });
