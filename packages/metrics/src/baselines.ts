/**
 * Planners without a model, the least a learned planner must beat. All read the ego status only.
 *
 * The status describes the rear axle in vehicle axes (x forward, y left); a waypoint is a position of the lidar, the
 * origin of the model frame, which sits ahead of the axle. So a turning car moves its origin sideways by yaw rate
 * times lever, and swings it around the axle.
 */
import { LIDAR_OFFSET, PLAN_STEPS, WAYPOINT_INTERVAL } from "@distilldrive/datasets";
import { finiteAt, requireLength } from "./errors.js";

/** What a baseline needs of a sample; the feature builder's `Sample` fits. */
export interface EgoMotion {
  /** [10] acceleration (m/s^2, 3), angular rate (rad/s, 3), velocity (m/s, 3), steering (rad), vehicle axes. */
  readonly egoStatus: ArrayLike<number>;
}

/** Where the planned point sits on the car. */
export interface BaselineOptions {
  /** m ahead of the rear axle, default the lidar's 0.94; 0 plans for the axle itself. */
  readonly ahead?: number;
}

/** A planner without parameters: ego status in, [6, 2] m positions in the model frame out, one every 0.5 s, flat. */
export type BaselinePlanner = (sample: EgoMotion, options?: BaselineOptions) => Float64Array;

/** rad/s, below this the arc is computed as its straight limit. */
const STRAIGHT_RATE = 1e-6;

/** Planner that never moves: [6, 2] zeros. */
export function standStill(): Float64Array {
  return new Float64Array(2 * PLAN_STEPS);
}

/**
 * The origin keeps its present velocity vector.
 *
 * @returns [6, 2] m, positions in the model frame, flat
 * @throws MetricError when the status is not ten finite numbers
 */
export function constantVelocity(sample: EgoMotion, options: BaselineOptions = {}): Float64Array {
  const { forward, left, rate } = readMotion(sample);
  const { ahead = LIDAR_OFFSET.forward } = options;
  return waypointsOf((time) => [time * forward, time * (left + rate * ahead)]);
}

/**
 * The car keeps its yaw rate and its velocity in vehicle axes: the rear axle drives an arc, the origin swings with it.
 *
 * @returns [6, 2] m, positions in the model frame, flat
 * @throws MetricError when the status is not ten finite numbers
 */
export function constantTurnRate(sample: EgoMotion, options: BaselineOptions = {}): Float64Array {
  const { forward, left, rate } = readMotion(sample);
  const { ahead = LIDAR_OFFSET.forward } = options;
  return waypointsOf((time) => {
    const angle = rate * time;
    const straight = Math.abs(rate) < STRAIGHT_RATE;
    const alongIntegral = straight ? time : Math.sin(angle) / rate;
    const acrossIntegral = straight ? (rate * time * time) / 2 : (1 - Math.cos(angle)) / rate;
    return [
      forward * alongIntegral - left * acrossIntegral + ahead * (Math.cos(angle) - 1),
      forward * acrossIntegral + left * alongIntegral + ahead * Math.sin(angle),
    ];
  });
}

/** The baselines by the name they carry in tables. */
export const BASELINES: Readonly<Record<"stand still" | "constant velocity" | "constant turn rate", BaselinePlanner>> = {
  "stand still": standStill,
  "constant velocity": constantVelocity,
  "constant turn rate": constantTurnRate,
};

function readMotion(sample: EgoMotion): { forward: number; left: number; rate: number } {
  const where = "metrics.baseline egoStatus";
  requireLength(sample.egoStatus, 10, where, "[10]");
  return {
    rate: finiteAt(sample.egoStatus, 5, where),
    forward: finiteAt(sample.egoStatus, 6, where),
    left: finiteAt(sample.egoStatus, 7, where),
  };
}

/** Samples a motion given as (forward, left) metres over time into model-frame waypoints (x right, y forward). */
function waypointsOf(position: (time: number) => readonly [number, number]): Float64Array {
  const waypoints = new Float64Array(2 * PLAN_STEPS);
  for (let t = 0; t < PLAN_STEPS; t += 1) {
    const [forward, left] = position(WAYPOINT_INTERVAL * (t + 1));
    waypoints[2 * t] = -left;
    waypoints[2 * t + 1] = forward;
  }
  return waypoints;
}
