import { ShapeError } from "../errors.js";
import { sequenceOf } from "../kernel.js";
import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { portableTarget } from "../target.js";
import { noFinish } from "./epilogue.js";
import { registerTileMatmul, type RegisterTile } from "./register-tile.js";
import { layoutName, matmulShape, type MatmulOptions, type MatmulShape } from "./shape.js";
import { sumSlices } from "./sum-slices.js";
import { workgroupTileBytes, workgroupTileMatmul } from "./workgroup-tile.js";

/**
 * Matrix product `out [batch, m, n] = dropout(activation(scale * a [batch, m, k] b [batch, k, n] + bias [n])) + residual [batch, m, n]`, row-major,
 * with either operand stored transposed or shared by all batches.
 * Bindings: a, b, bias, residual and key u32[4] where asked for, out.
 * @throws ShapeError on a size that is not a non-negative integer
 */
export function matmul(options: MatmulOptions, target: KernelTarget = portableTarget): Kernel {
  return kernelFor(matmulShape(options), target);
}

/** Options of {@link matmulPlan}. */
export interface MatmulPlanOptions extends MatmulOptions {
  /**
   * Sums over the batch as well: out is [m, n], e.g. the weight gradient of a batched input. Default false.
   * A residual is then [m, n]. Both operands must have the batch dimension.
   */
  readonly reduceBatch?: boolean;
}

/**
 * Matrix product as the sequence that is fastest for the shape: one kernel, or, when few outputs sum over a long k, the k axis cut
 * into slices that run side by side and are added in a fixed order (so results do not change from run to run).
 * Tensors: a, b, bias, residual, key, out as in {@link matmul}; temporary: parts.
 * @throws ShapeError on bad sizes, or reduceBatch with a shared operand
 */
export function matmulPlan(options: MatmulPlanOptions, target: KernelTarget = portableTarget): KernelSequence {
  const { reduceBatch = false, ...product } = options;
  const shape = reduceBatch ? reducedShape(product) : matmulShape(product);
  const slices = sliceCount(shape, target);
  const addBatch = reduceBatch && shape.batch !== 1;
  if ((slices === 1 && !addBatch) || (!reduceBatch && shape.batch > 1)) return sequenceOf(kernelFor(shape, target));

  const { bias, activation, residual, scale, dropout, m, n } = shape;
  const partial = kernelFor({ ...shape, slices, ...noFinish }, target);
  const count = shape.batch * slices;
  const sum = sumSlices({ slices: count, length: m * n, columns: n, bias, activation, residual, scale, dropout });
  return {
    name: `matmul.${layoutName(shape)}.slices${count}`,
    kernels: [
      { kernel: partial, bind: { a: "a", b: "b", out: "parts" } },
      { kernel: sum, bind: { parts: "parts", ...(bias ? { bias: "bias" } : {}), ...(residual ? { residual: "residual" } : {}), ...(dropout ? { key: "key" } : {}), out: "out" } },
    ],
    temporaries: [{ name: "parts", dtype: "f32", length: count * m * n }],
  };
}

/** A sum over batches is a longer k where both operands keep k outermost (`a` transposed, `b` not); else the batch stays. */
function reducedShape(options: MatmulOptions): MatmulShape {
  const { batch = 1, k, transposeA = false, transposeB = false, batchA = true, batchB = true } = options;
  if (!batchA || !batchB) throw new ShapeError(`matmulPlan: reduceBatch with a shared operand, expected batchA and batchB, got ${batchA} and ${batchB}. Multiply the other operand's sum over the batch instead.`);
  if (transposeA && !transposeB) return matmulShape({ ...options, batch: 1, k: batch * k });
  return matmulShape(options);
}

/** Workgroups below which cutting k pays off. */
const enoughWorkgroups = { software: 8, gpu: 128 } as const;
/** Shortest slice worth a workgroup. */
const shortestSlice = 128;

function sliceCount(shape: MatmulShape, target: KernelTarget): number {
  const [x, y, z] = kernelFor(shape, target).grid;
  const workgroups = x * y * z;
  if (workgroups === 0) return 1;
  const wanted = Math.ceil(enoughWorkgroups[target.class] / workgroups);
  return Math.max(1, Math.min(wanted, Math.floor(shape.k / shortestSlice)));
}

/** The family and tile for a shape on a target. */
function kernelFor(shape: MatmulShape, target: KernelTarget): Kernel {
  const { limits } = target;
  if (target.class === "gpu") {
    const large = Math.min(shape.m, shape.n) > 32 && limits.maxComputeInvocationsPerWorkgroup >= 256 && limits.maxComputeWorkgroupStorageSize >= workgroupTileBytes(64);
    return workgroupTileMatmul(shape, large ? 64 : 32);
  }
  return registerTileMatmul(shape, registerTile(shape, target));
}

/** Subgroup sizes {@link registerTileMatmul} was tried with; others do without subgroup operations. */
const knownSubgroups: readonly number[] = [4, 8, 16];

function registerTile({ m, n }: MatmulShape, target: KernelTarget): RegisterTile {
  const subgroup = knownSubgroups.includes(target.subgroupSize) ? target.subgroupSize : 0;
  const rowsFor = (count: number, most: number): number => (count > 2 ? most : 2);
  // Few columns would leave lanes idle: then the rows are spread over the lanes.
  const laneAxis = n < 16 && m > n ? "m" : "n";
  const [lanesAlong, rowsAlong] = laneAxis === "n" ? [n, m] : [m, n];
  if (subgroup === 0) return { rows: rowsFor(rowsAlong, 7), columns: lanesAlong >= 32 ? 4 : 1, subgroup, laneAxis };
  return { rows: rowsFor(rowsAlong, 8), columns: lanesAlong > subgroup ? 2 : 1, subgroup, laneAxis };
}
