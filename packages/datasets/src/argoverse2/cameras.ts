import { DatasetError } from "../errors.js";
import type { DatasetFiles } from "../files.js";
import { compose, invertRigid } from "../geometry/rigid.js";
import type { CameraImage } from "../schema.js";
import { readFeather } from "./feather.js";
import { motionAt, POSE_COLUMNS, type Poses } from "./poses.js";

const FOLDER = "sensors/cameras";
/** ns; cameras run at 20 Hz: an image further off belongs to another sweep. */
const NEAR = 50_000_000n;

/**
 * The images nearest to each sweep; null for a log without images.
 * @param times [F] ns
 * @throws DatasetError where images are there and their calibration is missing or wrong
 */
export async function readCameras(files: DatasetFiles, poses: Poses, times: readonly bigint[]): Promise<CameraImage[] | null> {
  const shots = new Map<string, bigint[]>();
  for (const camera of await files.list(FOLDER)) {
    const stamps = (await files.list(`${FOLDER}/${camera}`)).flatMap((name) => /^(\d+)\.jpg$/.exec(name)?.[1] ?? []).map(BigInt);
    if (stamps.length > 0) shots.set(camera, stamps.sort((a, b) => (a < b ? -1 : 1)));
  }
  if (shots.size === 0) return null;
  const missing = (path: string): DatasetError => new DatasetError(`argoverse2: ${files.name}${path}: the table is missing, expected it beside the images, got nothing. Get the log again, with its calibration folder.`);
  const lensPath = "calibration/intrinsics.feather";
  const mountPath = "calibration/egovehicle_SE3_sensor.feather";
  const lenses = await readFeather(files, lensPath, { sensor_name: "text", fx_px: "number", fy_px: "number", cx_px: "number", cy_px: "number", width_px: "number", height_px: "number" });
  const mounts = await readFeather(files, mountPath, { sensor_name: "text", ...POSE_COLUMNS });
  if (lenses === null) throw missing(lensPath);
  if (mounts === null) throw missing(mountPath);
  const rowOf = (table: { readonly where: string; readonly sensor_name: readonly string[] }, camera: string): number => {
    const row = table.sensor_name.indexOf(camera);
    if (row >= 0) return row;
    throw new DatasetError(`${table.where}: column "sensor_name": no row for ${camera}, expected one, got ${table.sensor_name.join(", ")}. Get the log again.`);
  };
  const images: CameraImage[] = [];
  times.forEach((time, frame) => {
    for (const [camera, stamps] of shots) {
      const stamp = nearest(stamps, time);
      if (distance(stamp, time) > NEAR) continue;
      const lens = rowOf(lenses, camera);
      const file = `${FOLDER}/${camera}/${stamp}.jpg`;
      images.push({
        camera,
        frame,
        file: files.locate(file),
        width: lenses.width_px[lens] ?? 0,
        height: lenses.height_px[lens] ?? 0,
        intrinsics: Float64Array.of(lenses.fx_px[lens] ?? 0, 0, lenses.cx_px[lens] ?? 0, 0, lenses.fy_px[lens] ?? 0, lenses.cy_px[lens] ?? 0, 0, 0, 1),
        cameraFromWorld: invertRigid(compose(poses.at(stamp, `argoverse2: ${files.name}${file}`), motionAt(mounts, rowOf(mounts, camera)))),
      });
    }
  });
  return images;
}

const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a);

function nearest(stamps: readonly bigint[], time: bigint): bigint {
  let [low, high] = [0, stamps.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((stamps[middle] ?? 0n) < time) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [stamps[low - 1], stamps[low] ?? 0n];
  return before !== undefined && distance(before, time) < distance(after, time) ? before : after;
}
