import { nuscenesRig } from "../render/camera.js";
import { compose, invertRigid, rigidMotion } from "../geometry/rigid.js";
import type { AgentClass, MapLine, Scene, Track } from "../schema.js";

type Json = Record<string, unknown>;

/** Category written for a class; the first of those that read back as it. */
const CATEGORY: Readonly<Record<AgentClass, string>> = {
  car: "vehicle.car",
  truck: "vehicle.truck",
  construction_vehicle: "vehicle.construction",
  bus: "vehicle.bus.rigid",
  trailer: "vehicle.trailer",
  barrier: "movable_object.barrier",
  motorcycle: "vehicle.motorcycle",
  bicycle: "vehicle.bicycle",
  pedestrian: "human.pedestrian.adult",
  traffic_cone: "movable_object.trafficcone",
};

/** Microseconds of a set's first keyframe. */
const START = 1_532_402_927_000_000;

/** 32 hexadecimal digits that depend on the name only (FNV-1a, four times over). */
export function tokenOf(name: string): string {
  return [1, 2, 3, 4]
    .map((salt) => {
      let hash = 0x811c9dc5 ^ salt;
      for (const character of `${salt}${name}`) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
      return hash.toString(16).padStart(8, "0");
    })
    .join("");
}

const quaternion = (yaw: number): number[] => [Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)];

/** Rotation matrix of a [4, 4] as w, x, y, z; the rig's rotations are none of the singular ones. */
function quaternionOf(m: Float64Array): number[] {
  const at = (row: number, column: number): number => m[4 * row + column] ?? 0;
  const candidates = [1 + at(0, 0) + at(1, 1) + at(2, 2), 1 + at(0, 0) - at(1, 1) - at(2, 2), 1 - at(0, 0) + at(1, 1) - at(2, 2), 1 - at(0, 0) - at(1, 1) + at(2, 2)];
  const largest = candidates.indexOf(Math.max(...candidates));
  const rows: readonly (readonly number[])[] = [
    [candidates[0] ?? 0, at(2, 1) - at(1, 2), at(0, 2) - at(2, 0), at(1, 0) - at(0, 1)],
    [at(2, 1) - at(1, 2), candidates[1] ?? 0, at(1, 0) + at(0, 1), at(0, 2) + at(2, 0)],
    [at(0, 2) - at(2, 0), at(1, 0) + at(0, 1), candidates[2] ?? 0, at(2, 1) + at(1, 2)],
    [at(1, 0) - at(0, 1), at(0, 2) + at(2, 0), at(2, 1) + at(1, 2), candidates[3] ?? 0],
  ];
  const row = rows[largest] ?? [1, 0, 0, 0];
  const norm = Math.hypot(...row);
  return row.map((v) => v / norm);
}

/** A set as tables and files that a test may spoil before it is written. */
export interface NuScenesSet {
  readonly tables: Record<string, Json[]>;
  /** Map files and CAN bus messages by path. */
  readonly documents: Record<string, unknown>;
}

/**
 * A set in nuScenes' official layout (tables, map expansion, CAN bus) of 10 Hz scenes of the synthetic town, one location a
 * scene. Every fifth frame is a keyframe; photographs are named, not made. An agent's boxes hold no points in every eighth
 * keyframe.
 */
