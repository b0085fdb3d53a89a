import { wrapAngle } from "./angles.js";

/** Distance between the axles of the recording car (m); turns yaw rate into a road-wheel angle. */
export const WHEELBASE = 2.588;

/** s; velocities are differences over this span, because single 0.1 s steps of recorded tracks are up to 40 % off. */
const SPAN = 0.5;
/** Shortest span (frames) a velocity is taken over at a track's start, where it must look ahead. */
const SHORTEST = 2;

/**
 * The frames `[from, to]` a velocity at `frame` may use: 0.5 s back where the track allows, never across a jump or a
 * gap; within the first 2 frames after a start it looks up to 2 frames ahead, as there is nothing behind.
 */
function window(valid: Uint8Array, frame: number, frames: number, jumps: readonly number[]): [number, number] {
  const joined = (later: number): boolean => valid[later] === 1 && valid[later - 1] === 1 && !jumps.includes(later);
  let from = frame;
  while (from > 0 && frame - from < frames && joined(from)) from--;
  let to = frame;
  while (to - from < Math.min(SHORTEST, frames) && to + 1 < valid.length && joined(to + 1)) to++;
  return [from, to];
}

/**
 * Velocity of a track as backward differences over 0.5 s.
 * @param position [F, 3] m
 * @param valid [F] 0/1
 * @param interval s between frames
 * @param jumps frames k with a discontinuity between k - 1 and k
 * @returns [F, 2] m/s, zeros where invalid
 */
export function halfSecondVelocity(position: Float64Array, valid: Uint8Array, interval: number, jumps: readonly number[]): Float64Array {
  const span = Math.max(1, Math.round(SPAN / interval));
  const velocity = new Float64Array(2 * valid.length);
  for (let f = 0; f < valid.length; f++) {
    if (valid[f] !== 1) continue;
    const [from, to] = window(valid, f, span, jumps);
    const time = (to - from) * interval;
    for (let c = 0; c < 2 && time > 0; c++) {
      velocity[2 * f + c] = ((position[3 * to + c] ?? 0) - (position[3 * from + c] ?? 0)) / time;
    }
  }
  return velocity;
}

/** Planar motion of a car at one frame, told from its past. */
export interface PlanarMotion {
  /** m/s along the path, negative in reverse. */
  readonly speed: number;
  /** m/s^2 along the path. */
  readonly acceleration: number;
  /** rad/s, left positive. */
  readonly yawRate: number;
}

/** s; span the acceleration is fitted over. */
const ACCELERATION_SPAN = 0.8;

/**
 * Present motion of a car: speed and yaw rate as backward differences over 0.5 s, acceleration from a least-squares
 * quadratic through the distance travelled in the last 0.8 s. Nothing looks ahead, except within 2 frames of a start.
 * @param position [F, 3] m
 * @param heading [F] rad
 * @param interval s between frames
 * @param jumps frames k with a discontinuity between k - 1 and k; no span crosses one
 */
export function planarMotion(position: Float64Array, heading: Float64Array, frame: number, interval: number, jumps: readonly number[]): PlanarMotion {
  const valid = new Uint8Array(heading.length).fill(1);
  const frames = (seconds: number): number => Math.max(1, Math.round(seconds / interval));
  const [from, to] = window(valid, frame, frames(ACCELERATION_SPAN), jumps);
  const count = to - from + 1;
  const travelled = new Float64Array(count);
  const turned = new Float64Array(count);
  for (let i = 1, f = from + 1; f <= to; i++, f++) {
    const turn = wrapAngle((heading[f] ?? 0) - (heading[f - 1] ?? 0));
    const direction = (heading[f - 1] ?? 0) + 0.5 * turn;
    const dx = (position[3 * f] ?? 0) - (position[3 * f - 3] ?? 0);
    const dy = (position[3 * f + 1] ?? 0) - (position[3 * f - 2] ?? 0);
    travelled[i] = (travelled[i - 1] ?? 0) + dx * Math.cos(direction) + dy * Math.sin(direction);
    turned[i] = (turned[i - 1] ?? 0) + turn;
  }
  const start = Math.max(0, count - 1 - frames(SPAN));
  const time = (count - 1 - start) * interval;
  if (time === 0) return { speed: 0, acceleration: 0, yawRate: 0 };
  return {
    speed: ((travelled[count - 1] ?? 0) - (travelled[start] ?? 0)) / time,
    acceleration: quadraticRate(travelled, interval),
    yawRate: ((turned[count - 1] ?? 0) - (turned[start] ?? 0)) / time,
  };
}

