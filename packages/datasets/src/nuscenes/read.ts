import { drivingSideOf } from "../driving-side.js";
import { DatasetError } from "../errors.js";
import type { DatasetFiles } from "../files.js";
import { mapRegion } from "../geometry/map-lines.js";
import { compose, invertRigid, quaternionYaw, rigidMotion } from "../geometry/rigid.js";
import { detectJumps, steeringFromPath } from "../motion.js";
import { resolveSceneNames } from "../names.js";
import { EGO_SIZE, type CameraImage, type Scene, type Track } from "../schema.js";
import { validateScene } from "../validate.js";
import { readCanBus } from "./can-bus.js";
import { lanesWithin, linesWithin } from "./map.js";
import { readLocationMap, type LocationMap } from "./map-file.js";
import { readTable, type Table, type TableName, type TableRecord } from "./tables.js";
import { readAgents } from "./tracks.js";

/** s between keyframes. */
const INTERVAL = 0.5;
/** Times the interval from which on time is missing between two keyframes. */
const GAP = 1.5;
/** Sensor whose poses place the car, as published. */
const REFERENCE = "LIDAR_TOP";

type Tables = { readonly [N in TableName]: Table<N> };
type Sample = TableRecord<"sample">;
type SampleData = TableRecord<"sample_data">;

/** A set, its records grouped by keyframe. */
interface NuScenesData {
  readonly files: DatasetFiles;
  readonly tables: Tables;
  readonly dataOf: ReadonlyMap<string, readonly SampleData[]>;
  readonly annotationsOf: ReadonlyMap<string, readonly TableRecord<"sample_annotation">[]>;
}

/** Options of {@link readNuScenes}. */
export interface NuScenesOptions {
  /** Only these scenes, e.g. ["0655", "scene-1094"]; all when absent. */
  readonly only?: readonly string[];
}

/**
 * Reads scenes of nuScenes in its official layout: the tables of `version`, `maps/expansion/<location>.json` and, where there
 * is one, the folder `can_bus`. A frame is a keyframe (2 Hz), the ego pose that of the keyframe's lidar sweep, velocities are
 * the devkit's, `egoStatus` is the nearest CAN bus message. Files in `samples/` are named, not opened.
 * @param version folder of the tables, e.g. `v1.0-mini`
 * @returns scenes in the order of their names
 * @throws DatasetError for missing or wrong tables, naming table, token and field, and for unknown names in `only`
 */
export async function readNuScenes(files: DatasetFiles, version: string, options: NuScenesOptions = {}): Promise<Scene[]> {
  const scene = await readTable(files, version, "scene");
  const names = [...scene.records()].map(({ name }) => name).sort();
  const only = new Set(options.only === undefined ? names : resolveSceneNames(options.only, names, `nuScenes: ${files.name}${version}`));
  const sceneTokens = new Set([...scene.records()].filter(({ name }) => only.has(name)).map(({ token }) => token));
  const sample = await readTable(files, version, "sample", (raw) => typeof raw["scene_token"] !== "string" || sceneTokens.has(raw["scene_token"]));
  // Wrong records are kept so that they are reported; those of other scenes are passed over unread.
  const ofSample = (raw: Readonly<Record<string, unknown>>): boolean => typeof raw["sample_token"] !== "string" || sample.has(raw["sample_token"]);
  const sample_data = await readTable(files, version, "sample_data", (raw) => raw["is_key_frame"] !== false && ofSample(raw));
  const poses = new Set([...sample_data.records()].map((data) => data.ego_pose_token));
  const tables: Tables = {
    scene,
    sample,
    sample_data,
    ego_pose: await readTable(files, version, "ego_pose", (raw) => typeof raw["token"] !== "string" || poses.has(raw["token"])),
    sample_annotation: await readTable(files, version, "sample_annotation", ofSample),
    log: await readTable(files, version, "log"),
    calibrated_sensor: await readTable(files, version, "calibrated_sensor"),
    sensor: await readTable(files, version, "sensor"),
    instance: await readTable(files, version, "instance"),
    category: await readTable(files, version, "category"),
  };
  const bySample = ({ sample_token }: { readonly sample_token: string }): string => sample_token;
  const data: NuScenesData = { files, tables, dataOf: groupBy(sample_data.records(), bySample), annotationsOf: groupBy(tables.sample_annotation.records(), bySample) };
  const samplesByScene = groupBy(sample.records(), ({ scene_token }) => scene_token);
  const maps = new Map<string, LocationMap>();
  const scenes: Scene[] = [];
  for (const record of [...scene.records()].filter(({ name }) => only.has(name)).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { location } = tables.log.get(record.log_token, { table: scene, token: record.token, field: "log_token" });
    const map = maps.get(location) ?? (await readLocationMap(files, location));
    maps.set(location, map);
    const samples = samplesOf(tables, record, samplesByScene.get(record.token) ?? []);
    const status = await readCanBus(files, record.name, samples.map(({ timestamp }) => timestamp));
    scenes.push(buildScene(data, record.name, samples, { location, map, status }));
  }
  return scenes;
}

