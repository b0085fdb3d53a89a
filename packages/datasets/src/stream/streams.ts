import { isContinuous, waypointStride } from "../ego.js";
import { DatasetError } from "../errors.js";
import { usableFrames } from "../features/build.js";
import type { Scene } from "../schema.js";

/** A drive to be walked frame by frame: consecutive frames are 0.5 s apart and no jump lies between them. */
export interface Stream {
  readonly scene: Scene;
  readonly mirror: boolean;
  readonly frames: readonly number[];
}

/** Options of {@link createStreams}. */
export interface StreamOptions {
  /** Phases (frame modulo frames in 0.5 s) to use; default all, e.g. 5 at 10 Hz. [0] is the original keyframes. */
  readonly phases?: readonly number[];
  /** Also walk every stream mirrored. Default true. */
  readonly mirror?: boolean;
  /** Cut each stream into so many equal parts, so that a batch mixes more scenes. Default 1. */
  readonly parts?: number;
}

/**
 * Cuts scenes into streams at 2 Hz of usable frames (whole 3 s future known): one per phase and contiguous piece, plus
 * its mirror image.
 * @throws DatasetError when no scene has a usable frame
 */
export function createStreams(scenes: readonly Scene[], options: StreamOptions = {}): Stream[] {
  const { mirror = true, parts = 1 } = options;
  const streams: Stream[] = [];
  for (const scene of scenes) {
    const phases = options.phases ?? Array.from({ length: waypointStride(scene) }, (_, p) => p);
    for (const phase of phases) {
      for (const piece of contiguous(scene, usableFrames(scene, { phase }))) {
        const length = Math.ceil(piece.length / parts);
        for (let start = 0; start < piece.length; start += length) {
          const frames = piece.slice(start, start + length);
          streams.push({ scene, mirror: false, frames });
          if (mirror) streams.push({ scene, mirror: true, frames });
        }
      }
    }
  }
  if (streams.length === 0) {
    throw new DatasetError(`createStreams: nothing to walk, expected a scene with 3 s of driving after some frame, got ${scenes.length} scenes without. Give longer scenes.`);
  }
  return streams;
}

function contiguous(scene: Scene, frames: readonly number[]): number[][] {
  const stride = waypointStride(scene);
  const pieces: number[][] = [];
  for (const frame of frames) {
    const piece = pieces.at(-1);
    const last = piece?.at(-1);
    if (piece !== undefined && last === frame - stride && isContinuous(scene, last, frame)) piece.push(frame);
    else pieces.push([frame]);
  }
  return pieces;
}
