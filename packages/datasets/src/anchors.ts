import { kmeans } from "ml-kmeans";
import { z } from "zod";
import { egoCommand, egoWaypoints, PLAN_STEPS, waypointStride } from "./ego.js";
import { DatasetError } from "./errors.js";
import { AGENT_FUTURE_STEPS } from "./features/sample.js";
import { usableFrames } from "./features/build.js";
import { AGENT_CLASSES, COMMANDS, LIDAR_OFFSET, type AgentClass, type Scene } from "./schema.js";

/** Modes per command and per class. */
export const MODES = 6;

/** Typical trajectories the modes start from. Positions (cumulative), metres, one every 0.5 s. */
export interface Anchors {
  /** [3, 6, 6, 2] (6 modes unless others were asked for) per command (COMMANDS order) and mode: x right, y forward; model axes, from the planned point. */
  readonly plan: Float32Array;
  /** [10, 6, 12, 2] per class and mode in the agent's own frame, x along its heading, y left: rotate by yaw to use. */
  readonly motion: Float32Array;
  /** [3] driven paths the plan anchors were made from; where below the modes, defaults fill up. */
  readonly planSamples: readonly number[];
  /** [10] likewise for the motion anchors. */
  readonly motionSamples: readonly number[];
}

/** Options of {@link buildAnchors}. */
export interface AnchorOptions {
  /** Also use every path mirrored. Default true. */
  readonly mirror?: boolean;
  /** Seed of the clustering. Default 0. */
  readonly seed?: number;
  /** As in FeatureOptions. Default "lidar". */
  readonly egoPoint?: "lidar" | "rearAxle";
  /** Modes per command, 1 to 20. Default 6, which our planners read. */
  readonly planModes?: number;
  /** Modes per class, likewise. */
  readonly motionModes?: number;
}

/** Paths clustered per command or class at most; more are thinned out evenly. */
const MOST_PATHS = 4000;
/** Clusterings tried; the tightest is kept. */
const TRIALS = 3;
/** m; paths closer than this everywhere count as the same. */
const SAME = 1e-3;

/**
 * Clusters the driven paths of all usable frames (all 10 Hz phases) per command, and the agents' paths per class, by
 * seeded k-means: same scenes, same seed, same anchors. Modes are ordered by length, then from left to right.
 *
 * Where fewer different paths than modes exist (a parked scene, a class that is never seen), those that exist are kept and
 * default arcs fill up: a command without any path takes the other turn's paths mirrored, then arcs of 60 degrees
 * (turns) or none (straight) at 2 to 12 m/s; a class takes straight paths up to its usual speed.
 */
export function buildAnchors(scenes: readonly Scene[], options: AnchorOptions = {}): Anchors {
  const { mirror = true, seed = 0, egoPoint = "lidar", planModes = MODES, motionModes = MODES } = options;
  const driven = drivenPaths(scenes, mirror, egoPoint === "lidar" ? LIDAR_OFFSET.forward : 0);
  const plan = COMMANDS.map((command, c) => {
    const own = driven[c] ?? [];
    const borrowed = own.length > 0 || command === "straight" ? own : (driven[1 - c] ?? []).map((path) => path.map((v, i) => (i % 2 === 0 ? 0 - v : v)));
    return { samples: own.length, centres: cluster(borrowed, defaultPlans(command, planModes), planModes, seed) };
  });
  const moved = agentPaths(scenes, mirror);
  const motion = AGENT_CLASSES.map((category) => {
    const paths = moved.get(category) ?? [];
    return { samples: paths.length, centres: cluster(paths, defaultMotions(category, motionModes), motionModes, seed) };
  });
  return {
    plan: Float32Array.from(plan.flatMap(({ centres }) => centres.flat())),
    motion: Float32Array.from(motion.flatMap(({ centres }) => centres.flat())),
    planSamples: plan.map(({ samples }) => samples),
    motionSamples: motion.map(({ samples }) => samples),
  };
}

/** Driven paths per command label: [steps * 2] x right, y forward. */
function drivenPaths(scenes: readonly Scene[], mirror: boolean, ahead: number): number[][][] {
  const paths: number[][][] = COMMANDS.map(() => []);
  for (const scene of scenes) {
    for (const frame of usableFrames(scene)) {
      const { points } = egoWaypoints(scene, frame, PLAN_STEPS, ahead);
      const path = Array.from(points, (_, i) => (i % 2 === 0 ? 0 - (points[i + 1] ?? 0) : (points[i - 1] ?? 0)));
      const label = COMMANDS.indexOf(egoCommand(scene, frame));
      paths[label]?.push(path);
      if (mirror) paths[label === 2 ? 2 : 1 - label]?.push(path.map((v, i) => (i % 2 === 0 ? 0 - v : v)));
    }
  }
  return paths;
}

/** Paths of agents with a whole 6 s future, in their own frames, from the original keyframes. */
function agentPaths(scenes: readonly Scene[], mirror: boolean): Map<AgentClass, number[][]> {
  const paths = new Map<AgentClass, number[][]>();
  for (const scene of scenes) {
    const stride = waypointStride(scene);
    for (const agent of scene.agents) {
      const list = paths.get(agent.category) ?? [];
      paths.set(agent.category, list);
      for (const frame of scene.keyframes) {
        const path: number[] = [];
        const heading = agent.heading[frame] ?? 0;
        const [cos, sin] = [Math.cos(heading), Math.sin(heading)];
        for (let t = 0; t <= AGENT_FUTURE_STEPS && agent.valid[frame + stride * t] === 1; t++) {
          const at = 3 * (frame + stride * t);
          const dx = (agent.position[at] ?? 0) - (agent.position[3 * frame] ?? 0);
          const dy = (agent.position[at + 1] ?? 0) - (agent.position[3 * frame + 1] ?? 0);
          if (t > 0) path.push(cos * dx + sin * dy, cos * dy - sin * dx);
        }
        if (path.length < 2 * AGENT_FUTURE_STEPS) continue;
        list.push(path);
        if (mirror) list.push(path.map((v, i) => (i % 2 === 1 ? 0 - v : v)));
      }
    }
  }
  return paths;
}

