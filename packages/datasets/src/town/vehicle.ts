import type { VehicleModel } from "./fleet.js";
import { laneIndexAt, pathPoint, speedAt, type Path } from "./path.js";

/** s between simulation steps, and between frames. */
export const TIME_STEP = 0.1;
/** m/s^2, even braking towards a place to stop. */
const STOP_BRAKING = 1.7;
/** s ahead at which a driver looks up the allowed speed; also the time in which a difference is made good. */
const PREVIEW = 0.5;
/** Exponent of the model's free-road term. */
const FREE_EXPONENT = 4;

/** A driving vehicle: where it is on its path. */
export interface Vehicle {
  readonly id: number;
  readonly model: VehicleModel;
  readonly path: Path;
  /** m along the path, of the front bumper. */
  s: number;
  /** m/s. */
  speed: number;
  /** m/s^2. */
  acceleration: number;
  /** Index of the lane the front is on. */
  lane: number;
  /** Index of the last connector the vehicle may enter. */
  granted: number;
  /** Index of the road lane at whose end the vehicle has stopped for the junction, or -1. */
  stoppedOn: number;
  /** Step since which the vehicle has been asking for its connector, or -1. */
  askingSince: number;
  /** Step before which the vehicle does not ask for a connector. */
  readonly departure: number;
  /** The path is driven to its end. */
  gone: boolean;
}

/** A box in the plane: centre, heading, velocity of the centre. */
export interface Motion {
  x: number;
  y: number;
  yaw: number;
  vx: number;
  vy: number;
}

/** m along the path, of the rear bumper. */
export function rearOf(vehicle: Vehicle): number {
  return vehicle.s - vehicle.model.size[0];
}

/**
 * The box of a vehicle of the traffic. Both axles are on the (offset) path, so the box cuts corners the way a long
 * vehicle with a steered rear axle would, and half as much as a real one.
 */
export function motionOf(vehicle: Vehicle, out: Motion): Motion {
  const { model, path } = vehicle;
  const rearS = rearOf(vehicle) + model.rearOverhang;
  const front = pathPoint(path, rearS + model.wheelbase, vehicle.lane);
  const rear = pathPoint(path, rearS, vehicle.lane);
  const d = model.offset;
  const fx = front.x - d * Math.sin(front.yaw);
  const fy = front.y + d * Math.cos(front.yaw);
  const rx = rear.x - d * Math.sin(rear.yaw);
  const ry = rear.y + d * Math.cos(rear.yaw);
  out.yaw = Math.atan2(fy - ry, fx - rx);
  const share = (model.size[0] / 2 - model.rearOverhang) / model.wheelbase;
  out.x = rx + share * (fx - rx);
  out.y = ry + share * (fy - ry);
  const frontSpeed = vehicle.speed * share * (1 - d * front.curvature);
  const rearSpeed = vehicle.speed * (1 - share) * (1 - d * rear.curvature);
  out.vx = frontSpeed * Math.cos(front.yaw) + rearSpeed * Math.cos(rear.yaw);
  out.vy = frontSpeed * Math.sin(front.yaw) + rearSpeed * Math.sin(rear.yaw);
  return out;
}

/** A vehicle that a driver keeps distance from: m to it (bumper to bumper) and its speed along the path, m/s. */
export interface Leader {
  readonly gap: number;
  readonly speed: number;
}

/**
 * Wished acceleration (m/s^2): the intelligent driver model towards the leader, and a look ahead at the speeds that
 * the path and the next place to stop allow.
 * @param leader the vehicle ahead, or null
 * @param stop m to the nearest place where the vehicle has to stop, Infinity for none
 */
export function wishedAcceleration(vehicle: Vehicle, leader: Leader | null, stop: number): number {
  const { driver, rearOverhang } = vehicle.model;
  const v = vehicle.speed;
  const rearAxle = rearOf(vehicle) + rearOverhang;
  const lane = vehicle.path.lanes[vehicle.lane];
  const free = Math.min(driver.topSpeed, (lane?.speedLimit ?? 0) * driver.limitFactor);
  const freeTerm = driver.acceleration * (1 - Math.pow(v / free, FREE_EXPONENT));
  const preview = (speedAt(vehicle.path, rearAxle + v * PREVIEW) - v) / PREVIEW;
  let wished = Math.max(-2.2, Math.min(driver.acceleration, preview, Math.max(freeTerm, -1)));
  if (stop < Infinity) {
    const left = Math.max(0, stop);
    const even = (Math.sqrt(2 * STOP_BRAKING * Math.max(0, left - v * PREVIEW)) - v) / PREVIEW;
    // Where even braking is no longer enough, brake as hard as it takes.
    const needed = -(v * v) / (2 * Math.max(left, 0.05));
    wished = Math.min(wished, needed < -STOP_BRAKING ? Math.min(needed, even) : even);
  }
  if (leader !== null) {
    const closing = (v * (v - leader.speed)) / (2 * Math.sqrt(driver.acceleration * driver.braking));
    const desired = driver.standstillGap + Math.max(0, v * driver.headway + closing);
    const ratio = desired / Math.max(leader.gap, 0.1);
    const interaction = driver.acceleration * (1 - Math.pow(Math.min(v / free, 1), FREE_EXPONENT) - ratio * ratio);
    wished = Math.min(wished, interaction);
  }
  return Math.max(wished, -driver.hardestBraking);
}

/** Moves a vehicle one step with (nearly) the wished acceleration; it never rolls backwards. */
export function advance(vehicle: Vehicle, wished: number): void {
  const { driver } = vehicle.model;
  const change = driver.jerk * TIME_STEP;
  const before = vehicle.acceleration;
  let a = Math.min(Math.max(wished, before - change), before + change);
  if (wished < -3) a = Math.min(a, Math.max(wished, before - 3 * change)); // an emergency comes before comfort
  const next = vehicle.speed + a * TIME_STEP;
  if (next <= 0) {
    vehicle.s += a < 0 ? (vehicle.speed * vehicle.speed) / (-2 * a) : 0;
    vehicle.speed = 0;
    vehicle.acceleration = 0;
  } else {
    vehicle.s += ((vehicle.speed + next) / 2) * TIME_STEP;
    vehicle.speed = next;
    vehicle.acceleration = a;
  }
  vehicle.lane = laneIndexAt(vehicle.path, vehicle.s, vehicle.lane);
  vehicle.gone = vehicle.s >= (vehicle.path.starts[vehicle.path.lanes.length] as number);
}
