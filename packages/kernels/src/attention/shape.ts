import { ShapeError } from "../errors.js";
import type { Binding } from "../kernel.js";
import { requireSizes } from "../sizes.js";

/** Which axes an additive mask has: none at all, [Lq, Lk], [B, Lq, Lk] or [B, H, Lq, Lk]. */
export type AdditiveMask = "none" | "shared" | "batch" | "head";

/** Sizes and variants of multi-head attention. */
export interface AttentionOptions {
  /** B */
  readonly batch: number;
  /** Lq, queries per batch element. */
  readonly queries: number;
  /** Lk, keys per batch element. */
  readonly keys: number;
  /** H */
  readonly heads: number;
  /** d, channels of q and k per head. */
  readonly dim: number;
  /** dv, channels of v per head. Default `dim`. */
  readonly valueDim?: number;
  /** Reads `keyPaddingMask`. Default false. */
  readonly mask?: boolean;
  /** Reads `additiveMask`, which is added to the scaled scores; values of -1e29 and below hide a key. Default "none". */
  readonly additive?: AdditiveMask;
  /** Probability that an attention weight is dropped, in [0, 1). Above 0, kernels read the random `key`. Default 0. */
  readonly dropout?: number;
  /** Which random op of the graph this is. Default 0. */
  readonly opId?: number;
}

/** {@link AttentionOptions} with every default filled in. */
export type AttentionShape = Readonly<Required<AttentionOptions>>;

/** Checks and completes options. @throws ShapeError */
export function attentionShape(options: AttentionOptions): AttentionShape {
  const { dim, valueDim = dim, mask = false, additive = "none", dropout = 0, opId = 0 } = options;
  const { batch, queries, keys, heads } = options;
  requireSizes("attention", { batch, queries, keys, opId });
  requireSizes("attention", { heads, dim, valueDim }, 1);
  if (!(dropout >= 0 && dropout < 1)) throw new ShapeError(`attention: bad dropout, expected a probability in [0, 1), got ${dropout}. Use 0 to switch it off.`);
  if (dropout > 0 && batch * heads * queries * keys >= 2 ** 32) throw new ShapeError(`attention: too many weights for dropout's counter, expected batch x heads x queries x keys < 2^32, got ${batch * heads * queries * keys}. Split the batch.`);
  return { batch, queries, keys, heads, dim, valueDim, mask, additive, dropout, opId };
}

/** Elements from one batch element, and from one head, to the next in the additive mask. */
export function additiveStrides({ queries, keys, heads, additive }: AttentionShape): { readonly batch: number; readonly head: number } {
  const matrix = queries * keys;
  return { batch: additive === "head" ? heads * matrix : additive === "batch" ? matrix : 0, head: additive === "head" ? matrix : 0 };
}

/** Names of the tensors of attention and of its gradient that all of them read or save. */
type TensorName = "q" | "k" | "v" | "keyPaddingMask" | "additiveMask" | "key" | "out" | "logSumExp" | "rowStatistics";

/** Every tensor of attention and of its gradient, as a read-only binding. */
export function attentionTensors(shape: AttentionShape): Readonly<Record<TensorName, Binding>> {
  const { batch, queries, keys, heads, dim, valueDim, additive } = shape;
  const read = (name: TensorName, length: number, dtype: Binding["dtype"] = "f32"): Binding => ({ name, access: "read", dtype, length });
  const matrices = { none: 0, shared: 1, batch, head: batch * heads }[additive];
  return {
    q: read("q", batch * queries * heads * dim),
    k: read("k", batch * keys * heads * dim),
    v: read("v", batch * keys * heads * valueDim),
    keyPaddingMask: read("keyPaddingMask", batch * keys),
    additiveMask: read("additiveMask", matrices * queries * keys),
    key: read("key", 4, "u32"),
    out: read("out", batch * queries * heads * valueDim),
    logSumExp: read("logSumExp", batch * heads * queries),
    rowStatistics: read("rowStatistics", 2 * batch * heads * queries + streamFloats),
  };
}

/** Numbers behind the row statistics: the random stream in four pieces of 16 bits. */
export const streamFloats = 4;

/** The optional tensors every kernel that computes scores reads. */
export function maskBindings(shape: AttentionShape): Binding[] {
  const { keyPaddingMask, additiveMask } = attentionTensors(shape);
  return [...(shape.mask ? [keyPaddingMask] : []), ...(shape.additive === "none" ? [] : [additiveMask])];
}

/** Bindings of the forward kernel, in order. */
export function forwardBindings(shape: AttentionShape): Binding[] {
  const { q, k, v, key, out, logSumExp } = attentionTensors(shape);
  return [q, k, v, ...maskBindings(shape), ...(shape.dropout > 0 ? [key] : []), { ...out, access: "write" }, { ...logSumExp, access: "write" }];
}

/** Bindings that the kernels of the gradient read, in order. */
export function gradientBindings(shape: AttentionShape): Binding[] {
  const { q, k, v, out, rowStatistics } = attentionTensors(shape);
  return [q, k, v, ...maskBindings(shape), rowStatistics, { ...out, name: "dout" }];
}

/** Floating point operations and bytes of a kernel that spends `perWeight` operations on each attention weight. */
export function attentionCost({ batch, heads, queries, keys }: AttentionShape, bindings: readonly Binding[], perWeight: number): { flops: number; bytes: number } {
  return { flops: batch * heads * queries * keys * perWeight, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) };
}