/** Second derivative of the least-squares quadratic through equidistant values; 0 for fewer than 5. */
function quadraticRate(values: Float64Array, interval: number): number {
  const count = values.length;
  if (count < 5) return 0;
  // Projection on the quadratic that is orthogonal to constant and line on a symmetric grid.
  const middle = (count - 1) / 2;
  const offset = (count * count - 1) / 12;
  let projection = 0;
  let norm = 0;
  for (let i = 0; i < count; i++) {
    const basis = (i - middle) ** 2 - offset;
    projection += basis * (values[i] ?? 0);
    norm += basis * basis;
  }
  return (2 * projection) / norm / (interval * interval);
}

/** m/s; below this the yaw rate says nothing about the wheels and the last steering angle is kept. */
const STEERING_SPEED = 0.5;
/** rad, about what a passenger car's wheels can turn. */
const STEERING_LIMIT = 0.65;

/**
 * Road-wheel steering angle of a bicycle model from the driven path: atan(wheelbase x yaw rate / speed).
 * @returns [F] rad, left positive, within +-0.65; held while the car (almost) stands, 0 before it first moves
 */
export function steeringFromPath(position: Float64Array, heading: Float64Array, interval: number, jumps: readonly number[]): Float64Array {
  const steering = new Float64Array(heading.length);
  for (let f = 0; f < heading.length; f++) {
    const { speed, yawRate } = planarMotion(position, heading, f, interval, jumps);
    const angle = Math.abs(speed) < STEERING_SPEED ? (steering[f - 1] ?? 0) : Math.atan((WHEELBASE * yawRate) / speed);
    steering[f] = Math.min(STEERING_LIMIT, Math.max(-STEERING_LIMIT, angle));
  }
  return steering;
}

/** m; smaller departures are within the timing noise of recorded poses. */
const JUMP_DISTANCE = 0.3;
/** Share of the usual step; single recorded steps are up to 40 % longer than their neighbours. */
const JUMP_SHARE = 0.6;
/** rad within one step. */
const JUMP_TURN = 0.2;
/** Frames looked at on each side. */
const JUMP_NEIGHBOURS = 4;

/**
 * Finds the frames where a car's pose jumps: the step from k - 1 to k departs from the median of the steps around it
 * by more than 0.3 m and 60 % of that median, or turns 0.2 rad more. Real cars change speed by far less in 0.1 s;
 * recorded steps that are merely mistimed stay below. Thresholds grow with
 * the square of intervals above 0.1 s.
 * @param position [F, 3] m; @param heading [F] rad; @param interval s
 * @returns frames k, ascending
 */
export function detectJumps(position: Float64Array, heading: Float64Array, interval: number): number[] {
  const steps = heading.length - 1;
  const forward = new Float64Array(Math.max(0, steps));
  const sideways = new Float64Array(Math.max(0, steps));
  const turn = new Float64Array(Math.max(0, steps));
  for (let i = 0; i < steps; i++) {
    const dx = (position[3 * i + 3] ?? 0) - (position[3 * i] ?? 0);
    const dy = (position[3 * i + 4] ?? 0) - (position[3 * i + 1] ?? 0);
    const [cos, sin] = [Math.cos(heading[i] ?? 0), Math.sin(heading[i] ?? 0)];
    forward[i] = dx * cos + dy * sin;
    sideways[i] = dy * cos - dx * sin;
    turn[i] = wrapAngle((heading[i + 1] ?? 0) - (heading[i] ?? 0));
  }
  // Ordinary acceleration changes a step by a * interval^2.
  const scale = Math.max(1, interval / 0.1) ** 2;
  const jumps: number[] = [];
  for (let i = 0; i < steps; i++) {
    const typical = medianAround(forward, i);
    const departure = Math.hypot((forward[i] ?? 0) - typical, (sideways[i] ?? 0) - medianAround(sideways, i));
    const turned = Math.abs(wrapAngle((turn[i] ?? 0) - medianAround(turn, i)));
    const allowed = Math.max(JUMP_DISTANCE * scale, JUMP_SHARE * Math.abs(typical));
    if (departure > allowed || turned > JUMP_TURN * scale) jumps.push(i + 1);
  }
  return jumps;
}

/** Median of the up to 8 values around index i, without itself. */
function medianAround(values: Float64Array, i: number): number {
  const around: number[] = [];
  for (let j = Math.max(0, i - JUMP_NEIGHBOURS); j <= Math.min(values.length - 1, i + JUMP_NEIGHBOURS); j++) {
    if (j !== i) around.push(values[j] ?? 0);
  }
  around.sort((a, b) => a - b);
  const half = around.length >> 1;
  return around.length === 0 ? 0 : around.length % 2 === 1 ? (around[half] ?? 0) : 0.5 * ((around[half - 1] ?? 0) + (around[half] ?? 0));
}
