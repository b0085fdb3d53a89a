import { type KernelSequence, matmulPlan, ShapeError } from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { dropoutOp } from "./dropout.js";
import { add, exp, greater, mul, normalCdf, square } from "./elementwise.js";
import { defineKernelOp, renameTensors } from "./kernel-op.js";
import { sum } from "./reduce.js";
import { reshape } from "./reshape.js";

/**
 * Variants of a matrix product and its epilogue, out = dropout(activation(scale * (a b) + bias)) + residual.
 * The inputs the epilogue reads follow a and b in the order bias, residual, key: those that are asked for.
 */
export interface MatmulAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Sums over the batch as well: the result has batch 1. */
  readonly reduceBatch: boolean;
  /** The next input [N] is added to every row. */
  readonly bias: boolean;
  readonly activation: "none" | "relu" | "gelu";
  /** The next input, of the output's shape, is added last. Default false. */
  readonly residual?: boolean;
  /** Factor of the product. Default 1. */
  readonly scale?: number;
  /** Drops elements after the activation exactly as a dropout op of these attributes would; the last input is its key u32[4]. Default none. */
  readonly dropout?: { readonly rate: number; readonly opId: number };
}

interface Sizes {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly kOfB: number;
  readonly batchA: boolean;
  readonly batchB: boolean;
}

function sizesOf(a: TensorType | undefined, b: TensorType | undefined, { transposeA, transposeB }: MatmulAttributes): Sizes {
  const [ba = 1, a0 = 0, a1 = 0] = a?.shape ?? [];
  const [bb = 1, b0 = 0, b1 = 0] = b?.shape ?? [];
  const batch = ba === 1 ? bb : ba;
  return {
    batch,
    m: transposeA ? a1 : a0,
    k: transposeA ? a0 : a1,
    kOfB: transposeB ? b1 : b0,
    n: transposeB ? b0 : b1,
    batchA: ba === batch,
    batchB: bb === batch,
  };
}

/** The epilogue's inputs by name, in the order of the op's inputs. */
function epilogueInputs<T>(inputs: readonly T[], { bias, residual = false, dropout }: MatmulAttributes): { bias: T | undefined; residual: T | undefined; key: T | undefined } {
  const rest = inputs.slice(2);
  return { bias: bias ? rest.shift() : undefined, residual: residual ? rest.shift() : undefined, key: dropout ? rest.shift() : undefined };
}

const plain = { transposeA: false, transposeB: false, reduceBatch: false, bias: false, activation: "none" } as const;