function groupBy<R>(records: Iterable<R>, keyOf: (record: R) => string): ReadonlyMap<string, R[]> {
  const groups = new Map<string, R[]>();
  for (const record of records) {
    const key = keyOf(record);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  return groups;
}

/** The keyframes of a scene, along the links. @param all its samples @throws DatasetError where the links leave some out */
function samplesOf({ scene, sample }: Tables, { token, first_sample_token }: TableRecord<"scene">, all: readonly Sample[]): Sample[] {
  let at = sample.get(first_sample_token, { table: scene, token, field: "first_sample_token" });
  let [from, field]: [where: string, field: string] = [`${scene.where}: token ${token}`, "first_sample_token"];
  const samples: Sample[] = [];
  for (;;) {
    if (at.scene_token !== token) throw new DatasetError(`${from}: field "${field}": leads elsewhere, expected a sample of scene ${token}, got "${at.token}" of scene ${at.scene_token}. Get the tables again.`);
    const before = samples.at(-1);
    if (before !== undefined && at.timestamp <= before.timestamp) {
      throw new DatasetError(`${from}: field "${field}": goes back, expected a later sample, got "${at.token}" at ${at.timestamp}. Get the table again.`);
    }
    samples.push(at);
    [from, field] = [`${sample.where}: token ${at.token}`, "next"];
    if (at.next === "") break;
    at = sample.get(at.next, { table: sample, token: at.token, field });
  }
  if (samples.length === all.length) return samples;
  const left = all.find((other) => !samples.includes(other));
  throw new DatasetError(`${from}: field "${field}": the scene's samples end here, expected all ${all.length} of scene ${token}, got ${samples.length}, without "${left?.token ?? ""}". Get the table again.`);
}

function buildScene(
  { files, tables, dataOf, annotationsOf }: NuScenesData,
  name: string,
  samples: readonly Sample[],
  { location, map, status }: { readonly location: string; readonly map: LocationMap; readonly status: Float64Array | null },
): Scene {
  const frames = samples.length;
  const start = samples[0]?.timestamp ?? 0;
  const timestamps = Float64Array.from(samples, ({ timestamp }) => (timestamp - start) / 1e6);
  const position = new Float64Array(3 * frames);
  const heading = new Float64Array(frames);
  const cameras: CameraImage[] = [];
  samples.forEach(({ token }, frame) => {
    const shots = (dataOf.get(token) ?? []).map((data) => describeShot(tables, data));
    const reference = shots.find(({ channel }) => channel === REFERENCE);
    if (reference === undefined) {
      throw new DatasetError(`${tables.sample_data.where}: token (none): field "sample_token": no keyframe of ${REFERENCE} for sample ${token}, expected one, got ${shots.map(({ channel }) => channel).sort().join(", ") || "no data"}. Get the table again.`);
    }
    const pose = poseOf(tables, reference.data);
    position.set(pose.translation, 3 * frame);
    heading[frame] = quaternionYaw(pose.rotation);
    for (const shot of shots) if (shot.modality === "camera") cameras.push(cameraImage(files, tables, shot, frame));
  });
  const gaps = Array.from(timestamps.keys()).filter((f) => f > 0 && (timestamps[f] ?? 0) - (timestamps[f - 1] ?? 0) >= GAP * INTERVAL);
  const jumps = [...new Set([...gaps, ...detectJumps(position, heading, INTERVAL)])].sort((a, b) => a - b);
  const ego: Track = { id: "ego", category: "car", sourceCategory: "vehicle.car", position, heading, velocity: backwardVelocity(position, timestamps), valid: new Uint8Array(frames).fill(1), ...EGO_SIZE };
  const region = mapRegion(ego);
  const lanes = lanesWithin(map, region);
  const scene: Scene = {
    id: name,
    source: "nuscenes",
    drivingSide: drivingSideOf(location, lanes),
    interval: INTERVAL,
    timestamps,
    keyframes: Int32Array.from({ length: frames }, (_, f) => f),
    ego,
    steering: steeringFromPath(position, heading, INTERVAL, jumps),
    ...(status === null ? {} : { egoStatus: status }),
    agents: readAgents(tables, samples.map(({ token }) => annotationsOf.get(token) ?? []), timestamps),
    lines: linesWithin(map, region),
    lanes,
    jumps,
    cameras,
  };
  validateScene(scene, `nuScenes: ${files.name} ${name}`);
  return scene;
}

interface Shot {
  readonly data: SampleData;
  readonly mount: TableRecord<"calibrated_sensor">;
  readonly channel: string;
  readonly modality: string;
}

function describeShot(tables: Tables, data: SampleData): Shot {
  const mount = tables.calibrated_sensor.get(data.calibrated_sensor_token, { table: tables.sample_data, token: data.token, field: "calibrated_sensor_token" });
  const { channel, modality } = tables.sensor.get(mount.sensor_token, { table: tables.calibrated_sensor, token: mount.token, field: "sensor_token" });
  return { data, mount, channel, modality };
}

function poseOf(tables: Tables, data: SampleData): TableRecord<"ego_pose"> {
  return tables.ego_pose.get(data.ego_pose_token, { table: tables.sample_data, token: data.token, field: "ego_pose_token" });
}

function cameraImage(files: DatasetFiles, tables: Tables, { data, mount, channel }: Shot, frame: number): CameraImage {
  const { width, height } = data;
  const missing = (table: { readonly where: string }, token: string, field: string, expected: string, got: unknown): DatasetError =>
    new DatasetError(`${table.where}: token ${token}: field "${field}": wrong for a camera, expected ${expected}, got ${String(got)}. Get the table again, or mend this record.`);
  if (!(Number(width) > 0) || !(Number(height) > 0)) throw missing(tables.sample_data, data.token, Number(width) > 0 ? "height" : "width", "a size in pixels", width);
  if (mount.camera_intrinsic.length !== 3) throw missing(tables.calibrated_sensor, mount.token, "camera_intrinsic", "3 rows of 3 numbers", `${mount.camera_intrinsic.length} rows`);
  const pose = poseOf(tables, data);
  const worldFromCamera = compose(rigidMotion(pose.rotation, pose.translation), rigidMotion(mount.rotation, mount.translation));
  return {
    camera: channel,
    frame,
    file: files.locate(data.filename),
    width: Number(width),
    height: Number(height),
    intrinsics: Float64Array.from(mount.camera_intrinsic.flat()),
    cameraFromWorld: invertRigid(worldFromCamera),
  };
}

/** Differences to the frame before, by the real time between; the first frame repeats the second. */
function backwardVelocity(position: Float64Array, timestamps: Float64Array): Float64Array {
  return Float64Array.from({ length: 2 * timestamps.length }, (_, i) => {
    const to = Math.max(1, i >> 1);
    const [now, before] = [3 * to + (i & 1), 3 * to - 3 + (i & 1)];
    return ((position[now] ?? 0) - (position[before] ?? 0)) / ((timestamps[to] ?? 1) - (timestamps[to - 1] ?? 0));
  });
}
