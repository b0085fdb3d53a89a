import { erf } from "@distilldrive/kernels";
import { applyOp, type Operand, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { broadcastShapes, sameShape, type Shape, typeOf } from "../shape.js";
import { literal } from "../wgsl-literal.js";
import { at, bool, elementwise, type None, pick } from "./elementwise-op.js";

const addOp = elementwise({
  name: "add",
  inputs: ["a", "b"],
  value: (x) => at(x, 0) + at(x, 1),
  wgsl: ([a, b]) => `(${a} + ${b})`,
  derivatives: [(dy) => dy, (dy) => dy],
  saves: [],
});
const subOp = elementwise({
  name: "sub",
  inputs: ["a", "b"],
  value: (x) => at(x, 0) - at(x, 1),
  wgsl: ([a, b]) => `(${a} - ${b})`,
  derivatives: [(dy) => dy, (dy) => neg(dy)],
  saves: [],
});
const mulOp = elementwise({
  name: "mul",
  inputs: ["a", "b"],
  value: (x) => at(x, 0) * at(x, 1),
  wgsl: ([a, b]) => `(${a} * ${b})`,
  derivatives: [(dy, x) => mul(dy, pick(x, 1)), (dy, x) => mul(dy, pick(x, 0))],
});
const divOp = elementwise({
  name: "div",
  inputs: ["a", "b"],
  value: (x) => at(x, 0) / at(x, 1),
  wgsl: ([a, b]) => `(${a} / ${b})`,
  derivatives: [(dy, x) => div(dy, pick(x, 1)), (dy, x, y) => neg(div(mul(dy, y), pick(x, 1)))],
  saves: ["b", "y"],
  ranges: [
    [-2, 2],
    [0.5, 3],
  ],
});
const maximumOp = elementwise({
  name: "maximum",
  inputs: ["a", "b"],
  value: (x) => Math.max(at(x, 0), at(x, 1)),
  wgsl: ([a, b]) => `max(${a}, ${b})`,
  derivatives: [(dy, x) => mul(dy, greaterEqual(pick(x, 0), pick(x, 1))), (dy, x) => mul(dy, less(pick(x, 0), pick(x, 1)))],
});
const minimumOp = elementwise({
  name: "minimum",
  inputs: ["a", "b"],
  value: (x) => Math.min(at(x, 0), at(x, 1)),
  wgsl: ([a, b]) => `min(${a}, ${b})`,
  derivatives: [(dy, x) => mul(dy, lessEqual(pick(x, 0), pick(x, 1))), (dy, x) => mul(dy, greater(pick(x, 0), pick(x, 1)))],
});
const negOp = elementwise({
  name: "neg",
  inputs: ["x"],
  value: (x) => -at(x, 0),
  wgsl: ([x]) => `(-${x})`,
  derivatives: [(dy) => neg(dy)],
  saves: [],
});
const expOp = elementwise({
  name: "exp",
  inputs: ["x"],
  value: (x) => Math.exp(at(x, 0)),
  wgsl: ([x]) => `exp(${x})`,
  derivatives: [(dy, _, y) => mul(dy, y)],
  saves: ["y"],
  flops: 8,
});
const logOp = elementwise({
  name: "log",
  inputs: ["x"],
  value: (x) => Math.log(at(x, 0)),
  wgsl: ([x]) => `log(${x})`,
  derivatives: [(dy, x) => div(dy, pick(x, 0))],
  ranges: [[0.1, 4]],
  flops: 8,
});
const sqrtOp = elementwise({
  name: "sqrt",
  inputs: ["x"],
  value: (x) => Math.sqrt(at(x, 0)),
  wgsl: ([x]) => `sqrt(${x})`,
  // At zero the slope is infinite; the published losses clamp before the root, and so do ours.
  derivatives: [(dy, _, y) => div(dy, mul(y, 2))],
  saves: ["y"],
  ranges: [[0.1, 4]],
  flops: 4,
});
const rsqrtOp = elementwise({
  name: "rsqrt",
  inputs: ["x"],
  value: (x) => 1 / Math.sqrt(at(x, 0)),
  wgsl: ([x]) => `inverseSqrt(${x})`,
  derivatives: [(dy, x, y) => mul(dy, div(mul(y, -0.5), pick(x, 0)))],
  saves: ["x", "y"],
  ranges: [[0.1, 4]],
  flops: 4,
});
const reciprocalOp = elementwise({
  name: "reciprocal",
  inputs: ["x"],
  value: (x) => 1 / at(x, 0),
  wgsl: ([x]) => `(T(1.0) / ${x})`,
  derivatives: [(dy, _, y) => neg(mul(dy, square(y)))],
  saves: ["y"],
  ranges: [[0.2, 4]],
});
const squareOp = elementwise({
  name: "square",
  inputs: ["x"],
  value: (x) => at(x, 0) * at(x, 0),
  wgsl: ([x]) => `(${x} * ${x})`,
  derivatives: [(dy, x) => mul(dy, mul(pick(x, 0), 2))],
});
const absOp = elementwise({
  name: "abs",
  inputs: ["x"],
  value: (x) => Math.abs(at(x, 0)),
  wgsl: ([x]) => `abs(${x})`,
  derivatives: [(dy, x) => mul(dy, sign(pick(x, 0)))],
});
const signOp = elementwise({
  name: "sign",
  inputs: ["x"],
  value: (x) => Math.sign(at(x, 0)) + 0,
  wgsl: ([x]) => `sign(${x})`,
});
const tanhOp = elementwise({
  name: "tanh",
  inputs: ["x"],
  value: (x) => Math.tanh(at(x, 0)),
  // Clamped: tanh is 1 to float32 beyond 10, and drivers overflow in exp(2x).
  wgsl: ([x]) => `tanh(clamp(${x}, T(-10.0), T(10.0)))`,
  derivatives: [(dy, _, y) => mul(dy, sub(1, square(y)))],
  saves: ["y"],
  ranges: [[-12, 12]],
  tolerance: "transcendental",
  flops: 12,
});
const sigmoidOp = elementwise({
  name: "sigmoid",
  inputs: ["x"],
  value: (x) => 1 / (1 + Math.exp(-at(x, 0))),
  wgsl: ([x]) => `(T(1.0) / (T(1.0) + exp(-clamp(${x}, T(-80.0), T(80.0)))))`,
  derivatives: [(dy, _, y) => mul(dy, mul(y, sub(1, y)))],
  saves: ["y"],
  ranges: [[-20, 20]],
  flops: 10,
});
const softplusOp = elementwise({
  name: "softplus",
  inputs: ["x"],
  value: (x) => Math.max(at(x, 0), 0) + Math.log1p(Math.exp(-Math.abs(at(x, 0)))),
  wgsl: ([x]) => `(max(${x}, T(0.0)) + log(T(1.0) + exp(-min(abs(${x}), T(80.0)))))`,
  derivatives: [(dy, x) => mul(dy, sigmoid(pick(x, 0)))],
  ranges: [[-20, 20]],
  flops: 18,
});
const reluOp = elementwise({
  name: "relu",
  inputs: ["x"],
  value: (x) => Math.max(at(x, 0), 0),
  wgsl: ([x]) => `max(${x}, T(0.0))`,
  derivatives: [(dy, _, y) => mul(dy, greater(y, 0))],
  saves: ["y"],
});
/** The normal distribution function; Abramowitz and Stegun 7.1.26 in WGSL, error below 1.5e-7. */
const normalCdfOp = elementwise({
  name: "normalCdf",
  inputs: ["x"],
  value: (x) => 0.5 * (1 + erf(at(x, 0) * Math.SQRT1_2)),
  wgsl: ([x]) => {
    const t = `(T(1.0) / (T(1.0) + T(0.23164190) * abs(${x})))`;
    const series = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592].reduce(
      (sum, coefficient, i) => (i === 0 ? `T(${literal(coefficient)})` : `(${sum} * ${t} + T(${literal(coefficient)}))`),
      "",
    );
    const tail = `(${series} * ${t} * exp(T(-0.5) * min(${x} * ${x}, T(160.0))))`;
    return `(T(0.5) + T(0.5) * sign(${x}) * (T(1.0) - ${tail}))`;
  },
  derivatives: [(dy, x) => mul(dy, mul(exp(mul(square(pick(x, 0)), -0.5)), 1 / Math.sqrt(2 * Math.PI)))],
  ranges: [[-6, 6]],
  flops: 24,
});
const powOp = elementwise<{ readonly exponent: number }>({
  name: "pow",
  inputs: ["x"],
  value: (x, { exponent }) => at(x, 0) ** exponent,
  wgsl: ([x], { exponent }) => `pow(${x}, T(${literal(exponent)}))`,
  derivatives: [(dy, x, _, { exponent }) => mul(dy, mul(pow(pick(x, 0), exponent - 1), exponent))],
  ranges: [[0.1, 3]],
  tolerance: "transcendental",
  attributes: (draw) => ({ exponent: draw.pick([0.5, 1.5, 2, 3]) }),
  flops: 16,
});
const clampOp = elementwise<{ readonly min: number; readonly max: number }>({
  name: "clamp",
  inputs: ["x"],
  value: (x, { min, max }) => Math.min(Math.max(at(x, 0), min), max),
  wgsl: ([x], { min, max }) => `clamp(${x}, T(${literal(min)}), T(${literal(max)}))`,
  derivatives: [
    (dy, x, _, { min, max }) => mul(dy, mul(greaterEqual(pick(x, 0), min), lessEqual(pick(x, 0), max))),
  ],
  attributes: (draw) => ({ min: -draw.integer(0, 3) / 2, max: draw.integer(1, 3) / 2 }),
});
const equalOp = elementwise({
  name: "equal",
  inputs: ["a", "b"],
  value: (x) => bool(at(x, 0) === at(x, 1)),
  wgsl: ([a, b]) => `select(T(0.0), T(1.0), ${a} == ${b})`,
  masks: [0, 1],
  tolerance: "exact",
});
const lessOp = elementwise({
  name: "less",
  inputs: ["a", "b"],
  value: (x) => bool(at(x, 0) < at(x, 1)),
  wgsl: ([a, b]) => `select(T(0.0), T(1.0), ${a} < ${b})`,
  tolerance: "exact",
});
const lessEqualOp = elementwise({
  name: "lessEqual",
  inputs: ["a", "b"],
  value: (x) => bool(at(x, 0) <= at(x, 1)),
  wgsl: ([a, b]) => `select(T(0.0), T(1.0), ${a} <= ${b})`,
  tolerance: "exact",
});
const greaterOp = elementwise({
  name: "greater",
  inputs: ["a", "b"],
  value: (x) => bool(at(x, 0) > at(x, 1)),
  wgsl: ([a, b]) => `select(T(0.0), T(1.0), ${a} > ${b})`,
  tolerance: "exact",
});
const greaterEqualOp = elementwise({
  name: "greaterEqual",
  inputs: ["a", "b"],
  value: (x) => bool(at(x, 0) >= at(x, 1)),
  wgsl: ([a, b]) => `select(T(0.0), T(1.0), ${a} >= ${b})`,
  tolerance: "exact",
});
/** Told by the exponent bits: WGSL lets compilers assume that NaN and infinity do not occur. */
const isFiniteOp = elementwise({
  name: "isFinite",
  inputs: ["x"],
  value: (x) => bool(Number.isFinite(at(x, 0))),
  wgsl: ([x]) => `select(T(1.0), T(0.0), (bitcast<U>(${x}) & U(0x7f800000u)) == U(0x7f800000u))`,
  tolerance: "exact",
});
const whereOp = elementwise({
  name: "where",
  inputs: ["condition", "a", "b"],
  value: (x) => (at(x, 0) !== 0 ? at(x, 1) : at(x, 2)),
  wgsl: ([condition, a, b]) => `select(${b}, ${a}, ${condition} != T(0.0))`,
  derivatives: [null, (dy, x) => where(pick(x, 0), dy, 0), (dy, x) => where(pick(x, 0), 0, dy)],
  saves: ["condition"],
  masks: [0],
});
const castOp = elementwise({
  name: "cast",
  inputs: ["x"],
  value: (x) => at(x, 0),
  wgsl: ([x]) => `${x}`,
  derivatives: [(dy) => dy],
  saves: [],
});
const stopGradientOp: OpDefinition<None> = {
  ...elementwise({ name: "stopGradient", inputs: ["x"], value: (x) => at(x, 0), wgsl: ([x]) => `${x}`, none: "its purpose" }),
  shape: ([x]) => [typeOf(x?.shape ?? [], x?.dtype)],
  lower: { kind: "view" },
};
const broadcastToOp: OpDefinition<{ readonly shape: Shape }> = {
  ...elementwise<{ readonly shape: Shape }>({
    name: "broadcastTo",
    inputs: ["x"],
    value: (x) => at(x, 0),
    wgsl: ([x]) => `${x}`,
    derivatives: [(dy) => dy],
    saves: [],
  }),
  shape: (inputs, { shape }) => {
    const [x] = inputs;
    broadcastShapes("broadcastTo", x?.shape ?? [], shape);
    return [typeOf(shape)];
  },
  along: (axis, [x], { shape }) => {
    const own = axis - shape.length + (x?.shape.length ?? 0);
    return {
      inputs: [own < 0 || x?.shape[own] === 1 ? null : own],
      attributes: (size) => ({ shape: shape.map((n, i) => (i === axis ? size : n)) }),
    };
  },
  samples: (draw) => {
    const shape = [draw.size(8), draw.size(8), draw.size(20)];
    return { inputs: [typeOf(shape.map((n) => (draw.boolean() ? 1 : n)).slice(draw.integer(0, 2)))], attributes: { shape } };
  },
};