/** y = dropout(activation(scale * (a b) + bias)) + residual for every batch; operands [B or 1, M, K] and [B or 1, K, N], stored transposed where said. */
export const matmulOp: OpDefinition<MatmulAttributes> = defineKernelOp({
  name: "matmul",
  inputs: ["a", "b", "epilogue..."],
  outputs: ["out"],
  shape: (inputs, attributes) => {
    const [a, b] = inputs;
    const { bias, residual, key } = epilogueInputs(inputs, attributes);
    const { batch, m, n, k, kOfB, batchA, batchB } = sizesOf(a, b, attributes);
    const got = `${a ? formatType(a) : ""}${attributes.transposeA ? "ᵀ" : ""} x ${b ? formatType(b) : ""}${attributes.transposeB ? "ᵀ" : ""}`;
    if (a?.shape.length !== 3 || b?.shape.length !== 3) throw new ShapeError(`matmul: wrong number of axes, expected [B, M, K] and [B, K, N], got ${got}. Reshape the operands.`);
    if (k !== kOfB) throw new ShapeError(`matmul: inner sizes differ, expected ${k} rows in b, got ${kOfB} (${got}). Transpose or reshape an operand.`);
    if (!batchA || !batchB) {
      const ok = (batchA || a.shape[0] === 1) && (batchB || b.shape[0] === 1) && !attributes.reduceBatch;
      if (!ok) throw new ShapeError(`matmul: batch sizes differ, expected equal sizes or 1, got ${got}.`);
    }
    if (attributes.bias && !sameShape(bias?.shape ?? [], [n])) throw new ShapeError(`matmul: bias does not fit, expected f32[${n}], got ${bias ? formatType(bias) : "nothing"}.`);
    const out = [attributes.reduceBatch ? 1 : batch, m, n];
    if (attributes.residual && !sameShape(residual?.shape ?? [], out)) throw new ShapeError(`matmul: residual does not fit, expected f32[${out.join(", ")}], got ${residual ? formatType(residual) : "nothing"}.`);
    if (attributes.dropout && !(key?.dtype === "u32" && sameShape(key.shape, [4]))) throw new ShapeError(`matmul: dropout key does not fit, expected u32[4], got ${key ? formatType(key) : "nothing"}. Pass the run's random key.`);
    return [typeOf(out)];
  },
  kernels: ({ target, inputs, attributes }): KernelSequence => {
    const [a, b] = inputs;
    const { transposeA, transposeB, reduceBatch, bias, activation, residual = false, scale = 1, dropout } = attributes;
    const { batch, m, n, k, batchA, batchB } = sizesOf(a, b, attributes);
    const sequence = matmulPlan({ batch, m, n, k, transposeA, transposeB, batchA, batchB, reduceBatch, epilogue: { bias, activation, residual, scale, ...(dropout ? { dropout } : {}) } }, target);
    const read = Object.entries(epilogueInputs(inputs, attributes)).filter(([, type]) => type !== undefined);
    return renameTensors(sequence, Object.fromEntries(read.map(([name], i) => [name, `epilogue${i}`])));
  },
  along: (axis, inputs, attributes) => {
    const [a, b] = inputs;
    const { batchA, batchB } = sizesOf(a, b, attributes);
    // Rows of the result come from rows of a. Columns and batches could be cut too, but nobody reads only some of them.
    // Dropout counts its random numbers by element of the whole result.
    if (axis !== 1 || attributes.reduceBatch || attributes.dropout || !(batchA || batchB)) return undefined;
    const residual = attributes.residual ? 2 + Number(attributes.bias) : -1;
    return { inputs: inputs.map((_, position) => (position === 0 ? (attributes.transposeA ? 2 : 1) : position === residual ? 1 : null)) };
  },
  vjp: {
    saves: ["a", "b", "epilogue...", "out"],
    recompute: "costly",
    rule: ({ inputs, outputs: [out], cotangents: [dy], attributes, needs }) => {
      const [a, b] = inputs;
      if (!a || !b || !out || !dy) return [];
      const { transposeA: ta, transposeB: tb, reduceBatch, scale = 1 } = attributes;
      const { batchA, batchB, n } = sizesOf(a.type, b.type, attributes);
      const dz = sumGradient(inputs, out, dy, attributes);
      const product = (x: Tensor, y: Tensor, transposeA: boolean, transposeB: boolean, own: boolean): Tensor =>
        applyOp(matmulOp, [x, y], { ...plain, transposeA, transposeB, reduceBatch: !own && !reduceBatch, ...(scale === 1 ? {} : { scale }) });
      return [
        needs[0] ? (ta ? product(b, dz, tb, true, batchA) : product(dz, b, false, !tb, batchA)) : undefined,
        needs[1] ? (tb ? product(dz, a, true, ta, batchB) : product(a, dz, !ta, false, batchB)) : undefined,
        ...(attributes.bias ? [needs[2] ? sum(reshape(dz, [-1, n]), { axes: [0] }) : undefined] : []),
        ...(attributes.residual ? [dy] : []),
      ];
    },
  },
  tolerance: ([a, b], attributes) => ({ terms: sizesOf(a, b, attributes).k * (attributes.reduceBatch ? (a?.shape[0] ?? 1) : 1), scale: 2 }),
  samples: (draw) => matmulSample(draw),
});

