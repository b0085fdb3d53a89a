import { CompressionType, float64, int64, setCompressionCodec, tableFromArrays, tableToIPC, utf8 } from "@uwdata/flechette";
import { compress, decompress } from "lz4js";
import { compose, invertRigid, rigidMotion } from "../geometry/rigid.js";
import type { AgentClass, Scene, Track } from "../schema.js";

/** Columns of a table by name. */
export type FeatherColumns = Record<string, (string | number | bigint)[]>;

/** A log as columns and a map that a test may spoil before it is written. */
export interface Argoverse2Log {
  readonly annotations: FeatherColumns;
  readonly poses: FeatherColumns;
  readonly intrinsics: FeatherColumns;
  readonly mounts: FeatherColumns;
  readonly map: { pedestrian_crossings: Record<string, object>; lane_segments: Record<string, object>; drivable_areas: Record<string, object> };
}

const CATEGORY: Readonly<Partial<Record<AgentClass, string>>> = { car: "REGULAR_VEHICLE", truck: "BOX_TRUCK", bus: "BUS", trailer: "VEHICULAR_TRAILER", motorcycle: "MOTORCYCLE", bicycle: "BICYCLE", pedestrian: "PEDESTRIAN", traffic_cone: "CONSTRUCTION_CONE" };

/** ns of a log's first sweep. */
const START = 315_966_253_660_357_000n;
/** ns from a sweep to the photograph of it. */
export const EXPOSURE = 12_000_000n;
/** m of the ego origin above the ground. */
const AXLE = 0.33;

/** ns of a frame of the town. */
export const sweepTime = (frame: number): bigint => START + 100_000_000n * BigInt(frame);

/** The pose of a track, `up` m above its point. */
export function trackPose(track: Track, frame: number, up = 0): Float64Array {
  const yaw = track.heading[frame] ?? 0;
  const [x = 0, y = 0, z = 0] = track.position.subarray(3 * frame, 3 * frame + 3);
  return rigidMotion([Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)], [x, y, z + up]);
}

/** Where the one camera sits: 1.6 m ahead of and 1.4 m above the origin, looking ahead. */
export const CAMERA_MOUNT = rigidMotion([0.5, -0.5, 0.5, -0.5], [1.6, 0, 1.4]);

/**
 * A log in the Argoverse 2 layout of a 10 Hz scene of the synthetic town, with one camera. Construction vehicles and barriers
 * have no category there and are left out. The map has two lane segments that share a yellow line, a bike lane, a crossing in
 * two halves and two drivable areas that share an edge, all about the ego's first pose.
 */
export function argoverse2Log(scene: Scene): Argoverse2Log {
  const annotations: FeatherColumns = {};
  const poses: FeatherColumns = {};
  const push = (columns: FeatherColumns, row: Record<string, string | number | bigint>): void => {
    for (const [name, value] of Object.entries(row)) (columns[name] ??= []).push(value);
  };
  const pose = (m: Float64Array) => {
    const half = 0.5 * Math.atan2(m[4] ?? 0, m[0] ?? 0);
    return { qw: Math.cos(half), qx: 0, qy: 0, qz: Math.sin(half), tx_m: m[3] ?? 0, ty_m: m[7] ?? 0, tz_m: m[11] ?? 0 };
  };
  for (const frame of scene.timestamps.keys()) {
    const ego = trackPose(scene.ego, frame, AXLE);
    push(poses, { timestamp_ns: sweepTime(frame), ...pose(ego) });
    push(poses, { timestamp_ns: sweepTime(frame) + EXPOSURE, ...pose(ego) });
    for (const agent of scene.agents) {
      const category = CATEGORY[agent.category];
      if (agent.valid[frame] !== 1 || category === undefined) continue;
      const box = compose(invertRigid(ego), trackPose(agent, frame));
      push(annotations, { timestamp_ns: sweepTime(frame), track_uuid: agent.id, category, length_m: agent.length, width_m: agent.width, height_m: agent.height, ...pose(box), num_interior_pts: BigInt(frame % 5) });
    }
  }
  return {
    annotations,
    poses,
    intrinsics: { sensor_name: ["ring_front_center"], fx_px: [1776], fy_px: [1777], cx_px: [778], cy_px: [1013], width_px: [1550], height_px: [2048] },
    mounts: { sensor_name: ["ring_front_center"], qw: [0.5], qx: [-0.5], qy: [0.5], qz: [-0.5], tx_m: [1.6], ty_m: [0], tz_m: [1.4] },
    map: streetMap(scene.ego.position[0] ?? 0, scene.ego.position[1] ?? 0),
  };
}