/** a + b, broadcast. */
export const add = (a: Operand, b: Operand): Tensor => applyOp(addOp, [a, b], {});
/** a - b, broadcast. */
export const sub = (a: Operand, b: Operand): Tensor => applyOp(subOp, [a, b], {});
/** a * b, broadcast. */
export const mul = (a: Operand, b: Operand): Tensor => applyOp(mulOp, [a, b], {});
/** a / b, broadcast; b must not be zero. */
export const div = (a: Operand, b: Operand): Tensor => applyOp(divOp, [a, b], {});
/** The larger of a and b; at a tie the gradient goes to a. */
export const maximum = (a: Operand, b: Operand): Tensor => applyOp(maximumOp, [a, b], {});
/** The smaller of a and b; at a tie the gradient goes to a. */
export const minimum = (a: Operand, b: Operand): Tensor => applyOp(minimumOp, [a, b], {});
/** -x. */
export const neg = (x: Operand): Tensor => applyOp(negOp, [x], {});
/** e^x. */
export const exp = (x: Operand): Tensor => applyOp(expOp, [x], {});
/** Natural logarithm; x > 0. */
export const log = (x: Operand): Tensor => applyOp(logOp, [x], {});
/** Square root; x > 0 where a gradient is wanted. */
export const sqrt = (x: Operand): Tensor => applyOp(sqrtOp, [x], {});
/** 1 / sqrt(x); x > 0. */
export const rsqrt = (x: Operand): Tensor => applyOp(rsqrtOp, [x], {});
/** 1 / x; x must not be zero. */
export const reciprocal = (x: Operand): Tensor => applyOp(reciprocalOp, [x], {});
/** x squared. */
export const square = (x: Operand): Tensor => applyOp(squareOp, [x], {});
/** Absolute value; gradient 0 at 0. */
export const abs = (x: Operand): Tensor => applyOp(absOp, [x], {});
/** -1, 0 or 1. */
export const sign = (x: Operand): Tensor => applyOp(signOp, [x], {});
/** Hyperbolic tangent. */
export const tanh = (x: Operand): Tensor => applyOp(tanhOp, [x], {});
/** 1 / (1 + e^-x). */
export const sigmoid = (x: Operand): Tensor => applyOp(sigmoidOp, [x], {});
/** log(1 + e^x), safe for large x. */
export const softplus = (x: Operand): Tensor => applyOp(softplusOp, [x], {});
/** max(x, 0); gradient 0 at 0. */
export const relu = (x: Operand): Tensor => applyOp(reluOp, [x], {});
/** The normal distribution function Phi(x). */
export const normalCdf = (x: Operand): Tensor => applyOp(normalCdfOp, [x], {});
/** Gaussian error linear unit x Phi(x) (Hendrycks and Gimpel 2016), as PyTorch's default. */
export const gelu = (x: Tensor): Tensor => mul(x, normalCdf(x));
/** x to a fixed power; x > 0. */
export const pow = (x: Operand, exponent: number): Tensor => applyOp(powOp, [x], { exponent });
/** x limited to [min, max]; gradient 0 outside. */
export const clamp = (x: Operand, limits: { readonly min: number; readonly max: number }): Tensor =>
  applyOp(clampOp, [x], { min: limits.min, max: limits.max });
