import { z } from "zod";
import { DatasetError } from "../errors.js";
import { readJson, type DatasetFiles } from "../files.js";

const vector = z.array(z.number()).length(3);
const Pose = z.object({ utime: z.number(), accel: vector, rotation_rate: vector, vel: vector });
const Steering = z.object({ utime: z.number(), value: z.number() });

/** Folder of the CAN bus expansion. */
const FOLDER = "can_bus";

/**
 * The car's own measurements at each frame: the nearest pose and steering messages, as published.
 * @param times [F] microseconds
 * @returns [F, 10] acceleration, angular rate, velocity, steering-wheel angle, as `Scene.egoStatus`; zeros for a scene
 *   without messages, as published (some scenes of the set have none); null where the set has no CAN bus folder
 * @throws DatasetError for a damaged file, naming message and field
 */
export async function readCanBus(files: DatasetFiles, scene: string, times: readonly number[]): Promise<Float64Array | null> {
  if ((await files.list(FOLDER)).length === 0) return null;
  const status = new Float64Array(10 * times.length);
  const poses = await readMessages(files, `${scene}_pose`, Pose);
  const steering = await readMessages(files, `${scene}_steeranglefeedback`, Steering);
  if (poses.length === 0 || steering.length === 0) return status;
  times.forEach((time, frame) => {
    const pose = nearest(poses, time);
    status.set([...pose.accel, ...pose.rotation_rate, ...pose.vel, nearest(steering, time).value], 10 * frame);
  });
  return status;
}

async function readMessages<M extends { readonly utime: number }>(files: DatasetFiles, name: string, schema: z.ZodType<M>): Promise<M[]> {
  const path = `${FOLDER}/${name}.json`;
  const where = `nuScenes: ${files.name}${path}`;
  const json = await readJson(files, path, where);
  if (json === null) return [];
  const parsed = z.array(schema).safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const [index, ...field] = issue?.path ?? [];
    throw new DatasetError(`${where}: message ${String(index ?? "list")}: field "${field.join(".")}": ${issue?.message ?? "wrong"}. Get nuScenes' CAN bus expansion again.`);
  }
  return parsed.data.toSorted((a, b) => a.utime - b.utime);
}

/** The message nearest in time; of two equally near ones the later. */
function nearest<M extends { readonly utime: number }>(messages: readonly M[], time: number): M {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.utime ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [messages[low - 1], messages[low]];
  if (after === undefined || (before !== undefined && time - before.utime < after.utime - time)) return before as M;
  return after;
}
