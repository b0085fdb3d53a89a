import { DatasetError } from "../errors.js";
import { detectJumps, halfSecondVelocity, steeringFromPath } from "../motion.js";
import { EGO_SIZE, type Scene, type Track } from "../schema.js";
import { validateScene } from "../validate.js";
import { drivingSideOf } from "../driving-side.js";
import { asNumber, asString, entries, optional, perFrame, required, type Field } from "./fields.js";
import { readMap } from "./map.js";
import { readAgent, readEgoState, sourceCategory } from "./tracks.js";
import { unpickle } from "./unpickle.js";

/** Frames of the longest scene that is believed: more than a day at 10 Hz. */
const MOST_FRAMES = 1_000_000;
/** s between original annotations; the frames between are interpolated. */
const KEYFRAME_INTERVAL = 0.5;

/**
 * Reads one ScenarioNet scene (a Python pickle). Nothing in the file is executed: only numpy arrays and plain values
 * are read. Known flaws are mended: the ego's swapped size, unwrapped headings, unreliable velocities, repeated lane
 * points; jumps of the ego pose are found and listed in `jumps`.
 * @param bytes the whole file
 * @param name name of the file, for messages
 * @throws DatasetError for files that are truncated, no pickles, no ScenarioNet scenes, or mention foreign globals
 */
export function readScenarioNet(bytes: Uint8Array, name: string): Scene {
  const where = `scenarioNet: ${name}`;
  const root: Field = { value: unpickle(bytes, where), where: `${where}:` };
  if (!(root.value instanceof Map)) {
    throw new DatasetError(
      `${where}: not a scene, expected a dict with tracks and map_features, got another value. Give a ScenarioNet scene file (not dataset_summary.pkl or dataset_mapping.pkl).`,
    );
  }
  const metadata = required(root, "metadata");
  const frames = asNumber(required(root, "length"));
  if (!Number.isInteger(frames) || frames < 2 || frames > MOST_FRAMES) {
    throw new DatasetError(`${where}: length: impossible number of frames, expected 2 to ${MOST_FRAMES}, got ${frames}. Convert the scene again.`);
  }
  const timestamps = readTimestamps(metadata, frames);
  const interval = ((timestamps[frames - 1] ?? 0) - (timestamps[0] ?? 0)) / (frames - 1);
  const tracks = required(root, "tracks");
  const egoId = asString(required(metadata, "sdc_id"));
  const egoField = required(tracks, egoId);

  const dataset = optional(metadata, "dataset").value;
  const state = readEgoState(egoField, frames);
  const jumps = detectJumps(state.position, state.heading, interval);
  const size = dataset === "nuscenes" ? EGO_SIZE : { length: Math.max(state.length, state.width), width: Math.min(state.length, state.width), height: state.height };
  const ego: Track = {
    id: "ego",
    category: "car",
    sourceCategory: sourceCategory(egoField),
    ...state,
    ...size,
    velocity: halfSecondVelocity(state.position, state.valid, interval, jumps),
  };

  const agents = entries(tracks)
    .filter(([id]) => id !== egoId)
    .map(([id, track]) => readAgent(id, track, frames, interval))
    .filter((track): track is Track => track !== null);
  const { lines, lanes } = readMap(required(root, "map_features"));
  const mapName = optional(metadata, "map").value;
  const stride = Math.max(1, Math.round(KEYFRAME_INTERVAL / interval));
  const scene: Scene = {
    id: asString(required(root, "id")),
    source: "scenarionet",
    drivingSide: drivingSideOf(typeof mapName === "string" ? mapName : "", lanes),
    interval,
    timestamps,
    keyframes: Int32Array.from({ length: Math.ceil(frames / stride) }, (_, k) => k * stride),
    ego,
    steering: steeringFromPath(state.position, state.heading, interval, jumps),
    agents,
    lines,
    lanes,
    jumps,
  };
  validateScene(scene, where);
  return scene;
}

function readTimestamps(metadata: Field, frames: number): Float64Array {
  const listed = optional(metadata, "ts");
  if (listed.value !== undefined && listed.value !== null) return perFrame(listed, frames, 1).slice();
  const interval = asNumber(required(metadata, "sample_rate"));
  return Float64Array.from({ length: frames }, (_, f) => f * interval);
}