/**
 * Gradient to scale * (a b) + bias from the gradient to the result. The mask of dropout is drawn again. relu reads its mask off
 * the result (where dropout made a zero of it, the gradient is zero anyhow); where a residual hides it, and for gelu, the product
 * is computed again, since keeping it would cost every forward pass a tensor that inference never reads.
 */
function sumGradient(inputs: readonly Tensor[], out: Tensor, dy: Tensor, attributes: MatmulAttributes): Tensor {
  const { activation, residual = false, dropout, scale = 1, transposeA, transposeB, reduceBatch, bias } = attributes;
  const given = epilogueInputs(inputs, attributes);
  const dh = dropout && given.key ? applyOp(dropoutOp, [dy, given.key], dropout) : dy;
  if (activation === "none") return dh;
  if (activation === "relu" && !residual) return mul(dh, greater(out, 0));
  const operands = [...inputs.slice(0, 2), ...(given.bias ? [given.bias] : [])];
  const z = applyOp(matmulOp, operands, { ...plain, transposeA, transposeB, reduceBatch, bias, ...(scale === 1 ? {} : { scale }) });
  if (activation === "relu") return mul(dh, greater(z, 0));
  const density = mul(exp(mul(square(z), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return mul(dh, add(normalCdf(z), mul(z, density)));
}

/** Sizes m, n, k and layouts with epilogues that the samples combine: a choice, since every new shader text costs a compilation. */
const sampleSizes = [[1, 1, 1], [9, 7, 5], [8, 40, 16]] as const;
const sampleForms = [
  { activation: "none" },
  { transposeB: true, bias: true, activation: "relu" },
  { transposeA: true, residual: true, activation: "relu" },
  { transposeB: true, bias: true, residual: true, activation: "gelu", rate: 0.4 },
  { bias: true, activation: "relu", scale: 0.25, rate: 0.5 },
  { transposeA: true, transposeB: true, activation: "gelu", scale: -2 },
] as const satisfies readonly Partial<MatmulAttributes & { readonly rate: number }>[];

function matmulSample(draw: Draw): Sample<MatmulAttributes> {
  const [[m, n, k], batch] = [draw.pick(sampleSizes), draw.pick([1, 3])];
  const form: Partial<MatmulAttributes> & { readonly activation: MatmulAttributes["activation"]; readonly rate?: number } = draw.pick(sampleForms);
  const { transposeA = false, transposeB = false, bias = false, residual = false, scale = 1, activation, rate = 0 } = form;
  const reduceBatch = draw.integer(0, 3) === 0;
  const shared = reduceBatch ? "none" : draw.pick(["none", "a", "b"] as const);
  const a = transposeA ? [k, m] : [m, k];
  const b = transposeB ? [n, k] : [k, n];
  return {
    inputs: [
      { ...typeOf([shared === "a" ? 1 : batch, ...a]), range: [-1, 1] },
      { ...typeOf([shared === "b" ? 1 : batch, ...b]), range: [-1, 1] },
      ...(bias ? [typeOf([n])] : []),
      ...(residual ? [typeOf([reduceBatch ? 1 : batch, m, n])] : []),
      ...(rate > 0 ? [{ ...typeOf([4], "u32"), range: [0, 100000] } as const] : []),
    ],
    attributes: {
      transposeA, transposeB, reduceBatch, bias, activation, residual,
      ...(scale === 1 ? {} : { scale }),
      ...(rate > 0 ? { dropout: { rate, opId: draw.integer(0, 9) } } : {}),
    },
  };
}

/** Options of {@link matmul}. */
export interface MatmulOptions {
  /** `a` is stored [..., K, M]. */
  readonly transposeA?: boolean;
  /** `b` is stored [..., N, K], as PyTorch stores the weight of a linear layer. */
  readonly transposeB?: boolean;
  /** [N], added to every row. */
  readonly bias?: Operand;
  readonly activation?: "none" | "relu" | "gelu";
  /** [..., M, N], added last. */
  readonly residual?: Tensor;
  /** Factor of the product, default 1. */
  readonly scale?: number;
  /** Dropout after the activation; `key` is the run's random key u32[4]. A rate of 0 is no dropout. */
  readonly dropout?: { readonly rate: number; readonly key: Tensor };
}

/**
 * Matrix product and what usually follows it in the same kernel: dropout(activation(scale * (a b) + bias)) + residual.
 * @param a [..., M, K]
 * @param b [..., K, N] with the batch axes of `a`, or [K, N] for all batches
 * @returns [..., M, N]
 * @throws ShapeError when sizes do not fit
 */
export function matmul(a: Operand, b: Operand, options: MatmulOptions = {}): Tensor {
  const graph = graphOf("matmul", [a, b]);
  const [left, right] = [graph.lift(a), graph.lift(b)];
  for (const [name, operand] of [["a", left], ["b", right]] as const) {
    if (operand.shape.length < 2) throw new ShapeError(`matmul: ${name} has too few axes, expected at least two, got ${formatType(operand.type)}. Use expandDims.`);
  }
  const { transposeA = false, transposeB = false, bias, activation = "none", residual, scale = 1, dropout } = options;
  const batchShape = left.shape.length >= right.shape.length ? left.shape.slice(0, -2) : right.shape.slice(0, -2);
  const batchOf = (x: Tensor): number => sizeOf(x.shape.slice(0, -2));
  const equalBatches = [left, right].every((x) => x.shape.length === 2 || sameShape(x.shape.slice(0, -2), batchShape));
  if (!equalBatches) throw new ShapeError(`matmul: batch axes differ, expected the same or none, got ${formatType(left.type)} and ${formatType(right.type)}.`);
  // Rows of all batches against one matrix are one tall matrix: the weight gradient then needs no sum over batches.
  const tall = right.shape.length === 2 && !transposeA;
  const a3 = tall ? reshape(left, [1, sizeOf(left.shape.slice(0, -1)), left.at(-1)]) : reshape(left, [batchOf(left), left.at(-2), left.at(-1)]);
  const b3 = reshape(right, [batchOf(right), right.at(-2), right.at(-1)]);
  const rows = transposeA ? left.at(-1) : left.at(-2);
  const drops = dropout !== undefined && dropout.rate > 0;
  const attributes: MatmulAttributes = {
    transposeA, transposeB, reduceBatch: false, bias: bias !== undefined, activation,
    ...(residual === undefined ? {} : { residual: true }),
    ...(scale === 1 ? {} : { scale }),
    ...(drops ? { dropout: { rate: dropout.rate, opId: graph.nextRandomOp() } } : {}),
  };
  const extra = [
    ...(bias === undefined ? [] : [bias]),
    ...(residual === undefined ? [] : [reshape(residual, tall ? [1, a3.at(1), residual.at(-1)] : [Math.max(a3.at(0), b3.at(0)), rows, residual.at(-1)])]),
    ...(drops ? [dropout.key] : []),
  ];
  const out = applyOp(matmulOp, [a3, b3, ...extra], attributes);
  return reshape(out, [...batchShape, rows, out.at(-1)]);
}

/**
 * A linear layer in one kernel: activation(x weightᵀ + bias).
 * @param x [..., in]
 * @param weight [out, in]
 * @param bias [out]
 * @returns [..., out]
 */
export function linear(x: Tensor, weight: Operand, bias?: Operand, activation: "none" | "relu" = "none"): Tensor {
  const rows = x.shape.length === 1 ? reshape(x, [1, x.at(0)]) : x;
  const y = matmul(rows, weight, { transposeB: true, activation, ...(bias === undefined ? {} : { bias }) });
  return x.shape.length === 1 ? reshape(y, [y.at(-1)]) : y;
}
