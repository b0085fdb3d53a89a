import { DatasetError } from "../errors.js";
import { egoCommand, egoWaypoints, isContinuous, PLAN_STEPS, waypointStride } from "../ego.js";
import { planarMotion } from "../motion.js";
import { COMMANDS, LIDAR_OFFSET, type Scene, type Track } from "../schema.js";
import { forwardOf, modelFrame, modelYaw, rightOf, worldFromModel, type ModelFrame } from "./frame.js";
import { LineIndex, resamplePath } from "./line-index.js";
import { mirrorSample } from "./mirror.js";
import {
  AGENT_FUTURE_STEPS,
  agentLabel,
  LINE_POINTS,
  lineLabel,
  PAST_STEPS,
  resolveFeatureOptions,
  type FeatureOptions,
  type ResolvedFeatureOptions,
  type Sample,
} from "./sample.js";

/** Turns frames of one scene into samples. */
export type FeatureBuilder = (frame: number, options?: FeatureOptions) => Sample;

/**
 * Prepares a scene for quick sampling: its map lines are indexed once.
 * @returns a function of (frame, options), deterministic, throwing DatasetError for frames outside the scene
 * @throws DatasetError when 0.5 s is no whole number of the scene's frames
 */
export function featureBuilder(scene: Scene): FeatureBuilder {
  const index = new LineIndex(scene);
  const stride = waypointStride(scene);
  return (frame, options) => {
    const settings = resolveFeatureOptions(options);
    if (!Number.isInteger(frame) || frame < 0 || frame >= scene.timestamps.length) {
      throw new DatasetError(`sampleFeatures: ${scene.id}: no such frame, expected 0 to ${scene.timestamps.length - 1}, got ${frame}. Use usableFrames(scene).`);
    }
    const placement = modelFrame(scene, frame);
    const sample: Sample = {
      ...agentFeatures(scene, frame, stride, placement, settings),
      ...lineFeatures(scene, index, placement, settings),
      ...egoFeatures(scene, frame, settings),
      timestamp: scene.timestamps[frame] ?? 0,
      worldFromModel: worldFromModel(placement),
      futureObstacles: Array.from({ length: PLAN_STEPS }, (_, t) => obstaclesAt(scene, frame + stride * (t + 1), placement)),
      drivingSide: scene.drivingSide,
      scene: scene.id,
      frame,
      mirrored: false,
    };
    return settings.mirror ? mirrorSample(sample) : sample;
  };
}

/**
 * The sample of one frame. Loops over a scene's frames should make one {@link featureBuilder} instead: this indexes
 * the scene's map anew at each call.
 */
export function sampleFeatures(scene: Scene, frame: number, options?: FeatureOptions): Sample {
  return featureBuilder(scene)(frame, options);
}

/**
 * Frames whose whole 3 s future was driven inside the scene, without a jump of the recorded pose.
 * @param phase only frames k with k mod (frames in 0.5 s) = phase; phase 0 is the original keyframes; default all
 */
export function usableFrames(scene: Scene, { phase }: { readonly phase?: number } = {}): number[] {
  const stride = waypointStride(scene);
  if (phase !== undefined && !(Number.isInteger(phase) && phase >= 0 && phase < stride)) {
    throw new DatasetError(`usableFrames: ${scene.id}: no such phase, expected 0 to ${stride - 1}, got ${phase}. A phase is a frame number modulo ${stride}.`);
  }
  const frames: number[] = [];
  for (let f = phase ?? 0; f < scene.timestamps.length; f += phase === undefined ? 1 : stride) {
    if (isContinuous(scene, f, f + stride * PLAN_STEPS)) frames.push(f);
  }
  return frames;
}

function agentFeatures(scene: Scene, frame: number, stride: number, placement: ModelFrame, { maxAgents, agentRange }: ResolvedFeatureOptions) {
  const near: { index: number; agent: Track; x: number; y: number; distance: number }[] = [];
  scene.agents.forEach((agent, index) => {
    if (agent.valid[frame] !== 1 || agent.observed?.[frame] === 0) return;
    const [x, y] = place(agent, frame, placement);
    const distance = Math.hypot(x, y);
    if (distance <= agentRange) near.push({ index, agent, x, y, distance });
  });
  near.sort((a, b) => a.distance - b.distance || a.index - b.index);

  const boxes = new Float32Array(9 * maxAgents);
  const labels = new Int32Array(maxAgents);
  const agentMask = new Float32Array(maxAgents);
  const instanceIds = new Int32Array(maxAgents).fill(-1);
  const futureDisplacement = new Float32Array(maxAgents * AGENT_FUTURE_STEPS * 2);
  const futureMask = new Float32Array(maxAgents * AGENT_FUTURE_STEPS);
  const pastDisplacement = new Float32Array(maxAgents * PAST_STEPS * 2);
  const pastMask = new Float32Array(maxAgents * PAST_STEPS);
  near.slice(0, maxAgents).forEach(({ index, agent, x, y }, slot) => {
    const [vx, vy] = [agent.velocity[2 * frame] ?? 0, agent.velocity[2 * frame + 1] ?? 0];
    const z = (agent.position[3 * frame + 2] ?? 0) - placement.z;
    const yaw = modelYaw(placement, agent.heading[frame] ?? 0);
    boxes.set([x, y, z, agent.length, agent.width, agent.height, yaw, rightOf(placement, vx, vy), forwardOf(placement, vx, vy)], 9 * slot);
    labels[slot] = agentLabel(agent.category);
    agentMask[slot] = 1;
    instanceIds[slot] = index;
    for (let t = 0; t < AGENT_FUTURE_STEPS; t++) {
      const at = frame + stride * (t + 1);
      if (agent.valid[at] !== 1) break;
      futureDisplacement.set(moved(agent, at - stride, at, placement), 2 * (slot * AGENT_FUTURE_STEPS + t));
      futureMask[slot * AGENT_FUTURE_STEPS + t] = 1;
    }
    for (let t = PAST_STEPS - 1; t >= 0; t--) {
      const at = frame - stride * (PAST_STEPS - t);
      if (agent.valid[at] !== 1) break;
      pastDisplacement.set(moved(agent, at, at + stride, placement), 2 * (slot * PAST_STEPS + t));
      pastMask[slot * PAST_STEPS + t] = 1;
    }
  });
  return { boxes, labels, agentMask, instanceIds, futureDisplacement, futureMask, pastDisplacement, pastMask };
}

