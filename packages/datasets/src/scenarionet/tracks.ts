import { wrapAngle } from "../angles.js";
import { DatasetError } from "../errors.js";
import { halfSecondVelocity } from "../motion.js";
import type { Track } from "../schema.js";
import { agentClassOf } from "./categories.js";
import { asString, optional, perFrame, required, type Field } from "./fields.js";

/** Pose and size arrays of one ScenarioNet track, checked and cleaned. */
interface TrackState {
  readonly position: Float64Array;
  readonly heading: Float64Array;
  readonly valid: Uint8Array;
  readonly length: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Reads one agent track.
 * @param jumps the ego's jumps do not concern agents; velocities are differences over 0.5 s of the agent's own track
 * @returns null for classes the planner does not know and for tracks that are never valid
 * @throws DatasetError for missing keys, wrong shapes and poses that are not finite
 */
export function readAgent(id: string, field: Field, frames: number, interval: number): Track | null {
  const category = sourceCategory(field);
  const agentClass = agentClassOf(asString(required(field, "type")), category);
  if (agentClass === null) return null;
  const state = readState(required(field, "state"), frames);
  if (!state.valid.includes(1)) return null;
  const velocity = halfSecondVelocity(state.position, state.valid, interval, []);
  return { id, category: agentClass, sourceCategory: category, ...state, velocity };
}

/**
 * Reads the ego's poses; the caller sets the size, which the files swap.
 * @throws DatasetError as {@link readAgent}, and where a frame has no ego pose
 */
export function readEgoState(field: Field, frames: number): TrackState {
  const state = readState(required(field, "state"), frames);
  const gap = state.valid.indexOf(0);
  if (gap >= 0) {
    throw new DatasetError(`${field.where}.state.valid: the ego has no pose, expected one at every frame, got none at frame ${gap}. Cut the scene to the frames that have one.`);
  }
  return state;
}

/** Fine category of the source, or the coarse type where there is none. */
export function sourceCategory(field: Field): string {
  const metadata = optional(field, "metadata");
  const fine = metadata.value instanceof Map ? optional(metadata, "type").value : undefined;
  return typeof fine === "string" ? fine : asString(required(field, "type"));
}

function readState(state: Field, frames: number): TrackState {
  const position = perFrame(required(state, "position"), frames, 3).slice();
  const heading = perFrame(required(state, "heading"), frames, 1).slice();
  const valid = Uint8Array.from(perFrame(required(state, "valid"), frames, 1), (v) => (v > 0 ? 1 : 0));
  for (let f = 0; f < frames; f++) {
    if (valid[f] === 0) {
      position.fill(0, 3 * f, 3 * f + 3);
      heading[f] = 0;
      continue;
    }
    const pose = [position[3 * f], position[3 * f + 1], position[3 * f + 2]];
    if (!pose.every(Number.isFinite)) throw notFinite(state, "position", f, `(${pose.join(", ")})`);
    if (!Number.isFinite(heading[f])) throw notFinite(state, "heading", f, String(heading[f]));
    heading[f] = wrapAngle(heading[f] ?? 0);
  }
  const size = (key: string): number => readSize(required(state, key), valid);
  return { position, heading, valid, length: size("length"), width: size("width"), height: size("height") };
}

/** Median over the valid frames: boxes do not grow. */
function readSize(field: Field, valid: Uint8Array): number {
  const values = perFrame(field, valid.length, 1).filter((_, f) => valid[f] === 1).sort();
  if (values.length === 0) return 0;
  const size = values[values.length >> 1] ?? NaN;
  if (!(size > 0 && size < 100)) {
    throw new DatasetError(`${field.where}: impossible size, expected 0 to 100 m, got ${size}. Convert the scene again, or remove this track.`);
  }
  return size;
}

function notFinite(state: Field, key: string, frame: number, got: string): DatasetError {
  return new DatasetError(
    `${state.where}.${key}: the pose is not finite at frame ${frame}, expected finite numbers where valid is 1, got ${got}. Mark the frame invalid or convert the scene again.`,
  );
}
