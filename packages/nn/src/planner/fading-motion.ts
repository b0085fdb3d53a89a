import { add, concat, cos, div, greater, maximum, mul, neg, reshape, sin, slice, sqrt, sub, sum, type Tensor, where } from "@distilldrive/tensor";
import type { EgoState } from "../encoders/ego-status-encoder.js";

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
/** Past displacements that must be known to tell an acceleration from them. */
const FEWEST_KNOWN = 3;

/**
 * Displacements of a car that goes on as it drove: its speed and acceleration are a weighted line through the speeds of
 * the past displacements, so that they neither lag nor follow every wobble (with fewer than three known: those of the status);
 * then the acceleration fades within a second and the turn rate within two. A car that brakes stops and stays.
 *
 * @returns [B, steps, 2] m, of the origin of the model frame (x right, y forward)
 */
export function fadingMotion(ego: EgoState, options: FadingMotionOptions): Tensor {
  const { steps, interval = 0.5, originAhead = 0.94 } = options;
  const { graph } = ego.status;
  const lanes = ego.status.at(0);
  const row = (values: (time: number) => number, offset: number): Tensor => graph.constant(Float32Array.from({ length: steps }, (_, k) => values((k + offset) * interval)), [1, steps]);
  const { speed, acceleration } = speedOf(ego, interval);
  const turnRate = reshape(slice(ego.status, 1, 5, 6), [lanes, 1]);

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

/** Present speed (m/s, negative in reverse) and acceleration (m/s^2), each [B, 1]. */
function speedOf({ status, past, pastMask }: EgoState, interval: number): { readonly speed: Tensor; readonly acceleration: Tensor } {
  const { graph } = status;
  const [lanes, count] = [past.at(0), past.at(1)];
  const constants = (value: (age: number) => number): Tensor => graph.constant(Float32Array.from({ length: count }, (_, k) => value(count - 1 - k)), [1, count]);
  const time = constants((age) => -(age + 0.5) * interval);
  const weight = mul(pastMask, constants((age) => OLDER_WEIGHT ** age));
  const forward = reshape(slice(past, 2, 1, 2), [lanes, count]);
  const speeds = mul(div(sqrt(sum(mul(past, past), { axes: [2] })), interval), where(greater(0, forward), -1, 1));
  const total = (values: Tensor): Tensor => sum(values, { axes: [1], keepDims: true });
  const weighted = mul(weight, time);
  const [w, wt, wtt, ws, wts] = [total(weight), total(weighted), total(mul(weighted, time)), total(mul(weight, speeds)), total(mul(weighted, speeds))];
  const known = greater(total(pastMask), FEWEST_KNOWN - 0.5);
  const determinant = where(known, sub(mul(w, wtt), mul(wt, wt)), 1);
  return {
    speed: where(known, div(sub(mul(wtt, ws), mul(wt, wts)), determinant), slice(status, 1, 6, 7)),
    acceleration: where(known, div(sub(mul(w, wts), mul(wt, ws)), determinant), slice(status, 1, 0, 1)),
  };
}
