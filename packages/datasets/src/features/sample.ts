import { AGENT_CLASSES, MAP_CLASSES, type Scene } from "../schema.js";

/** Future of an agent in a sample: 12 steps of 0.5 s. */
export const AGENT_FUTURE_STEPS = 12;
/** History in a sample: 4 steps of 0.5 s. */
export const PAST_STEPS = 4;
/** Points a map line is resampled to. */
export const LINE_POINTS = 20;

/** What a sample shall hold. Lengths in metres. */
export interface FeatureOptions {
  /** Capacity N; nearest agents first, the rest is dropped. Default 64. */
  readonly maxAgents?: number;
  /** Capacity L; nearest lines first, the rest is dropped. Default 32. */
  readonly maxLines?: number;
  /** m around the lidar in which an agent's centre must lie. Default 55. */
  readonly agentRange?: number;
  /** m, half sizes of the map region: |x| <= region.x, |y| <= region.y. Default 15 and 30 (the published 30 m x 60 m). */
  readonly region?: { readonly x: number; readonly y: number };
  /**
   * The point of the car whose path is planned. "lidar" (default, as published) is the origin of the model frame, so a
   * path starts at (0, 0); "rearAxle" is the point of the source data, 0.94 m behind.
   */
  readonly egoPoint?: "lidar" | "rearAxle";
  /**
   * "measured" (default, as published): the car's own measurements where the scene has them. "path": always told from the
   * driven path, which is the same for all sources.
   */
  readonly egoStatus?: "measured" | "path";
  /** Left-right mirrored, as if the scene had been filmed in a mirror. Default false. */
  readonly mirror?: boolean;
}

/** {@link FeatureOptions} with every default filled in. */
export type ResolvedFeatureOptions = Required<FeatureOptions>;

/** Fills in the defaults of feature options. */
export function resolveFeatureOptions(options: FeatureOptions = {}): ResolvedFeatureOptions {
  return { maxAgents: 64, maxLines: 32, agentRange: 55, region: { x: 15, y: 30 }, egoPoint: "lidar", egoStatus: "measured", mirror: false, ...options };
}

/**
 * One moment of a scene as the models see it, in the MODEL frame of that moment: right-handed, x right, y forward, z up,
 * origin at the lidar, yaw counter-clockwise from +x, so the ego looks along +y (yaw pi/2). Metres, seconds, radians.
 * Displacements are between consecutive 0.5 s frames, in the axes of this moment. Padding is zeros (ids: -1).
 */
export interface Sample {
  /** [N, 9] x, y, z, length (along the heading), width, height, yaw, vx, vy. */
  readonly boxes: Float32Array;
  /** [N] index into AGENT_CLASSES. */
  readonly labels: Int32Array;
  /** [N] 1 where an agent is. */
  readonly agentMask: Float32Array;
  /** [N] index of the agent in `scene.agents`; -1 where none is. */
  readonly instanceIds: Int32Array;
  /** [N, 12, 2] */
  readonly futureDisplacement: Float32Array;
  /** [N, 12] 1 while the agent is annotated without a gap. */
  readonly futureMask: Float32Array;
  /** [N, 4, 2] oldest first; the last entry ends at this moment. */
  readonly pastDisplacement: Float32Array;
  /** [N, 4] */
  readonly pastMask: Float32Array;
  /** [L, 20, 2] clipped to the region, equidistant. */
  readonly lines: Float32Array;
  /** [L] index into MAP_CLASSES. */
  readonly lineLabels: Int32Array;
  /** [L] 1 where a line is. */
  readonly lineMask: Float32Array;
  /**
   * [10] in VEHICLE axes (x forward, y left, z up): acceleration (3, m/s^2), angular rate (3, rad/s), velocity
   * (3, m/s), steering angle (rad, left positive). Told from the path of the last second (see `planarMotion`): vertical
   * entries, roll and pitch are 0, gravity is not included, the angle is the road wheels'. Measured (`Scene.egoStatus`):
   * gravity is in the third number and the angle is the steering wheel's, as published.
   */
  readonly egoStatus: Float32Array;
  /** Index into COMMANDS: 0 right, 1 left, 2 straight; from the rear axle's path over the next 3 s. */
  readonly command: number;
  /** [6, 2] */
  readonly egoFuture: Float32Array;
  /** [6] 1 where the step is inside the scene and no jump of the recorded pose lies before it. */
  readonly egoFutureMask: Float32Array;
  /** [4, 2] oldest first. */
  readonly egoPast: Float32Array;
  /** [4] */
  readonly egoPastMask: Float32Array;
  /** s since the start of the scene's clock. */
  readonly timestamp: number;
  /** [4, 4] row-major; model frame to the scene's world frame (mirrored samples: to the mirrored world, y negated). */
  readonly worldFromModel: Float64Array;
  /** Per step 1..6: [K, 5] x, y, length, width, yaw of every annotated agent then, all classes, any distance, flat. */
  readonly futureObstacles: readonly Float64Array[];
  readonly drivingSide: Scene["drivingSide"];
  readonly scene: string;
  readonly frame: number;
  readonly mirrored: boolean;
}

/** Sample fields that stack into batch arrays, with the extents behind the batch extent. */
export const SAMPLE_EXTENTS = {
  boxes: (n: number) => [n, 9],
  labels: (n: number) => [n],
  agentMask: (n: number) => [n],
  instanceIds: (n: number) => [n],
  futureDisplacement: (n: number) => [n, AGENT_FUTURE_STEPS, 2],
  futureMask: (n: number) => [n, AGENT_FUTURE_STEPS],
  pastDisplacement: (n: number) => [n, PAST_STEPS, 2],
  pastMask: (n: number) => [n, PAST_STEPS],
  lines: (_: number, l: number) => [l, LINE_POINTS, 2],
  lineLabels: (_: number, l: number) => [l],
  lineMask: (_: number, l: number) => [l],
  egoStatus: () => [10],
  egoFuture: () => [6, 2],
  egoFutureMask: () => [6],
  egoPast: () => [PAST_STEPS, 2],
  egoPastMask: () => [PAST_STEPS],
} as const satisfies Partial<Record<keyof Sample, (agents: number, lines: number) => readonly number[]>>;

/** Label of an agent class. */
export const agentLabel = (category: (typeof AGENT_CLASSES)[number]): number => AGENT_CLASSES.indexOf(category);
/** Label of a map line class. */
export const lineLabel = (category: (typeof MAP_CLASSES)[number]): number => MAP_CLASSES.indexOf(category);
