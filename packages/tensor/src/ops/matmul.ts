import { type KernelSequence, matmulPlan, ShapeError } from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { greater, mul } from "./elementwise.js";
import { defineKernelOp, renameTensors } from "./kernel-op.js";
import { sum } from "./reduce.js";
import { reshape } from "./reshape.js";

/** Variants of a matrix product. */
interface MatmulAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Sums over the batch as well: the result has batch 1. */
  readonly reduceBatch: boolean;
  /** A third input [N] is added to every row. */
  readonly bias: boolean;
  readonly activation: "none" | "relu";
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

const plain = { transposeA: false, transposeB: false, reduceBatch: false, bias: false, activation: "none" } as const;

/** y = activation(a b + bias) for every batch; operands [B or 1, M, K] and [B or 1, K, N], stored transposed where said. */
export const matmulOp: OpDefinition<MatmulAttributes> = defineKernelOp({
  name: "matmul",
  inputs: ["a", "b", "bias..."],
  outputs: ["out"],
  shape: ([a, b, bias], attributes) => {
    const { batch, m, n, k, kOfB, batchA, batchB } = sizesOf(a, b, attributes);
    const got = `${a ? formatType(a) : ""}${attributes.transposeA ? "ᵀ" : ""} x ${b ? formatType(b) : ""}${attributes.transposeB ? "ᵀ" : ""}`;
    if (a?.shape.length !== 3 || b?.shape.length !== 3) throw new ShapeError(`matmul: wrong number of axes, expected [B, M, K] and [B, K, N], got ${got}. Reshape the operands.`);
    if (k !== kOfB) throw new ShapeError(`matmul: inner sizes differ, expected ${k} rows in b, got ${kOfB} (${got}). Transpose or reshape an operand.`);
    if (!batchA || !batchB) {
      const ok = (batchA || a.shape[0] === 1) && (batchB || b.shape[0] === 1) && !attributes.reduceBatch;
      if (!ok) throw new ShapeError(`matmul: batch sizes differ, expected equal sizes or 1, got ${got}.`);
    }
    if (attributes.bias && !sameShape(bias?.shape ?? [], [n])) throw new ShapeError(`matmul: bias does not fit, expected f32[${n}], got ${bias ? formatType(bias) : "nothing"}.`);
    return [typeOf([attributes.reduceBatch ? 1 : batch, m, n])];
  },
  kernels: ({ target, inputs: [a, b], attributes }): KernelSequence => {
    const { transposeA, transposeB, reduceBatch, bias, activation } = attributes;
    const { batch, m, n, k, batchA, batchB } = sizesOf(a, b, attributes);
    const sequence = matmulPlan({ batch, m, n, k, transposeA, transposeB, batchA, batchB, reduceBatch, epilogue: { bias, activation } }, target);
    return renameTensors(sequence, { bias: "bias0" });
  },
  vjp: {
    saves: ["a", "b", "out"],
    recompute: "costly",
    rule: ({ inputs: [a, b], outputs: [out], cotangents: [dy], attributes, needs }) => {
      if (!a || !b || !out || !dy) return [];
      const { transposeA: ta, transposeB: tb, reduceBatch } = attributes;
      const { batchA, batchB, n } = sizesOf(a.type, b.type, attributes);
      const dz = attributes.activation === "relu" ? mul(dy, greater(out, 0)) : dy;
      const product = (x: Tensor, y: Tensor, transposeA: boolean, transposeB: boolean, own: boolean): Tensor =>
        applyOp(matmulOp, [x, y], { ...plain, transposeA, transposeB, reduceBatch: !own && !reduceBatch });
      return [
        needs[0] ? (ta ? product(b, dz, tb, true, batchA) : product(dz, b, false, !tb, batchA)) : undefined,
        needs[1] ? (tb ? product(dz, a, true, ta, batchB) : product(a, dz, !ta, false, batchB)) : undefined,
        needs[2] ? sum(reshape(dz, [-1, n]), { axes: [0] }) : undefined,
      ];
    },
  },
  tolerance: ([a, b], attributes) => ({ terms: sizesOf(a, b, attributes).k * (attributes.reduceBatch ? (a?.shape[0] ?? 1) : 1), scale: 2 }),
  samples: (draw) => matmulSample(draw),
});

function matmulSample(draw: Draw): Sample<MatmulAttributes> {
  const [batch, m, n, k] = [draw.size(4), draw.size(40), draw.size(40), draw.size(40)];
  const [transposeA, transposeB, bias] = [draw.boolean(), draw.boolean(), draw.boolean()];
  const reduceBatch = !bias && draw.integer(0, 3) === 0;
  const shared = reduceBatch ? "none" : draw.pick(["none", "a", "b"] as const);
  const a = transposeA ? [k, m] : [m, k];
  const b = transposeB ? [n, k] : [k, n];
  return {
    inputs: [
      { ...typeOf([shared === "a" ? 1 : batch, ...a]), range: [-1, 1] },
      { ...typeOf([shared === "b" ? 1 : batch, ...b]), range: [-1, 1] },
      ...(bias ? [typeOf([n])] : []),
    ],
    attributes: { transposeA, transposeB, reduceBatch, bias, activation: draw.boolean() ? "relu" : "none" },
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
  readonly activation?: "none" | "relu";
}

/**
 * Matrix product with optional bias and activation in the same kernel.
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
  const { transposeA = false, transposeB = false, bias, activation = "none" } = options;
  const batchShape = left.shape.length >= right.shape.length ? left.shape.slice(0, -2) : right.shape.slice(0, -2);
  const batchOf = (x: Tensor): number => sizeOf(x.shape.slice(0, -2));
  const equalBatches = [left, right].every((x) => x.shape.length === 2 || sameShape(x.shape.slice(0, -2), batchShape));
  if (!equalBatches) throw new ShapeError(`matmul: batch axes differ, expected the same or none, got ${formatType(left.type)} and ${formatType(right.type)}.`);
  // Rows of all batches against one matrix are one tall matrix: the weight gradient then needs no sum over batches.
  const tall = right.shape.length === 2 && !transposeA;
  const a3 = tall ? reshape(left, [1, sizeOf(left.shape.slice(0, -1)), left.at(-1)]) : reshape(left, [batchOf(left), left.at(-2), left.at(-1)]);
  const b3 = reshape(right, [batchOf(right), right.at(-2), right.at(-1)]);
  const attributes = { transposeA, transposeB, reduceBatch: false, bias: bias !== undefined, activation };
  const out = applyOp(matmulOp, [a3, b3, ...(bias === undefined ? [] : [bias])], attributes);
  const rows = transposeA ? left.at(-1) : left.at(-2);
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
