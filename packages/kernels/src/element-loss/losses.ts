import { ShapeError } from "../errors.js";

/** A loss that compares each element with its target on its own; {@link elementLoss} weighs, sums and averages it. */
export interface ElementLoss {
  readonly name: string;
  /** The target is the i32 class of each row: 1 at its column, 0 elsewhere; a class outside the row is background. */
  readonly labels: boolean;
  /** Numbers that `params` holds in WGSL. */
  readonly parameters: Readonly<Record<string, number>>;
  /** float64 loss of an element x with target t. */
  readonly value: (x: number, t: number) => number;
  /** Its derivative with respect to x. */
  readonly slope: (x: number, t: number) => number;
  /** Statements that define `loss` from `x` and `t`, all of type `T` (f32 or vec4f). */
  readonly valueWgsl: string;
  /** Statements that define `slope`. */
  readonly slopeWgsl: string;
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

/** `p` = sigmoid(z), `q` = 1 - p and `cost` = -log q = softplus(z), safe for any finite z. */
const logistic = `let tail = exp(-abs(z));
    let p = select(tail, T(1.0), z >= T()) / (T(1.0) + tail);
    let q = select(T(1.0), tail, z >= T()) / (T(1.0) + tail);
    let cost = max(z, T()) + log(T(1.0) + tail);`;

/** A power of a base in [0, 1]; whole small exponents without logarithm. */
function power(base: string, exponent: number, parameter: string): string {
  if (exponent === 1) return base;
  if (exponent === 2) return `(${base} * ${base})`;
  if (exponent === 4) return `(${base} * ${base} * ${base} * ${base})`;
  return `pow(max(${base}, T(1e-30)), T(params.${parameter}))`;
}

function requirePositive(where: string, name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) throw new ShapeError(`${where}: bad ${name}, expected a positive number, got ${value}. Check the loss's options.`);
}

/** |x - t|; the derivative at 0 is 0. */
export function absoluteError(): ElementLoss {
  return {
    name: "absoluteError",
    labels: false,
    parameters: {},
    value: (x, t) => Math.abs(x - t),
    slope: (x, t) => Math.sign(x - t),
    valueWgsl: "let loss = abs(x - t);",
    slopeWgsl: "let slope = sign(x - t);",
  };
}

/**
 * Smooth L1: (x - t)^2 / (2 beta) below beta, |x - t| - beta / 2 above (Girshick, 2015).
 * @param options `beta` > 0, default 1
 * @throws ShapeError on a bad beta
 */
export function smoothAbsoluteError({ beta = 1 }: { readonly beta?: number } = {}): ElementLoss {
  requirePositive("smoothAbsoluteError", "beta", beta);
  return {
    name: "smoothAbsoluteError",
    labels: false,
    parameters: { beta },
    value: (x, t) => {
      const d = Math.abs(x - t);
      return d < beta ? (d * d) / (2 * beta) : d - beta / 2;
    },
    slope: (x, t) => Math.max(-1, Math.min(1, (x - t) / beta)),
    valueWgsl: "let d = abs(x - t);\n    let loss = select(d - 0.5 * params.beta, 0.5 * d * d / params.beta, d < T(params.beta));",
    slopeWgsl: "let slope = clamp((x - t) / params.beta, T(-1.0), T(1.0));",
  };
}

/** (x - t)^2. */
export function squaredError(): ElementLoss {
  return {
    name: "squaredError",
    labels: false,
    parameters: {},
    value: (x, t) => (x - t) ** 2,
    slope: (x, t) => 2 * (x - t),
    valueWgsl: "let loss = (x - t) * (x - t);",
    slopeWgsl: "let slope = 2.0 * (x - t);",
  };
}

/**
 * Binary cross entropy of sigmoid(x) with t in [0, 1]: (1 - t) x + (1 + (w - 1) t) softplus(-x), w weighing the positives.
 * @param options `positiveWeight` > 0, default 1
 * @throws ShapeError on a bad weight
 */
