import type { AgentClass, Scene } from "../schema.js";
import { RenderError } from "./errors.js";

/** Ego position and heading at a frame, world frame: m, m, m, rad. */
export interface GroundPose {
  readonly x: number;
  readonly y: number;
  /** Height of the local ground. */
  readonly z: number;
  readonly yaw: number;
}

/** An agent's box as it is drawn. */
export interface PlacedBox {
  /** Index into `scene.agents`. */
  readonly agent: number;
  readonly category: AgentClass;
  /** m, world frame, box centre. */
  readonly x: number;
  readonly y: number;
  /** m, box centre above the ground plane through the ego's wheels. */
  readonly z: number;
  /** rad, world frame. */
  readonly yaw: number;
  /** m: length, width, height. */
  readonly size: readonly [number, number, number];
}

/** Reach of the ground estimate below, m. */
const GROUND_SMOOTHING = 8;

/**
 * The ego's pose at a frame; the flat map is drawn at its height.
 *
 * @throws RenderError when the frame does not exist, or the ego is missing or not finite there
 */
export function egoPose(scene: Scene, frame: number): GroundPose {
  const frames = scene.ego.valid.length;
  if (!Number.isInteger(frame) || frame < 0 || frame >= frames) {
    throw new RenderError(`render: ${scene.id} has no such frame, expected 0..${frames - 1}, got ${frame}. Ask for a frame of the scene.`);
  }
  const [x, y, z] = [scene.ego.position[frame * 3] ?? NaN, scene.ego.position[frame * 3 + 1] ?? NaN, scene.ego.position[frame * 3 + 2] ?? NaN];
  const yaw = scene.ego.heading[frame] ?? NaN;
  if (scene.ego.valid[frame] !== 1 || ![x, y, z, yaw].every(Number.isFinite)) {
    throw new RenderError(
      `render: ${scene.id} frame ${frame} has no usable ego pose, expected a valid finite pose, got (${x}, ${y}, ${z}, ${yaw}). Leave this frame out.`,
    );
  }
  return { x, y, z, yaw };
}

/**
 * The agents near the ego, put on the ground.
 *
 * Maps are flat and recorded poses carry no pitch, so on real roads box heights wander by up to three metres within 100 m of the
 * ego. The ground under each agent is therefore estimated as the Gaussian-weighted (sigma 8 m) mean height of the boxes' undersides
 * around it, itself included, and subtracted: a lone agent stands exactly on the drawn ground, and one that is above its neighbours stays so.
 * Where all undersides lie at the ego's height (synthetic scenes), nothing moves.
 *
 * @param scene the scene
 * @param frame index of the frame
 * @param range m, agents farther from the ego are left out
 * @throws RenderError see {@link egoPose}
 */
export function placeBoxes(scene: Scene, frame: number, range: number): PlacedBox[] {
  const ego = egoPose(scene, frame);
  const near = scene.agents.flatMap((track, agent) => {
    if (track.valid[frame] !== 1) return [];
    const [x, y, z] = [track.position[frame * 3] ?? 0, track.position[frame * 3 + 1] ?? 0, track.position[frame * 3 + 2] ?? 0];
    if (Math.hypot(x - ego.x, y - ego.y) > range) return [];
    return [{ track, agent, x, y, bottom: z - track.height / 2 - ego.z }];
  });
  return near.map(({ track, agent, x, y, bottom }) => {
    let [sum, weights] = [0, 0];
    for (const other of near) {
      const squared = (other.x - x) ** 2 + (other.y - y) ** 2;
      // Beyond four sigma the weight is below 4e-4.
      if (squared > 16 * GROUND_SMOOTHING ** 2) continue;
      const weight = Math.exp(-squared / (2 * GROUND_SMOOTHING ** 2));
      sum += weight * other.bottom;
      weights += weight;
    }
    return {
      agent,
      category: track.category,
      x,
      y,
      z: bottom - sum / weights + track.height / 2,
      yaw: track.heading[frame] ?? 0,
      size: [track.length, track.width, track.height],
    };
  });
}

/**
 * The corners of a placed box in the ego frame.
 *
 * @param box the box
 * @param ego the ego's pose at the same frame
 * @returns [8, 3] m, ego frame (z above the ground); front before back, left before right, top before bottom
 */
export function boxCornersInEgo(box: PlacedBox, ego: GroundPose): Float64Array {
  const out = new Float64Array(24);
  const [cosBox, sinBox, cosEgo, sinEgo] = [Math.cos(box.yaw), Math.sin(box.yaw), Math.cos(ego.yaw), Math.sin(ego.yaw)];
  for (let corner = 0; corner < 8; corner++) {
    const along = (corner & 4 ? -0.5 : 0.5) * box.size[0];
    const across = (corner & 2 ? -0.5 : 0.5) * box.size[1];
    const dx = box.x + along * cosBox - across * sinBox - ego.x;
    const dy = box.y + along * sinBox + across * cosBox - ego.y;
    out[corner * 3] = dx * cosEgo + dy * sinEgo;
    out[corner * 3 + 1] = dy * cosEgo - dx * sinEgo;
    out[corner * 3 + 2] = box.z + (corner & 1 ? -0.5 : 0.5) * box.size[2];
  }
  return out;
}
