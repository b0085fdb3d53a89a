import { concat, cos, div, mul, neg, reshape, sin, slice, sub, where, greater, abs, type Tensor } from "@distilldrive/tensor";

/** Options of {@link constantTurnRate}. */
export interface ConstantTurnRateOptions {
  /** Future steps. */
  readonly steps: number;
  /** s per step, default 0.5. */
  readonly interval?: number;
  /** m from the rear axle, which rolls without slip, ahead to the origin of the model frame (the lidar), default 0.94. */
  readonly originAhead?: number;
}

/**
 * Displacements of a car that keeps its speed and turn rate: what our option `planReference: "constantTurnRate"` adds
 * to the regression, so that the planner learns the difference.
 *
 * @param speed [B] m/s along the heading, at the rear axle
 * @param turnRate [B] rad/s, counter-clockwise
 * @returns [B, steps, 2] m, of the origin of the model frame (x right, y forward)
 */
export function constantTurnRate(speed: Tensor, turnRate: Tensor, options: ConstantTurnRateOptions): Tensor {
  const { steps, interval = 0.5, originAhead = 0.94 } = options;
  const { graph } = speed;
  const lanes = speed.at(0);
  const times = (offset: number): Tensor =>
    graph.constant(Float32Array.from({ length: steps }, (_, k) => (k + offset) * interval), [1, steps]);
  const rate = reshape(turnRate, [lanes, 1]);
  const half = mul(rate, interval / 2);
  const turning = greater(abs(half), 1e-4);
  // A circular arc's chord: its length is speed * interval * sin(h) / h, its direction the heading half-way.
  const shrink = where(turning, div(sin(half), where(turning, half, 1)), 1);
  const chord = mul(mul(reshape(speed, [lanes, 1]), interval), shrink);
  const direction = mul(rate, times(0.5));
  const [before, after] = [mul(rate, times(0)), mul(rate, times(1))];
  const right = sub(neg(mul(chord, sin(direction))), mul(sub(sin(after), sin(before)), originAhead));
  const forward = sub(mul(chord, cos(direction)), mul(sub(cos(before), cos(after)), originAhead));
  return concat([reshape(right, [lanes, steps, 1]), reshape(forward, [lanes, steps, 1])], -1);
}

/** Speed along the heading and turn rate out of the 10 status numbers (index 6 and 5). @param status [B, 10] */
export function planarMotionOf(status: Tensor): { readonly speed: Tensor; readonly turnRate: Tensor } {
  const pick = (index: number): Tensor => reshape(slice(status, 1, index, index + 1), [status.at(0)]);
  return { speed: pick(6), turnRate: pick(5) };
}
