import { ShapeError } from "../errors.js";
import { requireSizes } from "../sizes.js";

/** Function applied to each sum. gelu is x * Phi(x), with Phi the normal distribution function. */
export type Activation = "none" | "relu" | "gelu";

/** Dropout of the elements of a product: the same numbers as a dropout kernel over the output draws under the same key and opId. */
export interface EpilogueDropout {
  /** Probability of an element to become zero, 0 <= rate < 1. */
  readonly rate: number;
  /** Which random op of the graph this is. */
  readonly opId: number;
}

/** What happens to each sum before it is stored: `dropout(activation(scale * sum + bias)) + residual`. */
export interface Epilogue {
  /** Adds `bias` [n]. Default false. */
  readonly bias?: boolean;
  /** Default "none". */
  readonly activation?: Activation;
  /** Adds `residual` [batch, m, n], last. Default false. */
  readonly residual?: boolean;
  /** Factor of the sums. Default 1. */
  readonly scale?: number;
  /** Drops elements of the activation, with random numbers from the binding `key` u32[4]. Default none. */
  readonly dropout?: EpilogueDropout;
}

/** Sizes and variants of a matrix product `out [batch, m, n] = a [batch, m, k] b [batch, k, n]`, all row-major. */
export interface MatmulOptions {
  /** Default 1. */
  readonly batch?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** `a` is stored [batch, k, m]. Default false. */
  readonly transposeA?: boolean;
  /** `b` is stored [batch, n, k]. Default false. */
  readonly transposeB?: boolean;
  /** false: one `a` without batch dimension serves all batches. Default true. */
  readonly batchA?: boolean;
  /** false: one `b` without batch dimension serves all batches. Default true. */
  readonly batchB?: boolean;
  readonly epilogue?: Epilogue;
}

/** {@link MatmulOptions} with every default filled in, and batches that are rows in disguise folded into `m`. */
export interface MatmulShape {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly batchA: boolean;
  readonly batchB: boolean;
  readonly bias: boolean;
  readonly activation: Activation;
  readonly residual: boolean;
  readonly scale: number;
  readonly dropout: EpilogueDropout | null;
  /** Parts the k axis is cut into, each summed to an output of its own: out is [batch, slices, m, n]. 1: the plain product. */
  readonly slices: number;
}

/** Checks and completes options. @throws ShapeError on a size that is not a non-negative integer, or a dropout rate outside [0, 1) */
export function matmulShape(options: MatmulOptions): MatmulShape {
  const { batch = 1, m, n, k, transposeA = false, transposeB = false, batchA = true, batchB = true, epilogue = {} } = options;
  requireSizes("matmul", { batch, m, n, k });
  const { bias = false, activation = "none", residual = false, scale = 1, dropout = null } = epilogue;
  if (dropout !== null && !(dropout.rate >= 0 && dropout.rate < 1)) throw new ShapeError(`matmul: bad dropout rate, expected 0 <= rate < 1, got ${dropout.rate}. Use a smaller rate.`);
  const shape = { batch, m, n, k, transposeA, transposeB, batchA, batchB, bias, activation, residual, scale, dropout, slices: 1 };
  const rowsInDisguise = batch > 1 && batchA && !batchB && !transposeA;
  return rowsInDisguise ? { ...shape, batch: 1, m: batch * m } : shape;
}

/** nn, nt, tn or tt: which operands are stored transposed. */
export function layoutName({ transposeA, transposeB }: MatmulShape): string {
  return (transposeA ? "t" : "n") + (transposeB ? "t" : "n");
}

/** Steps along k in one slice: a multiple of 16, so that vector loads stay aligned. */
export function sliceLength({ k, slices }: MatmulShape): number {
  return slices === 1 ? k : Math.ceil(k / slices / 16) * 16;
}

/** Workgroups in one dimension that every device takes. Kernels stride over what is left. */
export const maxGridDimension = 65535;
