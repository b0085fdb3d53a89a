import { add, concat, cos, expandDims, greater, maximum, mul, neg, reshape, sin, slice, sqrt, sub, sum, type Tensor, where } from "@distilldrive/tensor";
import type { EgoState } from "../encoders/ego-status-encoder.js";
import { planarMotionOf } from "./constant-turn-rate.js";

/** Options of {@link fadingMotion}. */
export interface FadingMotionOptions {
  /** Future steps. */
  readonly steps: number;
  /** s per step, of the future and of the past displacements, default 0.5. */
  readonly interval?: number;
  /** m from the rear axle, which rolls without slip, ahead to the origin of the model frame (the lidar), default 0.94. */
  readonly originAhead?: number;
}

/** s in which an acceleration fades to 1/e: drivers soon end what they began. */
const ACCELERATION_FADES = 1;
/** s in which a turn rate fades to 1/e. */
const TURN_FADES = 2;
/** Weight of a past displacement relative to the one after it. */
const OLDER_WEIGHT = 0.5;

/**
 * Displacements of a car that goes on as it drove: its speed and acceleration are a weighted line through the speeds of
 * the past displacements, so that they neither lag nor follow every wobble (where the oldest is not known, or there is but one: those of the status);
 * then the acceleration fades within a second and the turn rate within two. A car that brakes stops and stays.
 *
 * @returns [B, steps, 2] m, of the origin of the model frame (x right, y forward)
 */
export function fadingMotion(ego: EgoState, options: FadingMotionOptions): Tensor {
  const { steps, interval = 0.5, originAhead = 0.94 } = options;
  const { graph } = ego.status;
  const lanes = ego.status.at(0);
  const row = (values: (time: number) => number, offset: number): Tensor => graph.constant(Float32Array.from({ length: steps }, (_, k) => values((k + offset) * interval)), [1, steps]);
  const present = planarMotionOf(ego.status);
  const turnRate = expandDims(present.turnRate, 1);
  const { speed, acceleration } = speedOf(ego, expandDims(present.speed, 1), turnRate, interval);

  const gained = (time: number): number => ACCELERATION_FADES * (time - ACCELERATION_FADES * (1 - Math.exp(-time / ACCELERATION_FADES)));
  const along = (offset: number): Tensor => add(mul(speed, row((time) => time, offset)), mul(acceleration, row(gained, offset)));
  const heading = (offset: number): Tensor => mul(turnRate, row((time) => TURN_FADES * (1 - Math.exp(-time / TURN_FADES)), offset));
  // Backwards it is the same with the sign turned.
  const sign = where(greater(0, speed), -1, 1);
  const chord = mul(sign, maximum(mul(sign, sub(along(1), along(0))), 0));
  const [before, middle, after] = [heading(0), heading(0.5), heading(1)];
  const right = sub(neg(mul(chord, sin(middle))), mul(sub(sin(after), sin(before)), originAhead));
  const forward = sub(mul(chord, cos(middle)), mul(sub(cos(before), cos(after)), originAhead));
  return concat([reshape(right, [lanes, steps, 1]), reshape(forward, [lanes, steps, 1])], -1);
}

/**
 * Present speed (m/s, negative in reverse) and acceleration (m/s^2), each [B, 1].
 * @param told [B, 1] m/s, the status's speed
 * @param turnRate [B, 1] rad/s
 */
function speedOf({ status, past, pastMask }: EgoState, told: Tensor, turnRate: Tensor, interval: number): { readonly speed: Tensor; readonly acceleration: Tensor } {
  const [lanes, count] = [past.at(0), past.at(1)];
  const toldAcceleration = slice(status, 1, 0, 1);
  if (count < 2) return { speed: told, acceleration: toldAcceleration };
  const [right, forward] = [0, 1].map((axis) => reshape(slice(past, 2, axis, axis + 1), [lanes, count])) as [Tensor, Tensor];
  // Whether it drove backwards shows against where it was heading then.
  const heading = mul(turnRate, status.graph.constant(timesOf(count, interval), [1, count]));
  const ahead = sub(mul(forward, cos(heading)), mul(right, sin(heading)));
  const speeds = mul(sqrt(add(mul(right, right), mul(forward, forward))), where(greater(0, ahead), -1 / interval, 1 / interval));
  const known = greater(slice(pastMask, 1, 0, 1), 0.5);
  const fitted = (shares: readonly number[]): Tensor => sum(mul(speeds, status.graph.constant(shares, [1, count])), { axes: [1], keepDims: true });
  const line = lineShares(count, interval);
  return {
    speed: where(known, fitted(line.value), told),
    acceleration: where(known, fitted(line.slope), toldAcceleration),
  };
}

/** s, when each of `count` past displacements was half done; the present is 0. */
function timesOf(count: number, interval: number): number[] {
  return Array.from({ length: count }, (_, k) => (k + 0.5 - count) * interval);
}

/** What each of `count` past speeds adds to value and slope, at the present, of the weighted least-squares line through them. */
function lineShares(count: number, interval: number): { readonly value: number[]; readonly slope: number[] } {
  const points = timesOf(count, interval).map((time, k) => ({ weight: OLDER_WEIGHT ** (count - 1 - k), time }));
  const total = (term: (point: { readonly weight: number; readonly time: number }) => number): number => points.reduce((all, point) => all + term(point), 0);
  const [w, wt, wtt] = [total(({ weight }) => weight), total(({ weight, time }) => weight * time), total(({ weight, time }) => weight * time * time)];
  const determinant = w * wtt - wt * wt;
  return {
    value: points.map(({ weight, time }) => (weight * (wtt - wt * time)) / determinant),
    slope: points.map(({ weight, time }) => (weight * (w * time - wt)) / determinant),
  };
}
