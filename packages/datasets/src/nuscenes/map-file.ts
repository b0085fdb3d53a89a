import { z } from "zod";
import { DatasetError } from "../errors.js";
import { readJson, type DatasetFiles } from "../files.js";
import type { Polygon } from "../geometry/polygon.js";

const token = z.string();
const surface = z.object({ token, polygon_token: token });
const segments = z.array(z.object({ segment_type: z.string() })).optional();
const divider = z.object({ token, line_token: token, lane_divider_segments: segments, road_divider_segments: segments });
const arc = z.object({
  start_pose: z.array(z.number()).length(3),
  shape: z.string().regex(/^[LSR]{3}$/, "expected three of L, S and R"),
  radius: z.number().positive(),
  segment_length: z.array(z.number()).length(3),
});

/** Version of the oldest map files the devkit, too, reads. */
const OLDEST = 1.3;

/** Layers that are read of a map file; others are ignored. */
const MapFile = z.object({
  version: z.string().optional(),
  node: z.array(z.object({ token, x: z.number(), y: z.number() })),
  line: z.array(z.object({ token, node_tokens: z.array(token) })),
  polygon: z.array(z.object({ token, exterior_node_tokens: z.array(token), holes: z.array(z.object({ node_tokens: z.array(token) })) })),
  ped_crossing: z.array(surface),
  road_divider: z.array(divider),
  lane_divider: z.array(divider),
  road_segment: z.array(surface),
  lane: z.array(surface),
  lane_connector: z.array(z.object({ token })).default([]),
  arcline_path_3: z.record(token, z.array(arc)).default({}),
  connectivity: z.record(token, z.object({ outgoing: z.array(token) })).default({}),
});
type MapFile = z.infer<typeof MapFile>;

/** One circular or straight stretch after the other, as nuScenes stores lane paths. */
export type LaneArc = z.infer<typeof arc>;

/** A painted line. */
export interface Divider {
  readonly token: string;
  /** x, y pairs, m. */
  readonly points: readonly number[];
  readonly kinds: readonly string[];
}

/** A lane or, without a surface, a lane connector. */
export interface MapLane {
  readonly token: string;
  readonly surface: Polygon | null;
  readonly path: readonly LaneArc[];
  readonly outgoing: readonly string[];
}

/** The map of one location, its geometry resolved. */
export interface LocationMap {
  readonly crossings: readonly (readonly [string, Polygon])[];
  readonly roadDividers: readonly Divider[];
  readonly laneDividers: readonly Divider[];
  /** Road segments and lanes: their union is the drivable surface, as published. */
  readonly roads: readonly Polygon[];
  readonly lanes: readonly MapLane[];
}

/**
 * Reads `maps/expansion/<location>.json` of nuScenes' map expansion 1.3.
 * @throws DatasetError for a missing or damaged file, and for a record whose field is missing or names no record, naming
 *   layer, token and field
 */
export async function readLocationMap(files: DatasetFiles, location: string): Promise<LocationMap> {
  const path = `maps/expansion/${location}.json`;
  const where = `nuScenes: ${files.name}${path}`;
  const json = await readJson(files, path, where);
  if (json === null) {
    throw new DatasetError(`${where}: the map is missing, expected the file of nuScenes' map expansion, got nothing. Unpack the map expansion (1.3) under maps/.`);
  }
  const parsed = MapFile.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const [layer = "file", index, ...field] = issue?.path ?? [];
    const record = (json as Record<PropertyKey, Record<PropertyKey, { token?: unknown }> | undefined>)[layer]?.[index ?? ""];
    const id = typeof record?.token === "string" ? record.token : String(index ?? "(all)");
    throw new DatasetError(`${where}: layer "${String(layer)}": token ${id}: field "${field.join(".")}": ${issue?.message ?? "wrong"}. Get the map expansion (1.3) again.`);
  }
  const { version } = parsed.data;
  if (version !== undefined && Number(version) < OLDEST) {
    throw new DatasetError(`${where}: field "version": outdated, expected ${OLDEST} or newer, got "${version}". Get the map expansion (1.3): lanes and lines changed since.`);
  }
  return resolve(parsed.data, where);
}

function resolve(file: MapFile, where: string): LocationMap {
  const index = <R extends { token: string }>(records: readonly R[]): Map<string, R> => new Map(records.map((record) => [record.token, record]));
  const [nodes, lines, polygons] = [index(file.node), index(file.line), index(file.polygon)];
  const find = <R>(records: ReadonlyMap<string, R>, wanted: string, target: string, from: readonly [layer: string, token: string, field: string]): R => {
    const record = records.get(wanted);
    if (record !== undefined) return record;
    throw new DatasetError(`${where}: layer "${from[0]}": token ${from[1]}: field "${from[2]}": dangling, expected a token of layer "${target}", got "${wanted}". Get the map expansion (1.3) again.`);
  };
  const points = (tokens: readonly string[], from: readonly [string, string, string]): number[] =>
    tokens.flatMap((wanted) => {
      const { x, y } = find(nodes, wanted, "node", from);
      return [x, y];
    });
  const surfaceOf = (layer: string, record: { token: string; polygon_token: string }): Polygon => {
    const polygon = find(polygons, record.polygon_token, "polygon", [layer, record.token, "polygon_token"]);
    return {
      outline: points(polygon.exterior_node_tokens, ["polygon", polygon.token, "exterior_node_tokens"]),
      holes: polygon.holes.map((hole) => points(hole.node_tokens, ["polygon", polygon.token, "holes"])),
    };
  };
  const dividers = (layer: "road_divider" | "lane_divider"): Divider[] =>
    file[layer].map((record) => {
      const line = find(lines, record.line_token, "line", [layer, record.token, "line_token"]);
      const kinds = (record.lane_divider_segments ?? record.road_divider_segments ?? []).map(({ segment_type }) => segment_type);
      return { token: record.token, points: points(line.node_tokens, ["line", line.token, "node_tokens"]), kinds };
    });
  const lane = (id: string, surface: Polygon | null): MapLane => ({ token: id, surface, path: file.arcline_path_3[id] ?? [], outgoing: file.connectivity[id]?.outgoing ?? [] });
  const lanes = file.lane.map((record) => lane(record.token, surfaceOf("lane", record)));
  const segmentSurfaces = file.road_segment.map((record) => surfaceOf("road_segment", record));
  return {
    crossings: file.ped_crossing.map((record) => [record.token, surfaceOf("ped_crossing", record)] as const),
    roadDividers: dividers("road_divider"),
    laneDividers: dividers("lane_divider"),
    roads: [...segmentSurfaces, ...lanes.flatMap(({ surface }) => (surface === null ? [] : [surface]))].filter(({ outline }) => outline.length >= 6),
    lanes: [...lanes, ...file.lane_connector.map((record) => lane(record.token, null))],
  };
}
