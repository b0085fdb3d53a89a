import { DatasetError } from "./errors.js";
import { AGENT_CLASSES, MAP_CLASSES, type Lane, type MapLine, type Scene, type Track } from "./schema.js";

/**
 * Checks that a scene keeps the promises of the schema: array lengths, finite numbers, wrapped headings, increasing
 * timestamps, zeros where invalid, positive sizes, known classes, unique ids, closed crossings, existing successors.
 * @param where start of the message, e.g. `scenarioNet: data/scene-0061.pkl`
 * @throws DatasetError for the first broken promise, naming the field, the frame, what was expected and what is there
 */
export function validateScene(scene: Scene, where = `scene ${scene.id}`): void {
  const frames = scene.timestamps.length;
  const fail = (path: string, expected: string, got: unknown): never => {
    throw new DatasetError(`${where}: ${path}: invalid scene, expected ${expected}, got ${String(got)}. Fix the source of the scene, or leave this scene out.`);
  };
  const check = (ok: boolean, path: string, expected: string, got: unknown): void => {
    if (!ok) fail(path, expected, got);
  };

  check(scene.id.length > 0, "id", "a name", '""');
  check(frames >= 2, "timestamps", "at least 2 frames", frames);
  check(Number.isFinite(scene.interval) && scene.interval > 0, "interval", "a positive number of seconds", scene.interval);
  for (let f = 0; f < frames; f++) {
    const time = scene.timestamps[f] ?? NaN;
    const step = time - (scene.timestamps[f - 1] ?? time - scene.interval);
    check(Number.isFinite(time), `timestamps[${f}]`, "a finite number of seconds", time);
    const gap = scene.jumps.includes(f);
    check(step > 0.5 * scene.interval && (gap || step < 1.5 * scene.interval), `timestamps[${f}]`, `about ${scene.interval} s after the frame before`, `${step} s`);
  }
  checkFrameList(scene.keyframes, 0, frames, "keyframes", check);
  checkFrameList(scene.jumps, 1, frames, "jumps", check);
  check(scene.steering.length === frames, "steering", `${frames} angles`, scene.steering.length);
  scene.steering.forEach((angle, f) => check(Math.abs(angle) < Math.PI / 2, `steering[${f}]`, "an angle within +-pi/2", angle));

  if (scene.egoStatus !== undefined) checkNumbers(scene.egoStatus, 10 * frames, "egoStatus", check);
  scene.cameras?.forEach((image, i) => {
    const path = `cameras[${i}] ("${image.camera}")`;
    check(Number.isInteger(image.frame) && image.frame >= (scene.cameras?.[i - 1]?.frame ?? 0) && image.frame < frames, `${path}.frame`, `frames in order, below ${frames}`, image.frame);
    check(image.width > 0 && image.height > 0, path, "a size in pixels", `${image.width} x ${image.height}`);
    checkNumbers(image.intrinsics, 9, `${path}.intrinsics`, check);
    checkNumbers(image.cameraFromWorld, 16, `${path}.cameraFromWorld`, check);
  });
  checkTrack(scene.ego, frames, "ego", check);
  check(!scene.ego.valid.includes(0), "ego.valid", "a pose at every frame", `none at frame ${scene.ego.valid.indexOf(0)}`);
  const ids = new Set<string>();
  scene.agents.forEach((agent, a) => {
    check(!ids.has(agent.id), `agents[${a}].id`, "a unique id", `"${agent.id}" again`);
    ids.add(agent.id);
    checkTrack(agent, frames, `agents[${a}] ("${agent.id}")`, check);
  });
  scene.lines.forEach((line, l) => checkLine(line, `lines[${l}] ("${line.id}")`, check));
  const laneIds = new Set(scene.lanes.map((lane) => lane.id));
  check(laneIds.size === scene.lanes.length, "lanes", "unique ids", `${scene.lanes.length - laneIds.size} repeated`);
  scene.lanes.forEach((lane, l) => checkLane(lane, laneIds, `lanes[${l}] ("${lane.id}")`, check));
}

const PER_FRAME = [["position", 3], ["heading", 1], ["velocity", 2]] as const;

type Check = (ok: boolean, path: string, expected: string, got: unknown) => void;

