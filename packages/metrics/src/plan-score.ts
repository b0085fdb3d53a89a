/**
 * Open-loop planning metric of one sample, defined exactly as in the published evaluation (reference fact S12).
 *
 * L2(t): distance between the planned and the driven waypoint at step t.
 *
 * Collision(t): the ego box at the planned waypoint shares a point with an annotated box of the same step, touching
 * included. The ego box is 4.084 x 1.85 m with its centre 0.5 m ahead of the waypoint along the plan's yaw. A step
 * where the driven path itself collides is not counted against the planner.
 *
 * Yaw(t): if the last planned waypoint is less than 0.5 m from the FIRST one, the plan stands and looks ahead (pi/2);
 * otherwise the direction from the previous to the next waypoint, the one before the first being the origin; the last
 * step looks from its predecessor.
 */
import { EGO_SIZE, PLAN_STEPS } from "@distilldrive/datasets";
import { finiteAt, requireLength } from "./errors.js";
import { boxesIntersect, obstacleAt, type OrientedBox } from "./oriented-box.js";

/** m, distance from the waypoint (the lidar) to the centre of the ego box, along the yaw. */
export const EGO_CENTRE_AHEAD = 0.5;
/** m, a plan whose last waypoint is closer than this to its first one stands. */
export const STANDING_DISTANCE = 0.5;

/** What the metric says about one plan. */
export interface PlanScore {
  /** [6] m, distance to the driven waypoint. */
  readonly l2: Float64Array;
  /** [6] 1 where the plan collides and the driven path does not. */
  readonly collision: Uint8Array;
  /** [6] 1 where the driven path itself meets an annotated box. */
  readonly truthCollision: Uint8Array;
}

/**
 * Running sum of displacements.
 *
 * @param displacements [T, 2] m, from one step to the next, flat
 * @returns [T, 2] m, positions
 */
export function cumulate(displacements: ArrayLike<number>): Float64Array {
  const positions = new Float64Array(displacements.length);
  for (let i = 0; i < positions.length; i += 1) {
    positions[i] = (positions[i - 2] ?? 0) + finiteAt(displacements, i, "metrics.cumulate");
  }
  return positions;
}

/**
 * Distance between two paths at every step.
 *
 * @param a [T, 2] m, flat
 * @param b [T, 2] m, flat
 * @param mask [T] 0 where the step has no truth: its distance is 0; default all 1
 * @returns [T] m
 * @throws MetricError when the lengths differ or a value is not finite
 */
export function pathDistances(a: ArrayLike<number>, b: ArrayLike<number>, mask?: ArrayLike<number>): Float64Array {
  requireLength(b, a.length, "metrics.pathDistances", "both paths [T, 2]");
  const distances = new Float64Array(a.length / 2);
  for (let t = 0; t < distances.length; t += 1) {
    if (mask !== undefined && mask[t] === 0) continue;
    const read = (path: ArrayLike<number>, axis: number): number => finiteAt(path, 2 * t + axis, "metrics.pathDistances");
    distances[t] = Math.hypot(read(a, 0) - read(b, 0), read(a, 1) - read(b, 1));
  }
  return distances;
}

/**
 * Yaw of the ego at every waypoint of a path that starts at the origin; see the top of this file.
 *
 * @param waypoints [T, 2] m, positions in the model frame, flat
 * @returns [T] rad, counter-clockwise from +x
 * @throws MetricError when a value is not finite
 */
export function pathYaw(waypoints: ArrayLike<number>): Float64Array {
  const steps = waypoints.length / 2;
  const yaw = new Float64Array(steps);
  const at = (t: number, axis: number): number => (t < 0 ? 0 : finiteAt(waypoints, 2 * t + axis, "metrics.pathYaw"));
  if (steps === 0) return yaw;
  const last = steps - 1;
  if (Math.hypot(at(last, 0) - at(0, 0), at(last, 1) - at(0, 1)) < STANDING_DISTANCE) return yaw.fill(Math.PI / 2);
  for (let t = 0; t < steps; t += 1) {
    const next = Math.min(t + 1, last);
    yaw[t] = Math.atan2(at(next, 1) - at(t - 1, 1), at(next, 0) - at(t - 1, 0));
  }
  return yaw;
}

/**
 * Whether the ego box meets an obstacle, at every step of a path.
 *
 * @param waypoints [T, 2] m, positions in the model frame, flat
 * @param obstacles per step [K, 5] x, y, length, width (m), yaw (rad), model frame, flat; K may differ from step to
 *   step and steps beyond the list are free. Rows without extent (padding) are ignored.
 * @returns [T] 1 where it does
 * @throws MetricError when a value is not finite
 */
export function pathCollisions(waypoints: ArrayLike<number>, obstacles: readonly ArrayLike<number>[]): Uint8Array {
  const yaw = pathYaw(waypoints);
  return Uint8Array.from(yaw, (heading, t) => {
    const ego: OrientedBox = {
      x: finiteAt(waypoints, 2 * t, "metrics.pathCollisions") + EGO_CENTRE_AHEAD * Math.cos(heading),
      y: finiteAt(waypoints, 2 * t + 1, "metrics.pathCollisions") + EGO_CENTRE_AHEAD * Math.sin(heading),
      length: EGO_SIZE.length,
      width: EGO_SIZE.width,
      yaw: heading,
    };
    const rows = obstacles[t] ?? [];
    for (let row = 0; row < rows.length / 5; row += 1) {
      const obstacle = obstacleAt(rows, row);
      if (obstacle.length > 0 && obstacle.width > 0 && boxesIntersect(ego, obstacle)) return 1;
    }
    return 0;
  });
}

/**
 * Scores one plan against the driven path and the annotated boxes of the same steps.
 *
 * @param plan [6, 2] m, positions in the model frame, flat
 * @param truth [6, 2] m, driven positions in the model frame, flat
 * @param obstacles per step [K, 5] x, y, length, width (m), yaw (rad), model frame, flat
 * @throws MetricError when a shape is wrong or a value is not finite
 */
export function scorePlan(
  plan: ArrayLike<number>,
  truth: ArrayLike<number>,
  obstacles: readonly ArrayLike<number>[],
): PlanScore {
  requireLength(plan, 2 * PLAN_STEPS, "metrics.scorePlan plan", "[6, 2] positions");
  requireLength(truth, 2 * PLAN_STEPS, "metrics.scorePlan truth", "[6, 2] positions");
  const truthCollision = pathCollisions(truth, obstacles);
  const collision = pathCollisions(plan, obstacles).map((hit, t) => (truthCollision[t] === 1 ? 0 : hit));
  return { l2: pathDistances(plan, truth), collision, truthCollision };
}
