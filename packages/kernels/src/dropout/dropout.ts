import { ShapeError } from "../errors.js";
import type { Kernel, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { randomBits, randomWgsl } from "../random/threefry.js";
import { arrayOf, at } from "../reference-arrays.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

/** Sizes and constants of a dropout. */
export interface DropoutShape {
  readonly length: number;
  /** Which random op of the graph this is; every op has its own numbers under one key. */
  readonly opId: number;
  /** Probability of an element to become zero, 0 <= rate < 1. */
  readonly rate: number;
}

/**
 * Dropout: x [length], key u32[4] (seed, step) -> y [length], where y is 0 with probability `rate`, else x / (1 - rate).
 * The mask is a function of (key, opId, index) alone, so the gradient is this same kernel applied to dy: nothing is saved.
 * @throws ShapeError on a bad size or a rate outside [0, 1)
 */
export function dropout(shape: DropoutShape, target: KernelTarget): Kernel {
  const { length, opId, rate } = shape;
  requireSizes("dropout", { length, opId });
  if (!(rate >= 0 && rate < 1)) throw new ShapeError(`dropout: bad rate, expected 0 <= rate < 1, got ${rate}. Use a smaller rate.`);
  const lane = laneFor(length);
  const plan = flatGrid(length / laneWidth(lane), target, "light");
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "key", access: "read", dtype: "u32", length: 4 },
    { name: "y", access: "write", dtype: "f32", length },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: length / laneWidth(lane) },
    { name: "opId", type: "u32", value: opId },
    { name: "threshold", type: "u32", value: thresholdOf(rate) },
    { name: "scale", type: "f32", value: 1 / (1 - rate) },
  ] as const;
  const bits = (index: string): string => `random_bits(stream, params.opId, ${index})`;
  const drawn = lane === "f32" ? bits("item") : `vec4u(${[0, 1, 2, 3].map((k) => bits(`4u * item + ${k}u`)).join(", ")})`;
  const wgsl =
    declare(bindings, uniforms, { x: lane, y: lane }) +
    randomWgsl +
    plan.main(
      `    let kept = ${drawn} >= ${lane === "f32" ? "params.threshold" : "vec4u(params.threshold)"};
    y[item] = select(${lane}(), x[item] * params.scale, kept);`,
      "  let stream = random_stream(vec4u(key[0], key[1], key[2], key[3]));",
    );
  return {
    name: `dropout.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: length, bytes: 8 * length },
    reference: (inputs) => {
      const x = arrayOf(inputs, "x", length);
      const key = arrayOf(inputs, "key", 4);
      return { y: x.map((_, i) => (randomBits(key, opId, i) >= thresholdOf(rate) ? at(x, i) / (1 - rate) : 0)) };
    },
  };
}

/** Random bits below it drop the element. */
export function thresholdOf(rate: number): number {
  return Math.min(0xffffffff, Math.round(rate * 2 ** 32));
}
