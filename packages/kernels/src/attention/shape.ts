import { ShapeError } from "../errors.js";
import type { Binding } from "../kernel.js";
import { requireSizes } from "../sizes.js";

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
  /** Probability that an attention weight is dropped, in [0, 1). Above 0, kernels read the random `key`. Default 0. */
  readonly dropout?: number;
  /** Which random op of the graph this is. Default 0. */
  readonly opId?: number;
}

/** {@link AttentionOptions} with every default filled in. */
export type AttentionShape = Readonly<Required<AttentionOptions>>;

/** Checks and completes options. @throws ShapeError */
export function attentionShape(options: AttentionOptions): AttentionShape {
  const { dim, valueDim = dim, mask = false, dropout = 0, opId = 0 } = options;
  const { batch, queries, keys, heads } = options;
  requireSizes("attention", { batch, queries, keys, opId });
  requireSizes("attention", { heads, dim, valueDim }, 1);
  if (!(dropout >= 0 && dropout < 1)) throw new ShapeError(`attention: bad dropout, expected a probability in [0, 1), got ${dropout}. Use 0 to switch it off.`);
  if (dropout > 0 && batch * heads * queries * keys >= 2 ** 32) throw new ShapeError(`attention: too many weights for dropout's counter, expected batch x heads x queries x keys < 2^32, got ${batch * heads * queries * keys}. Split the batch.`);
  return { batch, queries, keys, heads, dim, valueDim, mask, dropout, opId };
}

/** Every tensor of attention and of its gradient, as a read-only binding. */
export function attentionTensors(shape: AttentionShape): Readonly<Record<"q" | "k" | "v" | "keyPaddingMask" | "key" | "out" | "logSumExp" | "rowStatistics", Binding>> {
  const { batch, queries, keys, heads, dim, valueDim } = shape;
  const read = (name: string, length: number, dtype: Binding["dtype"] = "f32"): Binding => ({ name, access: "read", dtype, length });
  return {
    q: read("q", batch * queries * heads * dim),
    k: read("k", batch * keys * heads * dim),
    v: read("v", batch * keys * heads * valueDim),
    keyPaddingMask: read("keyPaddingMask", batch * keys),
    key: read("key", 4, "u32"),
    out: read("out", batch * queries * heads * valueDim),
    logSumExp: read("logSumExp", batch * heads * queries),
    rowStatistics: read("rowStatistics", 2 * batch * heads * queries),
  };
}
