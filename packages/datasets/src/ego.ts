import { DatasetError } from "./errors.js";
import type { AgentClass, Command, Scene } from "./schema.js";

/** s between waypoints. */
export const WAYPOINT_INTERVAL = 0.5;
/** Waypoints of a plan: 3 s. */
export const PLAN_STEPS = 6;
/** m the last waypoint must lie to a side for the command to be a turn. */
const TURN_DISTANCE = 2;

/**
 * Frames between two waypoints (0.5 s).
 * @throws DatasetError when 0.5 s is no whole number of frames
 */
export function waypointStride(scene: Pick<Scene, "id" | "interval">): number {
  const stride = WAYPOINT_INTERVAL / scene.interval;
  if (Math.abs(stride - Math.round(stride)) > 1e-3 || Math.round(stride) < 1) {
    throw new DatasetError(`scene ${scene.id}: interval: expected a whole part of ${WAYPOINT_INTERVAL} s, got ${scene.interval} s. Resample the scene, for instance to 0.1 s.`);
  }
  return Math.round(stride);
}

/** True where the ego drives from frame `from` to frame `to` (either order) inside the scene and without a jump. */
export function isContinuous(scene: Scene, from: number, to: number): boolean {
  const [first, last] = from <= to ? [from, to] : [to, from];
  return first >= 0 && last < scene.timestamps.length && !scene.jumps.some((jump) => jump > first && jump <= last);
}

/** Driven waypoints after a frame. */
export interface Waypoints {
  /** [steps, 2] m, forward and left in the ego frame (rear axle) of the frame; zeros where not driven. */
  readonly points: Float64Array;
  /** [steps] 1 where the waypoint exists and no jump lies between. */
  readonly mask: Uint8Array;
}

/**
 * The ego's next positions, every 0.5 s, in its own frame: forward = cos(h) dx + sin(h) dy, left = cos(h) dy - sin(h) dx.
 * @param steps how many, default 6 (3 s); negative: the past ones, most recent first
 * @param ahead m from the rear axle to the point that is followed along the car, default 0 (the rear axle itself);
 *   positions are relative to that point at `frame`
 */
export function egoWaypoints(scene: Scene, frame: number, steps: number = PLAN_STEPS, ahead = 0): Waypoints {
  const stride = waypointStride(scene) * Math.sign(steps);
  const count = Math.abs(steps);
  const points = new Float64Array(2 * count);
  const mask = new Uint8Array(count);
  const { position, heading } = scene.ego;
  const h = heading[frame] ?? 0;
  const [cos, sin] = [Math.cos(h), Math.sin(h)];
  for (let t = 0; t < count; t++) {
    const at = frame + stride * (t + 1);
    if (!isContinuous(scene, frame, at)) break;
    const turned = (heading[at] ?? 0) - h;
    const dx = (position[3 * at] ?? 0) - (position[3 * frame] ?? 0);
    const dy = (position[3 * at + 1] ?? 0) - (position[3 * frame + 1] ?? 0);
    points[2 * t] = cos * dx + sin * dy + ahead * (Math.cos(turned) - 1);
    points[2 * t + 1] = cos * dy - sin * dx + ahead * Math.sin(turned);
    mask[t] = 1;
  }
  return { points, mask };
}

/** Command of a driven path: a turn where the rear axle's last waypoint lies 2 m or more to a side. @param left m */
export function commandOf(left: number): Command {
  return left >= TURN_DISTANCE ? "left" : left <= -TURN_DISTANCE ? "right" : "straight";
}

/**
 * Command at a frame, from the rear axle's last driven waypoint within 3 s; "straight" where nothing was driven.
 */
export function egoCommand(scene: Scene, frame: number): Command {
  const { points, mask } = egoWaypoints(scene, frame);
  const last = mask.lastIndexOf(1);
  return commandOf(last < 0 ? 0 : (points[2 * last + 1] ?? 0));
}

/**
 * Speed of the next recorded step, |p[k + 1] - p[k]| / interval; the last frame repeats the step before.
 * Single steps are up to 40 % off in recorded scenes: models should use the egoStatus of a sample.
 * @returns m/s
 */
export function stepSpeed(scene: Scene, frame: number): number {
  const k = Math.min(frame, scene.timestamps.length - 2);
  const { position } = scene.ego;
  return Math.hypot((position[3 * k + 3] ?? 0) - (position[3 * k] ?? 0), (position[3 * k + 4] ?? 0) - (position[3 * k + 1] ?? 0)) / scene.interval;
}

const VEHICLES: ReadonlySet<AgentClass> = new Set<AgentClass>(["car", "truck", "construction_vehicle", "bus", "trailer"]);

/** Number of vehicles (cars, trucks, construction vehicles, buses, trailers) whose centre is within `range` m of the rear axle. */
export function countVehicles(scene: Scene, frame: number, range: number): number {
  const [x, y] = [scene.ego.position[3 * frame] ?? 0, scene.ego.position[3 * frame + 1] ?? 0];
  return scene.agents.filter((agent) => {
    if (agent.valid[frame] !== 1 || !VEHICLES.has(agent.category)) return false;
    return Math.hypot((agent.position[3 * frame] ?? 0) - x, (agent.position[3 * frame + 1] ?? 0) - y) <= range;
  }).length;
}