/** A street to the east with a line at `y`. */
function streetMap(x: number, y: number): Argoverse2Log["map"] {
  const path = (...points: readonly (readonly [number, number])[]) => points.map(([u, v]) => ({ x: x + u, y: y + v, z: 0 }));
  const lane = (id: number, type: string, left: object[], right: object[], marks: readonly [string, string], successors: number[] = []) => ({
    id,
    is_intersection: false,
    lane_type: type,
    left_lane_boundary: left,
    left_lane_mark_type: marks[0],
    right_lane_boundary: right,
    right_lane_mark_type: marks[1],
    successors,
    predecessors: [],
    left_neighbor_id: null,
    right_neighbor_id: null,
  });
  return {
    pedestrian_crossings: {
      7: { id: 7, edge1: path([10, -4], [10, 0]), edge2: path([14, -4], [14, 0]) },
      8: { id: 8, edge1: path([14, 0], [14, 4]), edge2: path([10, 4], [10, 0]) },
    },
    lane_segments: {
      1: lane(1, "VEHICLE", path([-30, 0], [0, 0], [0, 0], [30, 0]), path([-30, -4], [30, -4]), ["DOUBLE_SOLID_YELLOW", "NONE"], [3, 99]),
      2: lane(2, "VEHICLE", path([30, 0], [0, 0], [-30, 0]), path([30, 4], [-30, 4]), ["DOUBLE_SOLID_YELLOW", "DASHED_WHITE"]),
      3: lane(3, "VEHICLE", path([30, 0], [50, 0]), path([30, -4], [50, -4]), ["SOLID_WHITE", "UNKNOWN"]),
      4: lane(4, "BIKE", path([-30, -4], [30, -4]), path([-30, -6], [30, -6]), ["NONE", "NONE"]),
    },
    drivable_areas: {
      5: { id: 5, area_boundary: path([-30, -6], [30, -6], [30, 4], [-30, 4]) },
      6: { id: 6, area_boundary: path([30, 4], [50, 4], [50, -6], [30, -6]) },
    },
  };
}

/** Bytes of a log's files by path; one photograph, empty, at frame 2. */
export function argoverse2Files(log: Argoverse2Log): Map<string, Uint8Array> {
  setCompressionCodec(CompressionType.LZ4_FRAME, { decode: (data) => decompress(data), encode: (data) => compress(data) });
  const feather = (columns: FeatherColumns): Uint8Array => {
    const types = Object.fromEntries(Object.entries(columns).map(([name, [first]]) => [name, typeof first === "bigint" ? int64() : typeof first === "string" ? utf8() : float64()]));
    return tableToIPC(tableFromArrays(columns, { types }), { format: "file", codec: CompressionType.LZ4_FRAME }) ?? new Uint8Array(0);
  };
  return new Map([
    ["annotations.feather", feather(log.annotations)],
    ["city_SE3_egovehicle.feather", feather(log.poses)],
    ["calibration/intrinsics.feather", feather(log.intrinsics)],
    ["calibration/egovehicle_SE3_sensor.feather", feather(log.mounts)],
    ["map/log_map_archive_town____PIT_city_0.json", new TextEncoder().encode(JSON.stringify(log.map))],
    [`sensors/cameras/ring_front_center/${sweepTime(2) + EXPOSURE}.jpg`, new Uint8Array(0)],
  ]);
}