/** Centres of the given paths; `defaults` fill up where fewer than `modes` differ. */
function cluster(all: readonly number[][], defaults: readonly number[][], modes: number, seed: number): number[][] {
  const thinning = Math.ceil(all.length / MOST_PATHS);
  const paths = all.filter((_, i) => i % Math.max(1, thinning) === 0);
  const distinct = differing(paths, modes);
  if (distinct.length < modes) {
    const missing = defaults.filter((path) => distinct.every((other) => !same(path, other)));
    return ordered([...distinct, ...missing].slice(0, modes));
  }
  let best: { spread: number; centres: number[][] } | null = null;
  for (let trial = 0; trial < TRIALS; trial++) {
    const { clusters, centroids } = kmeans(paths, modes, { seed: 1 + TRIALS * seed + trial, initialization: "kmeans++" });
    const spread = paths.reduce((sum, path, i) => sum + squaredDistance(path, centroids[clusters[i] ?? 0] ?? []), 0);
    if (best === null || spread < best.spread) best = { spread, centres: centroids };
  }
  return ordered(best?.centres ?? []);
}

/** Up to `most` paths that differ from one another. */
function differing(paths: readonly number[][], most: number): number[][] {
  const found: number[][] = [];
  for (const path of paths) {
    if (found.length === most) break;
    if (found.every((other) => !same(path, other))) found.push(path);
  }
  return found;
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.every((v, i) => Math.abs(v - (b[i] ?? 0)) < SAME);

const squaredDistance = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + (v - (b[i] ?? 0)) ** 2, 0);

/** Short paths first, then from smaller to larger x, so that the order does not depend on the clustering. */
function ordered(paths: readonly number[][]): number[][] {
  const reach = (path: readonly number[]): number => Math.hypot(path.at(-2) ?? 0, path.at(-1) ?? 0);
  return [...paths].sort((a, b) => reach(a) - reach(b) || (a.at(-2) ?? 0) - (b.at(-2) ?? 0));
}

/** Arcs of 60 degrees to the side of the command (straight: 0) at 2, 4, .. m/s; x right, y forward. */
function defaultPlans(command: (typeof COMMANDS)[number], modes: number): number[][] {
  const turn = command === "straight" ? 0 : (Math.PI / 3) * (command === "right" ? 1 : -1);
  return Array.from({ length: 2 * modes }, (_, m) => arc(2 * (m + 1), turn, PLAN_STEPS).map(([forward, side]) => [side, forward])).map((path) => path.flat());
}

/** Usual top speeds (m/s) of classes for which no data exists. */
const TOP_SPEED: Readonly<Record<AgentClass, number>> = {
  car: 12,
  truck: 12,
  construction_vehicle: 4,
  bus: 12,
  trailer: 12,
  barrier: 0.5,
  motorcycle: 12,
  bicycle: 6,
  pedestrian: 2,
  traffic_cone: 0.5,
};

function defaultMotions(category: AgentClass, modes: number): number[][] {
  return Array.from({ length: 2 * modes }, (_, m) => arc((TOP_SPEED[category] * m) / Math.max(1, modes - 1), 0, AGENT_FUTURE_STEPS).flat());
}

/** Positions (forward, right) along an arc driven at a constant speed, turning `turn` rad to the right in all. */
function arc(speed: number, turn: number, steps: number): [number, number][] {
  return Array.from({ length: steps }, (_, t) => {
    const share = (t + 1) / steps;
    const way = 0.5 * speed * (t + 1);
    const angle = turn * share;
    return angle === 0 ? [way, 0] : [(way * Math.sin(angle)) / angle, (way * (1 - Math.cos(angle))) / angle];
  });
}

const FORMAT = "distilldrive-anchors-1";
const numbers = (count: number): z.ZodType<number[]> => z.array(z.number()).length(count);
const AnchorFile = z.strictObject({
  format: z.literal(FORMAT),
  plan: numbers(3 * MODES * PLAN_STEPS * 2),
  motion: numbers(10 * MODES * AGENT_FUTURE_STEPS * 2),
  planSamples: numbers(3),
  motionSamples: numbers(10),
});

/** Writes anchors as JSON; {@link anchorsFromJson} gives back the same bits. */
export function anchorsToJson(anchors: Anchors): string {
  return JSON.stringify({ format: FORMAT, ...anchors, plan: Array.from(anchors.plan), motion: Array.from(anchors.motion) });
}

/**
 * Reads anchors written by {@link anchorsToJson}.
 * @param where start of the message, e.g. the file's name
 * @throws DatasetError for text that is no anchor file, with the path of the first wrong field
 */
export function anchorsFromJson(text: string, where: string): Anchors {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new DatasetError(`${where}: expected a JSON file with anchors, got something else. Build the anchors again.`, { cause });
  }
  const parsed = AnchorFile.safeParse(content);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new DatasetError(`${where}: ${issue?.path.join(".") || "anchors"}: ${issue?.message ?? "invalid"}. Build the anchors again.`);
  }
  const { plan, motion, planSamples, motionSamples } = parsed.data;
  return { plan: Float32Array.from(plan), motion: Float32Array.from(motion), planSamples, motionSamples };
}
