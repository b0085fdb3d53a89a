import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of one layer of a GRU. */
export interface GruShape {
  readonly batch: number;
  readonly steps: number;
  readonly hidden: number;
}

/** The element-wise part of one step. */
export interface GruStep extends GruShape {
  readonly step: number;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** A tensor that several steps fill: what earlier ones wrote, or zeros before the first. */
function filled(inputs: Arrays, name: string, length: number, begun: boolean): Float64Array {
  return begun ? Float64Array.from(arrayOf(inputs, name, length)) : new Float64Array(length);
}

/** Plain-loop step: y, gates (r, z, n and the hidden part of n) and previous of this step, and the next state. */
export function gruStepReference({ batch, steps, hidden, step }: GruStep, inputs: Arrays): Record<string, Float64Array> {
  const gi = arrayOf(inputs, "gi", batch * steps * 3 * hidden);
  const gh = arrayOf(inputs, "gh", batch * 3 * hidden);
  const state = arrayOf(inputs, "state", batch * hidden);
  const y = filled(inputs, "y", batch * steps * hidden, step > 0);
  const gates = filled(inputs, "gates", batch * steps * 4 * hidden, step > 0);
  const previous = filled(inputs, "previous", batch * steps * hidden, step > 0);
  const next = new Float64Array(batch * hidden);
  for (let b = 0; b < batch; b++) {
    const row = b * steps + step;
    for (let j = 0; j < hidden; j++) {
      const of = (gate: number): readonly [number, number] => [at(gi, row * 3 * hidden + gate * hidden + j), at(gh, b * 3 * hidden + gate * hidden + j)];
      const [[ir, hr], [iz, hz], [inew, hn]] = [of(0), of(1), of(2)];
      const [r, z] = [sigmoid(ir + hr), sigmoid(iz + hz)];
      const n = Math.tanh(inew + r * hn);
      const before = at(state, b * hidden + j);
      next[b * hidden + j] = n + z * (before - n);
      y[row * hidden + j] = n + z * (before - n);
      previous[row * hidden + j] = before;
      [r, z, n, hn].forEach((value, gate) => (gates[row * 4 * hidden + gate * hidden + j] = value));
    }
  }
  return { y, gates, previous, next };
}

/** Plain-loop gradient of a step: dgi and dgh of this step, dgh once more by itself, and the direct part of the earlier state's gradient. */
export function gruStepBackwardReference({ batch, steps, hidden, step }: GruStep, inputs: Arrays): Record<string, Float64Array> {
  const gates = arrayOf(inputs, "gates", batch * steps * 4 * hidden);
  const previous = arrayOf(inputs, "previous", batch * steps * hidden);
  const dy = arrayOf(inputs, "dy", batch * steps * hidden);
  const carry = arrayOf(inputs, "carry", batch * hidden);
  const begun = step < steps - 1;
  const dgi = filled(inputs, "dgi", batch * steps * 3 * hidden, begun);
  const dgh = filled(inputs, "dgh", batch * steps * 3 * hidden, begun);
  const own = new Float64Array(batch * 3 * hidden);
  const direct = new Float64Array(batch * hidden);
  for (let b = 0; b < batch; b++) {
    const row = b * steps + step;
    for (let j = 0; j < hidden; j++) {
      const gate = (number: number): number => at(gates, row * 4 * hidden + number * hidden + j);
      const [r, z, n, hn] = [gate(0), gate(1), gate(2), gate(3)];
      const total = at(dy, row * hidden + j) + at(carry, b * hidden + j);
      const dz = total * (at(previous, row * hidden + j) - n) * z * (1 - z);
      const dn = total * (1 - z) * (1 - n * n);
      const dr = dn * hn * r * (1 - r);
      direct[b * hidden + j] = total * z;
      [dr, dz, dn].forEach((value, k) => (dgi[row * 3 * hidden + k * hidden + j] = value));
      [dr, dz, dn * r].forEach((value, k) => {
        dgh[row * 3 * hidden + k * hidden + j] = value;
        own[b * 3 * hidden + k * hidden + j] = value;
      });
    }
  }
  return { dgi, dgh, own, direct };
}

/** The whole layer in plain loops, as PyTorch defines it; the test's independent check of the steps. */
export function gruReference({ batch, steps, hidden }: GruShape, inputs: Arrays): { y: Float64Array } {
  const gi = arrayOf(inputs, "gi", batch * steps * 3 * hidden);
  const weight = arrayOf(inputs, "weight", 3 * hidden * hidden);
  const bias = arrayOf(inputs, "bias", 3 * hidden);
  const state = arrayOf(inputs, "h0", batch * hidden);
  const y = new Float64Array(batch * steps * hidden);
  for (let b = 0; b < batch; b++) {
    let h = state.slice(b * hidden, (b + 1) * hidden);
    for (let t = 0; t < steps; t++) {
      const given = gi.subarray((b * steps + t) * 3 * hidden, (b * steps + t + 1) * 3 * hidden);
      const own = bias.map((value, gate) => h.reduce((sum, x, i) => sum + at(weight, gate * hidden + i) * x, value));
      const earlier = h;
      h = h.map((_, j) => {
        const r = sigmoid(at(given, j) + at(own, j));
        const z = sigmoid(at(given, hidden + j) + at(own, hidden + j));
        const n = Math.tanh(at(given, 2 * hidden + j) + r * at(own, 2 * hidden + j));
        return (1 - z) * n + z * at(earlier, j);
      });
      y.set(h, (b * steps + t) * hidden);
    }
  }
  return { y };
}