function checkFrameList(list: ArrayLike<number>, first: number, frames: number, path: string, check: Check): void {
  for (let i = 0; i < list.length; i++) {
    const frame = list[i] ?? NaN;
    const after = i === 0 ? first - 1 : (list[i - 1] ?? NaN);
    check(Number.isInteger(frame) && frame > after && frame < frames, `${path}[${i}]`, `a frame above ${after} and below ${frames}`, frame);
  }
}

function checkNumbers(values: Float64Array, count: number, path: string, check: Check): void {
  check(values.length === count, path, `${count} numbers`, values.length);
  const bad = values.findIndex((v) => !Number.isFinite(v));
  check(bad < 0, `${path}[${bad}]`, "a finite number", values[bad]);
}

function checkTrack(track: Track, frames: number, path: string, check: Check): void {
  check((AGENT_CLASSES as readonly string[]).includes(track.category), `${path}.category`, `one of ${AGENT_CLASSES.join(", ")}`, track.category);
  for (const [key, width] of [...PER_FRAME, ["valid", 1] as const]) {
    check(track[key].length === frames * width, `${path}.${key}`, `${frames * width} numbers`, track[key].length);
  }
  if (track.observed !== undefined) {
    check(track.observed.length === frames, `${path}.observed`, `${frames} numbers`, track.observed.length);
    const odd = track.observed.findIndex((seen, f) => seen !== 0 && (seen !== 1 || track.valid[f] !== 1));
    check(odd < 0, `${path}.observed at frame ${odd}`, "0, or 1 where the track is valid", track.observed[odd]);
  }
  for (const key of ["length", "width", "height"] as const) {
    check(Number.isFinite(track[key]) && track[key] > 0, `${path}.${key}`, "a positive number of metres", track[key]);
  }
  // Messages are built only where something is wrong: this loop sees millions of numbers.
  for (let f = 0; f < frames; f++) {
    const valid = track.valid[f];
    if (valid !== 0 && valid !== 1) check(false, `${path}.valid[${f}]`, "0 or 1", valid);
    for (const [key, width] of PER_FRAME) {
      for (let i = width * f; i < width * (f + 1); i++) {
        const value = track[key][i] ?? NaN;
        if (!Number.isFinite(value)) check(false, `${path}.${key} at frame ${f}`, "a finite number", value);
        if (valid === 0 && value !== 0) check(false, `${path}.${key} at frame ${f}`, "0 where the track is not valid", value);
      }
    }
    const heading = track.heading[f] ?? NaN;
    if (!(heading > -Math.PI && heading <= Math.PI)) check(false, `${path}.heading at frame ${f}`, "an angle in (-pi, pi]", heading);
  }
}

function checkPoints(points: Float64Array, width: number, least: number, path: string, check: Check): void {
  check(points.length % width === 0 && points.length >= width * least, path, `at least ${least} points of ${width} numbers`, `${points.length} numbers`);
  const bad = points.findIndex((v) => !Number.isFinite(v));
  check(bad < 0, `${path} at point ${Math.floor(bad / width)}`, "finite numbers", points[bad]);
}

function checkLine(line: MapLine, path: string, check: Check): void {
  check((MAP_CLASSES as readonly string[]).includes(line.category), `${path}.category`, `one of ${MAP_CLASSES.join(", ")}`, line.category);
  checkPoints(line.points, 2, 2, `${path}.points`, check);
  if (line.category !== "ped_crossing") return;
  const closed = line.points[0] === line.points.at(-2) && line.points[1] === line.points.at(-1);
  check(closed, `${path}.points`, "a closed outline (first point repeated at the end)", "an open one");
}

function checkLane(lane: Lane, ids: ReadonlySet<string>, path: string, check: Check): void {
  checkPoints(lane.centerline, 3, 2, `${path}.centerline`, check);
  for (let p = 2; p < lane.centerline.length; p += 3) {
    const yaw = lane.centerline[p] ?? NaN;
    check(yaw > -Math.PI && yaw <= Math.PI, `${path}.centerline yaw of point ${(p - 2) / 3}`, "an angle in (-pi, pi]", yaw);
  }
  if (lane.polygon !== null) checkPoints(lane.polygon, 2, 3, `${path}.polygon`, check);
  for (const next of lane.successors) check(ids.has(next), `${path}.successors`, "ids of lanes of this scene", `"${next}"`);
}
