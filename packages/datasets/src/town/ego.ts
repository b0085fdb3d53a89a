import { curvePoint, type CurvePoint } from "./curve.js";
import { EGO_WHEELBASE } from "./fleet.js";
import { laneIndexAt, type Path } from "./path.js";
import type { Random } from "./random.js";
import { rearOf, type Vehicle } from "./vehicle.js";

/** How the expert strays from the middle of its lane: d(s) = offset + amplitude sin(2 pi s / wavelength + phase). */
export interface Wander {
  /** m, left positive. */
  readonly offset: number;
  readonly amplitude: number;
  /** m. */
  readonly wavelength: number;
  /** rad. */
  readonly phase: number;
}

/** Draws a wander of at most 0.12 m around the given offset. */
export function drawWander(random: Random, offset: number): Wander {
  return {
    offset,
    amplitude: random.range(0, 0.12),
    wavelength: random.range(50, 90),
    phase: random.range(0, 2 * Math.PI),
  };
}

/** Pose, velocity and steering of the rear axle. */
export interface EgoState {
  readonly x: number;
  readonly y: number;
  readonly yaw: number;
  /** m/s, along the heading. */
  readonly speed: number;
  /** rad, road wheels, left positive. */
  readonly steering: number;
}

/**
 * The kinematic bicycle on its path: the rear axle is on the strayed path and moves along its heading, and the
 * steering angle is the one that gives the path's curvature.
 */
export function egoState(vehicle: Vehicle, wander: Wander): EgoState {
  const s = rearOf(vehicle) + vehicle.model.rearOverhang;
  const here = strayedPoint(vehicle.path, s, vehicle.lane, wander);
  const span = 0.25;
  const ahead = strayedPoint(vehicle.path, s + span, vehicle.lane, wander);
  const behind = strayedPoint(vehicle.path, s - span, vehicle.lane, wander);
  const turned = ahead.yaw - behind.yaw - 2 * Math.PI * Math.round((ahead.yaw - behind.yaw) / (2 * Math.PI));
  const curvature = turned / (2 * span * here.stretch);
  return {
    x: here.x,
    y: here.y,
    yaw: here.yaw,
    speed: vehicle.speed * here.stretch,
    steering: Math.atan(EGO_WHEELBASE * curvature),
  };
}

/** A point of the strayed path, and how many metres it covers per metre of the lane's centre line. */
function strayedPoint(path: Path, s: number, hint: number, wander: Wander): CurvePoint & { stretch: number } {
  const index = laneIndexAt(path, s, hint);
  const lane = path.lanes[index];
  if (lane === undefined) throw new RangeError("town: the ego's path has no lanes");
  const point = curvePoint(lane.curve, s - (path.starts[index] as number));
  const angle = (2 * Math.PI * s) / wander.wavelength + wander.phase;
  const d = wander.offset + wander.amplitude * Math.sin(angle);
  const slope = ((2 * Math.PI * wander.amplitude) / wander.wavelength) * Math.cos(angle);
  const along = 1 - d * point.curvature;
  return {
    x: point.x - d * Math.sin(point.yaw),
    y: point.y + d * Math.cos(point.yaw),
    yaw: point.yaw + Math.atan2(slope, along),
    curvature: point.curvature,
    stretch: Math.hypot(along, slope),
  };
}