export function nuScenesSet(scenes: readonly Scene[]): NuScenesSet {
  const tables: Record<string, Json[]> = {};
  for (const name of ["scene", "log", "map", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor", "sample_annotation", "instance", "category", "attribute", "visibility"]) tables[name] = [];
  const add = (table: string, record: Json): void => void tables[table]?.push(record);
  const documents: Record<string, unknown> = {};
  for (const [index, name] of Object.values(CATEGORY).concat("animal").entries()) add("category", { token: tokenOf(name), name, description: "", index });
  const sensors = [{ channel: "LIDAR_TOP", modality: "lidar" }, ...nuscenesRig().map(({ name }) => ({ channel: name, modality: "camera" }))];
  for (const sensor of sensors) add("sensor", { token: tokenOf(sensor.channel), ...sensor });
  for (const scene of scenes) {
    writeScene(scene, add);
    documents[`maps/expansion/${locationOf(scene)}.json`] = mapFile(scene);
    Object.assign(documents, canBus(scene));
  }
  return { tables, documents };
}

/** Location of a scene's map. */
export const locationOf = (scene: Scene): string => `${scene.drivingSide === "left" ? "singapore" : "boston"}-${scene.id}`;

/** Bytes of a set's files by path, the tables in `v1.0-mini`. */
export function nuScenesFiles(set: NuScenesSet): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const encode = (value: unknown, indent?: number): Uint8Array => new TextEncoder().encode(JSON.stringify(value, null, indent));
  for (const [name, records] of Object.entries(set.tables)) files.set(`v1.0-mini/${name}.json`, encode(records, 0));
  for (const [path, document] of Object.entries(set.documents)) files.set(path, encode(document));
  return files;
}

/** Frames of the town that are keyframes. */
export const keyframesOf = (scene: Scene): number[] => Array.from(scene.timestamps.keys()).filter((frame) => frame % 5 === 0);

function writeScene(scene: Scene, add: (table: string, record: Json) => void): void {
  const frames = keyframesOf(scene);
  const sampleToken = (frame: number | undefined): string => (frame === undefined ? "" : tokenOf(`${scene.id} sample ${frame}`));
  const log = tokenOf(`${scene.id} log`);
  add("log", { token: log, logfile: scene.id, vehicle: "n015", date_captured: "2018-07-24", location: locationOf(scene) });
  add("scene", { token: tokenOf(scene.id), log_token: log, nbr_samples: frames.length, first_sample_token: sampleToken(frames[0]), last_sample_token: sampleToken(frames.at(-1)), name: scene.id, description: "" });
  const mounts = [
    { channel: "LIDAR_TOP", matrix: rigidMotion(quaternion(-Math.PI / 2), [0.94, 0, 1.84]), intrinsic: [] as number[][], size: [0, 0] as const },
    ...nuscenesRig().map((camera) => ({
      channel: camera.name,
      matrix: invertRigid(camera.cameraFromEgo),
      intrinsic: [0, 3, 6].map((row) => Array.from(camera.intrinsics.subarray(row, row + 3))),
      size: [camera.nativeWidth, camera.nativeHeight] as const,
    })),
  ];
  for (const { channel, matrix, intrinsic } of mounts) {
    const translation = [3, 7, 11].map((i) => matrix[i] ?? 0);
    add("calibrated_sensor", { token: tokenOf(`${scene.id} ${channel}`), sensor_token: tokenOf(channel), translation, rotation: quaternionOf(matrix), camera_intrinsic: intrinsic });
  }
  frames.forEach((frame, k) => {
    const timestamp = START + Math.round(1e6 * (scene.timestamps[frame] ?? 0));
    add("sample", { token: sampleToken(frame), timestamp, prev: sampleToken(frames[k - 1]), next: sampleToken(frames[k + 1]), scene_token: tokenOf(scene.id) });
    for (const { channel, size } of mounts) {
      // Cameras expose a frame of the town earlier than the lidar sweep ends; so do the sweeps between keyframes.
      const at = channel === "LIDAR_TOP" ? frame : Math.max(0, frame - 1);
      for (const [key, of] of channel === "LIDAR_TOP" ? ([[true, at], [false, Math.max(0, at - 2)]] as const) : ([[true, at]] as const)) {
        const token = tokenOf(`${scene.id} ${channel} ${frame} ${key}`);
        const extension = channel === "LIDAR_TOP" ? "pcd.bin" : "jpg";
        add("sample_data", {
          token,
          sample_token: sampleToken(frame),
          ego_pose_token: token,
          calibrated_sensor_token: tokenOf(`${scene.id} ${channel}`),
          timestamp: START + Math.round(1e6 * (scene.timestamps[of] ?? 0)),
          fileformat: extension.slice(0, 3),
          is_key_frame: key,
          height: size[1],
          width: size[0],
          filename: `${key ? "samples" : "sweeps"}/${channel}/${scene.id}__${channel}__${timestamp}.${extension}`,
          prev: "",
          next: "",
        });
        add("ego_pose", { token, timestamp, rotation: quaternion(scene.ego.heading[of] ?? 0), translation: pointAt(scene.ego, of) });
      }
    }
  });
  for (const agent of scene.agents) writeAgent(scene, agent, frames, sampleToken, add);
}

function writeAgent(scene: Scene, agent: Track, frames: readonly number[], sampleToken: (frame: number) => string, add: (table: string, record: Json) => void): void {
  const seen = frames.filter((frame) => agent.valid[frame] === 1);
  if (seen.length === 0) return;
  const instance = tokenOf(`${scene.id} ${agent.id}`);
  const token = (frame: number | undefined): string => (frame === undefined ? "" : tokenOf(`${scene.id} ${agent.id} ${frame}`));
  add("instance", { token: instance, category_token: tokenOf(CATEGORY[agent.category]), nbr_annotations: seen.length, first_annotation_token: token(seen[0]), last_annotation_token: token(seen.at(-1)) });
  seen.forEach((frame, i) => {
    add("sample_annotation", {
      token: token(frame),
      sample_token: sampleToken(frame),
      instance_token: instance,
      visibility_token: "4",
      attribute_tokens: [],
      translation: pointAt(agent, frame),
      size: [agent.width, agent.length, agent.height],
      rotation: quaternion(agent.heading[frame] ?? 0),
      prev: token(seen[i - 1]),
      next: token(seen[i + 1]),
      num_lidar_pts: i % 8 === 7 ? 0 : 12,
      num_radar_pts: 0,
    });
  });
}

const pointAt = (track: Track, frame: number): number[] => Array.from(track.position.subarray(3 * frame, 3 * frame + 3));

/** Messages at 50 and 100 Hz, a little off the keyframes' times. */
function canBus(scene: Scene): Record<string, unknown> {
  const messages = (perFrame: number, offset: number, make: (frame: number, share: number) => Json): Json[] =>
    Array.from({ length: (scene.timestamps.length - 1) * perFrame }, (_, i) => {
      const share = (i % perFrame) / perFrame;
      const frame = Math.floor(i / perFrame);
      return { utime: START + Math.round(1e6 * ((scene.timestamps[frame] ?? 0) + share * scene.interval)) + offset, ...make(frame, share) };
    });
  return {
    [`can_bus/${scene.id}_pose.json`]: messages(5, 700, (frame, share) => ({ accel: [0.1 * frame, share, 9.8], orientation: [1, 0, 0, 0], pos: pointAt(scene.ego, frame), rotation_rate: [0, share, 0.01 * frame], vel: [0.2 * frame, 0, share] })),
    [`can_bus/${scene.id}_steeranglefeedback.json`]: messages(10, -400, (frame, share) => ({ value: 0.05 * frame + share })),
  };
}

/** The town's map in the layers of the map expansion: lanes and connectors as surfaces and as straight pieces. */
function mapFile(scene: Scene): Json {
  const node: Json[] = [];
  const line: Json[] = [];
  const polygon: Json[] = [];
  const nodes = (name: string, points: Float64Array, count = points.length / 2): string[] =>
    Array.from({ length: count }, (_, p) => {
      const token = tokenOf(`${scene.id} ${name} ${p}`);
      node.push({ token, x: points[2 * p], y: points[2 * p + 1] });
      return token;
    });
  const surface = (name: string, points: Float64Array, count?: number): Json => {
    const token = tokenOf(`${scene.id} ${name} polygon`);
    polygon.push({ token, exterior_node_tokens: nodes(name, points, count), holes: [] });
    return { token: name, polygon_token: token };
  };
  const divider = (source: MapLine, segments: string): Json => {
    const token = tokenOf(`${scene.id} ${source.id} line`);
    line.push({ token, node_tokens: nodes(source.id, source.points) });
    const kind = source.style === "solid_white" ? "SINGLE_SOLID_WHITE" : "DOUBLE_DASHED_WHITE";
    return { token: source.id, line_token: token, [segments]: [{ node_token: "", segment_type: kind }] };
  };
  const of = (category: MapLine["category"]): MapLine[] => scene.lines.filter((item) => item.category === category);
  const [yellow, white] = [true, false].map((solid) => of("divider").filter(({ style }) => (style === "solid_yellow") === solid));
  const roads = scene.lanes.flatMap(({ id, polygon: outline, connector }) => (outline === null ? [] : [{ connector, record: surface(id, outline) }]));
  return {
    version: "1.3",
    ped_crossing: of("ped_crossing").map(({ id, points }) => surface(id, points, points.length / 2 - 1)),
    road_divider: (yellow ?? []).map((source) => divider(source, "road_divider_segments")),
    lane_divider: (white ?? []).map((source) => divider(source, "lane_divider_segments")),
    lane: roads.filter(({ connector }) => !connector).map(({ record }) => record),
    road_segment: roads.filter(({ connector }) => connector).map(({ record }) => ({ ...record, is_intersection: true })),
    lane_connector: scene.lanes.filter(({ connector }) => connector).map(({ id }) => ({ token: id })),
    arcline_path_3: Object.fromEntries(scene.lanes.map((lane) => [lane.id, arcs(lane.centerline)])),
    connectivity: Object.fromEntries(scene.lanes.map(({ id, successors }) => [id, { incoming: [], outgoing: successors }])),
    node,
    line,
    polygon,
  };
}

function arcs(centerline: Float64Array): Json[] {
  return Array.from({ length: centerline.length / 3 - 1 }, (_, p) => {
    const [x = 0, y = 0, , nextX = 0, nextY = 0] = centerline.subarray(3 * p);
    return { start_pose: [x, y, Math.atan2(nextY - y, nextX - x)], end_pose: [nextX, nextY, 0], shape: "LSL", radius: 5, segment_length: [0, Math.hypot(nextX - x, nextY - y), 0] };
  });
}

/** What a camera of the rig sees: camera points of world points, when the ego is at a frame of the town. */
export function cameraAt(scene: Scene, camera: string, frame: number): Float64Array {
  const mount = nuscenesRig().find(({ name }) => name === camera)?.cameraFromEgo ?? new Float64Array(16);
  return compose(mount, invertRigid(rigidMotion(quaternion(scene.ego.heading[frame] ?? 0), pointAt(scene.ego, frame))));
}
