import { applyOp, type Operand, type Tensor } from "../graph.js";
import { at, elementwise, pick } from "./elementwise-op.js";
import { mul, neg } from "./elementwise.js";

/**
 * Sine and cosine to float32 precision: WGSL's own may be off by 2^-11, and by anything outside [-pi, pi]. The
 * nearest multiple of pi is taken off in three parts (Cody and Waite); the polynomial is Taylor's, off by 7e-10 at pi / 2.
 */
const sineWgsl = `
fn sine_near(x: T, n: T) -> T {
  let r = fma(n, T(-1.5099579909783764e-7), fma(n, T(-9.67502593994140625e-4), fma(n, T(-3.140625), x)));
  let s = r * r;
  let tail = fma(s, fma(s, fma(s, fma(s, fma(s, T(1.6059043836821613e-10), T(-2.505210838544172e-8)), T(2.7557319223985893e-6)), T(-1.984126984126984e-4)), T(8.333333333333333e-3)), T(-0.16666666666666666));
  return fma(r * s, tail, r);
}
fn flipped(x: T, n: T) -> T { return x - 2.0 * x * (n - 2.0 * floor(0.5 * n)); }
fn sine(x: T) -> T { let n = round(x * T(0.3183098861837907)); return flipped(sine_near(x, n), n); }
fn cosine(x: T) -> T { let n = round(x * T(0.3183098861837907) - T(0.5)); return -flipped(sine_near(x, n + T(0.5)), n); }
`;
/** y = sin x. */
export const sinOp = elementwise({
  name: "sin",
  inputs: ["x"],
  value: (x) => Math.sin(at(x, 0)),
  wgsl: ([x]) => `sine(${x})`,
  functions: sineWgsl,
  derivatives: [(dy, x) => mul(dy, cos(pick(x, 0)))],
  ranges: [[-40, 40]],
  tolerance: "transcendental",
  flops: 12,
});
/** y = cos x. */
export const cosOp = elementwise({
  name: "cos",
  inputs: ["x"],
  value: (x) => Math.cos(at(x, 0)),
  wgsl: ([x]) => `cosine(${x})`,
  functions: sineWgsl,
  derivatives: [(dy, x) => neg(mul(dy, sin(pick(x, 0))))],
  ranges: [[-40, 40]],
  tolerance: "transcendental",
  flops: 12,
});
/** Sine of x (rad). */
export const sin = (x: Operand): Tensor => applyOp(sinOp, [x], {});
/** Cosine of x (rad). */
export const cos = (x: Operand): Tensor => applyOp(cosOp, [x], {});
