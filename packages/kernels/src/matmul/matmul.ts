import { ShapeError } from "../errors.js";
import { sequenceOf } from "../kernel.js";
import type { Candidate, Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { portableTarget } from "../target.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { chooseTile, smallTile } from "./choose-tile.js";
import { noFinish } from "./epilogue.js";
import { registerTileMatmul, type RegisterTile } from "./register-tile.js";
import { layoutName, matmulShape, type MatmulOptions, type MatmulShape } from "./shape.js";
import { stridedOperands, type StridedTile, stridedTileMatmul } from "./strided-tile.js";
import { sumSlices } from "./sum-slices.js";
import { workgroupTileBytes, workgroupTileMatmul } from "./workgroup-tile.js";

/**
 * Matrix product `out [batch, m, n] = dropout(activation(scale * a [batch, m, k] b [batch, k, n] + bias [n])) + residual [batch, m, n]`, row-major,
 * with either operand stored transposed or shared by all batches.
 * Bindings: a, b, bias, residual and key u32[4] where asked for, out. {@link matmulPlan} knows more ways.
 * @throws ShapeError on a size that is not a non-negative integer
 */
export function matmul(options: MatmulOptions, target: KernelTarget = portableTarget): Kernel {
  return familiesFor(matmulShape(options), target)[0].kernel(matmulShape(options));
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
 * The families and tiles a target can run are candidates for its tuning; the first follows the rules of its class.
 * Tensors: a, b, bias, residual, key, out as in {@link matmul}; temporary: parts.
 * @throws ShapeError on bad sizes, or reduceBatch with a shared operand
 */
export function matmulPlan(options: MatmulPlanOptions, target: KernelTarget = portableTarget): KernelSequence {
  const { reduceBatch = false, ...product } = options;
  const shape = reduceBatch ? reducedShape(product) : matmulShape(product);
  const [m, n, k, batch] = [shape.m, shape.n, shape.k, shape.batch].map(sizeBucket);
  const candidate = (family: Family): Candidate => ({ name: family.name, build: () => planWith(family, shape, reduceBatch, target) });
  const rule = familiesFor(shape, target);
  const small = target.class === "software" ? smallTile(shape, subgroupFor(target)) : undefined;
  const [first, ...others] = small ? ([strided(small), ...rule] as const) : rule;
  return chooseCandidate(target, `matmul.${layoutName(shape)} ${m}x${n}x${k} b${batch}`, [candidate(first), ...others.map(candidate)]);
}

function planWith({ kernel, operands }: Family, shape: MatmulShape, reduceBatch: boolean, target: KernelTarget): KernelSequence {
  const addBatch = reduceBatch && shape.batch !== 1;
  const whole = kernel(shape);
  const slices = !addBatch && shape.batch > 1 ? 1 : sliceCount(whole, shape, target);
  if (slices === 1 && !addBatch) {
    const plain = sequenceOf(whole);
    return { ...plain, kernels: plain.kernels.map(({ bind, ...step }) => ({ ...step, bind: { ...bind, ...operands } })) };
  }

  const { bias, activation, residual, scale, dropout, m, n } = shape;
  const count = shape.batch * slices;
  const sum = sumSlices({ slices: count, length: m * n, columns: n, bias, activation, residual, scale, dropout });
  return {
    name: `matmul.${layoutName(shape)}.slices${count}`,
    kernels: [
      { kernel: kernel({ ...shape, slices, ...noFinish }), bind: { ...operands, out: "parts" } },
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

function sliceCount({ grid: [x, y, z] }: Kernel, { k }: MatmulShape, target: KernelTarget): number {
  const workgroups = x * y * z;
  if (workgroups === 0) return 1;
  const wanted = Math.ceil(enoughWorkgroups[target.class] / workgroups);
  return Math.max(1, Math.min(wanted, Math.floor(k / shortestSlice)));
}

/** One way to compute a product. */
interface Family {
  readonly name: string;
  readonly kernel: (shape: MatmulShape) => Kernel;
  /** The operands by the names of the kernel's bindings. */
  readonly operands: Readonly<Record<string, "a" | "b">>;
}

const plainOperands = { a: "a", b: "b" } as const;

/** One shader for all small products. */
function strided(tile: StridedTile): Family {
  return { name: `strided${tile.laneAxis}`, kernel: (of) => stridedTileMatmul(of, tile), operands: stridedOperands(tile) };
}

/** Tiles a tuner may try besides the rules' choice. */
const otherTiles = { software: [[24, 4], [16, 4], [8, 4], [8, 2]], gpu: [[8, 4], [4, 4]] } as const;
/** The same without subgroup operations, where every row is a load of its own. */
const plainTiles = [[8, 4], [4, 4]] as const;

/** The families a target can run, the rules' choice first. */
function familiesFor(shape: MatmulShape, target: KernelTarget): readonly [Family, ...Family[]] {
  const { limits } = target;
  const subgroup = subgroupFor(target);
  const register = (tile: RegisterTile): Family => ({
    name: `${tile.subgroup > 0 ? "subgroup" : "register"}${tile.rows}x${tile.columns}${tile.laneAxis}`,
    kernel: (of) => registerTileMatmul(of, tile),
    operands: plainOperands,
  });
  const workgroup = ([32, 64] as const)
    .filter((tile) => limits.maxComputeInvocationsPerWorkgroup >= (tile / 4) ** 2 && limits.maxComputeWorkgroupStorageSize >= workgroupTileBytes(tile))
    .map((tile): Family => ({ name: `workgroup${tile}`, kernel: (of) => workgroupTileMatmul(of, tile), operands: plainOperands }));
  const registers = [
    ...(subgroup > 0 ? otherTiles[target.class] : []).map(([rows, columns]) => register({ rows, columns, subgroup, laneAxis: "n" })),
    ...plainTiles.map(([rows, columns]) => register({ rows, columns, subgroup: 0, laneAxis: "n" })),
  ];
  const [small, large] = workgroup;
  const rule = target.class === "gpu" ? (Math.min(shape.m, shape.n) > 32 ? large : undefined) ?? small : undefined;
  const first = rule ?? register(chooseTile(shape, subgroup));
  return [first, ...[...registers, ...workgroup].filter(({ name }) => name !== first.name)];
}

/** Lanes that subgroup kernels are written for: a fixed subgroup size that is also a legal workgroup. */
function subgroupFor({ subgroupSize, limits }: KernelTarget): number {
  return [4, 8, 16, 32, 64].includes(subgroupSize) && subgroupSize <= limits.maxComputeInvocationsPerWorkgroup ? subgroupSize : 0;
}
