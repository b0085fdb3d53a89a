import { DatasetError } from "../errors.js";
import type { DatasetFiles } from "../files.js";
import { mapRegion } from "../geometry/map-lines.js";
import { compose } from "../geometry/rigid.js";
import { detectJumps, halfSecondVelocity, steeringFromPath } from "../motion.js";
import type { Scene, Track } from "../schema.js";
import { validateScene } from "../validate.js";
import { readCameras } from "./cameras.js";
import { argoverseClass } from "./categories.js";
import { readFeather, type Columns } from "./feather.js";
import { lanesOf, linesOf, readMapArchive } from "./map.js";
import { motionAt, POSE_COLUMNS, readPoses, type Poses } from "./poses.js";

/** s between annotated lidar sweeps. */
const INTERVAL = 0.1;
/** Times the interval from which on a sweep is missing. */
const GAP = 1.5;
/** m; the rear axle, the origin of the poses, lies this much above the ground. */
const AXLE_HEIGHT = 0.33;
/** m; the recording cars are Ford Fusions. */
const CAR_SIZE = { length: 4.87, width: 1.85, height: 1.48 } as const;

const ANNOTATIONS = { timestamp_ns: "integer", track_uuid: "text", category: "text", length_m: "number", width_m: "number", height_m: "number", ...POSE_COLUMNS, num_interior_pts: "number" } as const;
type Annotations = Columns<typeof ANNOTATIONS>;

/**
 * Reads one log of the Argoverse 2 sensor set: `annotations.feather`, `city_SE3_egovehicle.feather`,
 * `map/log_map_archive_*.json` and, where images are there, `calibration/` and the names in `sensors/cameras/`. A frame is an
 * annotated sweep (10 Hz); the world is the city frame.
 * @param files of the log's folder
 * @param id the log's name, which becomes the scene's
 * @throws DatasetError for missing or wrong tables, naming file, row and column
 */
export async function readArgoverse2(files: DatasetFiles, id: string): Promise<Scene> {
  const annotations = await readFeather(files, "annotations.feather", ANNOTATIONS);
  if (annotations === null) {
    throw new DatasetError(`argoverse2: ${files.name}annotations.feather: the table is missing, expected it in the log's folder, got nothing. Logs of the test split have none; take one of train or val.`);
  }
  const poses = await readPoses(files);
  const times = [...new Set(annotations.timestamp_ns)].sort((a, b) => (a < b ? -1 : 1));
  const start = times[0] ?? 0n;
  const timestamps = Float64Array.from(times, (time) => Number(time - start) / 1e9);
  const frames = times.length;
  const motions = times.map((time) => poses.at(time, annotations.where));
  const position = Float64Array.from(motions.flatMap((m) => [m[3] ?? 0, m[7] ?? 0, (m[11] ?? 0) - AXLE_HEIGHT]));
  const heading = Float64Array.from(motions, yawOf);
  const gaps = Array.from(timestamps.keys()).filter((f) => f > 0 && (timestamps[f] ?? 0) - (timestamps[f - 1] ?? 0) >= GAP * INTERVAL);
  const jumps = [...new Set([...gaps, ...detectJumps(position, heading, INTERVAL)])].sort((a, b) => a - b);
  const valid = new Uint8Array(frames).fill(1);
  const ego: Track = { id: "ego", category: "car", sourceCategory: "EGO_VEHICLE", position, heading, velocity: halfSecondVelocity(position, valid, INTERVAL, jumps), valid, ...CAR_SIZE };
  const map = await readMapArchive(files);
  const region = mapRegion(ego);
  const cameras = await readCameras(files, poses, times);
  const scene: Scene = {
    id,
    source: "av2",
    // All its cities are in the United States.
    drivingSide: "right",
    interval: INTERVAL,
    timestamps,
    keyframes: Int32Array.from({ length: frames }, (_, f) => f),
    ego,
    steering: steeringFromPath(position, heading, INTERVAL, jumps),
    agents: readAgents(annotations, times, motions),
    lines: linesOf(map, region),
    lanes: lanesOf(map, region),
    jumps,
    ...(cameras === null ? {} : { cameras }),
  };
  validateScene(scene, `argoverse2: ${files.name}`);
  return scene;
}

function yawOf(m: Float64Array): number {
  const yaw = Math.atan2(m[4] ?? 0, m[0] ?? 0);
  return yaw === -Math.PI ? Math.PI : yaw;
}

/** Boxes are annotated in the ego frame of their sweep. */
function readAgents(annotations: Annotations, times: readonly bigint[], motions: readonly Poses["motions"][number][]): Track[] {
  const frameOf = new Map(times.map((time, frame) => [time, frame]));
  const rowsOf = new Map<string, number[]>();
  annotations.track_uuid.forEach((id, row) => {
    const rows = rowsOf.get(id);
    if (rows === undefined) rowsOf.set(id, [row]);
    else rows.push(row);
  });
  return [...rowsOf].flatMap(([id, rows]): Track[] => {
    const sourceCategory = annotations.category[rows[0] ?? 0] ?? "";
    const category = argoverseClass(sourceCategory);
    if (category === null) return [];
    const position = new Float64Array(3 * times.length);
    const heading = new Float64Array(times.length);
    const valid = new Uint8Array(times.length);
    const observed = new Uint8Array(times.length);
    for (const row of rows) {
      const frame = frameOf.get(annotations.timestamp_ns[row] ?? 0n) ?? 0;
      const box = compose(motions[frame] ?? new Float64Array(16), motionAt(annotations, row));
      position.set([box[3] ?? 0, box[7] ?? 0, box[11] ?? 0], 3 * frame);
      heading[frame] = yawOf(box);
      valid[frame] = 1;
      observed[frame] = (annotations.num_interior_pts[row] ?? 0) > 0 ? 1 : 0;
    }
    const size = (column: "length_m" | "width_m" | "height_m"): number => {
      const values = rows.map((row) => annotations[column][row] ?? 0).sort((a, b) => a - b);
      const median = values[values.length >> 1] ?? 0;
      if (median > 0) return median;
      throw new DatasetError(`${annotations.where}: row ${rows[0] ?? 0} (track ${id}): column "${column}": impossible size, expected more than 0 m, got ${median}. Get the log again.`);
    };
    const velocity = halfSecondVelocity(position, valid, INTERVAL, []);
    return [{ id, category, sourceCategory, position, heading, velocity, valid, observed, length: size("length_m"), width: size("width_m"), height: size("height_m") }];
  });
}