function lineFeatures(scene: Scene, index: LineIndex, placement: ModelFrame, { maxLines, region }: ResolvedFeatureOptions) {
  const nearest = index
    .piecesWithin(placement, region)
    .map(({ line, points }, order) => {
      const resampled = new Float32Array(2 * LINE_POINTS);
      resamplePath(points, LINE_POINTS, resampled, 0);
      let distance = Infinity;
      for (let p = 0; p < LINE_POINTS; p++) distance = Math.min(distance, Math.hypot(resampled[2 * p] ?? 0, resampled[2 * p + 1] ?? 0));
      return { line, resampled, distance, order };
    })
    .sort((a, b) => a.distance - b.distance || a.order - b.order)
    .slice(0, maxLines);
  const lines = new Float32Array(maxLines * LINE_POINTS * 2);
  const lineLabels = new Int32Array(maxLines);
  const lineMask = new Float32Array(maxLines);
  nearest.forEach(({ line, resampled }, slot) => {
    lines.set(resampled, slot * LINE_POINTS * 2);
    const category = scene.lines[line]?.category;
    lineLabels[slot] = category === undefined ? 0 : lineLabel(category);
    lineMask[slot] = 1;
  });
  return { lines, lineLabels, lineMask };
}

function egoFeatures(scene: Scene, frame: number, { egoPoint, egoStatus }: ResolvedFeatureOptions) {
  const ahead = egoPoint === "lidar" ? LIDAR_OFFSET.forward : 0;
  const future = egoWaypoints(scene, frame, PLAN_STEPS, ahead);
  const past = egoWaypoints(scene, frame, -PAST_STEPS, ahead);
  const egoFuture = new Float32Array(2 * PLAN_STEPS);
  for (let t = 0; t < PLAN_STEPS && future.mask[t] === 1; t++) egoFuture.set(step(future.points, t, 1), 2 * t);
  const egoPast = new Float32Array(2 * PAST_STEPS);
  const egoPastMask = new Float32Array(PAST_STEPS);
  for (let t = 0; t < PAST_STEPS && past.mask[t] === 1; t++) {
    egoPast.set(step(past.points, t, -1), 2 * (PAST_STEPS - 1 - t));
    egoPastMask[PAST_STEPS - 1 - t] = 1;
  }
  const measured = egoStatus === "measured" ? scene.egoStatus?.subarray(10 * frame, 10 * frame + 10) : undefined;
  return {
    egoStatus: measured === undefined ? statusFromPath(scene, frame) : Float32Array.from(measured),
    command: COMMANDS.indexOf(egoCommand(scene, frame)),
    egoFuture,
    egoFutureMask: Float32Array.from(future.mask),
    egoPast,
    egoPastMask,
  };
}

function statusFromPath(scene: Scene, frame: number): Float32Array {
  const { speed, acceleration, yawRate } = planarMotion(scene.ego.position, scene.ego.heading, frame, scene.interval, scene.jumps);
  return Float32Array.of(acceleration, speed * yawRate, 0, 0, 0, yawRate, speed, 0, 0, scene.steering[frame] ?? 0);
}

/** Displacement of step t of (forward, left) waypoints in model axes (right, forward); sign -1 for the past. */
function step(points: Float64Array, t: number, sign: 1 | -1): [number, number] {
  const forward = (points[2 * t] ?? 0) - (t > 0 ? (points[2 * t - 2] ?? 0) : 0);
  const left = (points[2 * t + 1] ?? 0) - (t > 0 ? (points[2 * t - 1] ?? 0) : 0);
  // 0 - x: no negative zeros.
  return [0 - sign * left, sign * forward];
}

function place(agent: Track, frame: number, placement: ModelFrame): [number, number] {
  const dx = (agent.position[3 * frame] ?? 0) - placement.x;
  const dy = (agent.position[3 * frame + 1] ?? 0) - placement.y;
  return [rightOf(placement, dx, dy), forwardOf(placement, dx, dy)];
}

function moved(agent: Track, from: number, to: number, placement: ModelFrame): [number, number] {
  const dx = (agent.position[3 * to] ?? 0) - (agent.position[3 * from] ?? 0);
  const dy = (agent.position[3 * to + 1] ?? 0) - (agent.position[3 * from + 1] ?? 0);
  return [rightOf(placement, dx, dy), forwardOf(placement, dx, dy)];
}

function obstaclesAt(scene: Scene, frame: number, placement: ModelFrame): Float64Array {
  const boxes: number[] = [];
  for (const agent of scene.agents) {
    if (agent.valid[frame] !== 1) continue;
    boxes.push(...place(agent, frame, placement), agent.length, agent.width, modelYaw(placement, agent.heading[frame] ?? 0));
  }
  return Float64Array.from(boxes);
}