export function binaryCrossEntropy({ positiveWeight = 1 }: { readonly positiveWeight?: number } = {}): ElementLoss {
  requirePositive("binaryCrossEntropy", "positiveWeight", positiveWeight);
  const before = `let z = -x;
    ${logistic}
    let emphasis = 1.0 + (params.positiveWeight - 1.0) * t;`;
  return {
    name: "binaryCrossEntropy",
    labels: false,
    parameters: { positiveWeight },
    value: (x, t) => (1 - t) * x + (1 + (positiveWeight - 1) * t) * softplus(-x),
    slope: (x, t) => 1 - t - (1 + (positiveWeight - 1) * t) * sigmoid(-x),
    valueWgsl: `${before}\n    let loss = (1.0 - t) * x + emphasis * cost;`,
    slopeWgsl: `${before}\n    let slope = 1.0 - t - emphasis * p;`,
  };
}

/**
 * Sigmoid focal loss of logits against class labels (Lin et al., 2017): with z = -x at the label's column and x elsewhere,
 * a sigmoid(z)^gamma softplus(z), where a is alpha at the label's column and 1 - alpha elsewhere.
 * @param options `alpha` default 0.25, `gamma` > 0 default 2
 * @throws ShapeError on a bad gamma
 */
export function sigmoidFocal({ alpha = 0.25, gamma = 2 }: { readonly alpha?: number; readonly gamma?: number } = {}): ElementLoss {
  requirePositive("sigmoidFocal", "gamma", gamma);
  const before = `let hit = t > T(0.5);
    let z = select(x, -x, hit);
    ${logistic}
    let scale = select(T(1.0 - params.alpha), T(params.alpha), hit) * ${power("p", gamma, "gamma")};`;
  const balance = (t: number): number => (t > 0.5 ? alpha : 1 - alpha);
  return {
    name: "sigmoidFocal",
    labels: true,
    parameters: { alpha, gamma },
    value: (x, t) => {
      const z = t > 0.5 ? -x : x;
      return balance(t) * sigmoid(z) ** gamma * softplus(z);
    },
    slope: (x, t) => {
      const z = t > 0.5 ? -x : x;
      const along = balance(t) * sigmoid(z) ** gamma * (gamma * sigmoid(-z) * softplus(z) + sigmoid(z));
      return t > 0.5 ? -along : along;
    },
    valueWgsl: `${before}\n    let loss = scale * cost;`,
    slopeWgsl: `${before}\n    let along = scale * (params.gamma * q * cost + p);\n    let slope = select(along, -along, hit);`,
  };
}

/**
 * Gaussian focal loss of logits against a heat map t in [0, 1] (CornerNet: Law and Deng, 2018): softplus(-x) (1 - p)^alpha where
 * t = 1, softplus(x) p^alpha (1 - t)^gamma elsewhere, p = sigmoid(x).
 * @param options `alpha` > 0 default 2, `gamma` > 0 default 4
 * @throws ShapeError on bad exponents
 */
export function gaussianFocal({ alpha = 2, gamma = 4 }: { readonly alpha?: number; readonly gamma?: number } = {}): ElementLoss {
  requirePositive("gaussianFocal", "alpha", alpha);
  requirePositive("gaussianFocal", "gamma", gamma);
  const before = `let hit = t == T(1.0);
    let z = select(x, -x, hit);
    ${logistic}
    let far = 1.0 - t;
    let scale = select(${power("far", gamma, "gamma")}, T(1.0), hit) * ${power("p", alpha, "alpha")};`;
  const scale = (t: number): number => (t === 1 ? 1 : (1 - t) ** gamma);
  return {
    name: "gaussianFocal",
    labels: false,
    parameters: { alpha, gamma },
    value: (x, t) => {
      const z = t === 1 ? -x : x;
      return scale(t) * sigmoid(z) ** alpha * softplus(z);
    },
    slope: (x, t) => {
      const z = t === 1 ? -x : x;
      const along = scale(t) * sigmoid(z) ** alpha * (alpha * sigmoid(-z) * softplus(z) + sigmoid(z));
      return t === 1 ? -along : along;
    },
    valueWgsl: `${before}\n    let loss = scale * cost;`,
    slopeWgsl: `${before}\n    let along = scale * (params.alpha * q * cost + p);\n    let slope = select(along, -along, hit);`,
  };
}