/** 1 where a = b, else 0. */
export const equal = (a: Operand, b: Operand): Tensor => applyOp(equalOp, [a, b], {});
/** 1 where a < b, else 0. */
export const less = (a: Operand, b: Operand): Tensor => applyOp(lessOp, [a, b], {});
/** 1 where a <= b, else 0. */
export const lessEqual = (a: Operand, b: Operand): Tensor => applyOp(lessEqualOp, [a, b], {});
/** 1 where a > b, else 0. */
export const greater = (a: Operand, b: Operand): Tensor => applyOp(greaterOp, [a, b], {});
/** 1 where a >= b, else 0. */
export const greaterEqual = (a: Operand, b: Operand): Tensor => applyOp(greaterEqualOp, [a, b], {});
/** 1 where x is neither NaN nor infinite, else 0. */
export const isFinite = (x: Operand): Tensor => applyOp(isFiniteOp, [x], {});
/** a where condition is not 0, else b; broadcast. Both branches are evaluated, so both must be finite. */
export const where = (condition: Operand, a: Operand, b: Operand): Tensor => applyOp(whereOp, [condition, a, b], {});
/** i32 or u32 as f32 (exact up to 2^24). */
export const cast = (x: Operand): Tensor => applyOp(castOp, [x], {});
/** The value of x without its gradient. */
export const stopGradient = (x: Operand): Tensor => applyOp(stopGradientOp, [x], {});
/** x stretched to `shape`. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) && x.dtype === "f32" ? x : applyOp(broadcastToOp, [x], { shape });
}

/** Every elementwise op, for the laws, the documentation and the benchmark. */
export const elementwiseOps: readonly OpDefinition<never>[] = [
  addOp, subOp, mulOp, divOp, maximumOp, minimumOp, negOp, expOp, logOp, sqrtOp, rsqrtOp, reciprocalOp, squareOp, absOp,
  signOp, tanhOp, sigmoidOp, softplusOp, reluOp, normalCdfOp, powOp, clampOp, equalOp, lessOp, lessEqualOp,
  greaterOp, greaterEqualOp, isFiniteOp, whereOp, castOp, stopGradientOp, broadcastToOp,
] as readonly unknown[] as readonly OpDefinition<never>[];
