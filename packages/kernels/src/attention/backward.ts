import type { KernelSequence, KernelTarget } from "../kernel.js";
import { portableTarget } from "../target.js";
import { chooseCandidate } from "../tuning.js";
import { attentionKey, backwardCandidates } from "./candidates.js";
import { attentionShape, type AttentionOptions } from "./shape.js";

/**
 * Gradient of attention. Scores and dropped weights are computed again from q, k, logSumExp and the random key; nothing is [Lq, Lk],
 * nothing is added atomically.
 *
 * In general three kernels in a row: row statistics, dq (an owner per query), dk and dv (an owner per key). Scores and their gradients are
 * thus computed twice, 7 products instead of 5. CPU drivers with subgroups do with 5: after the row statistics one kernel holds a block of
 * keys in registers and walks along the queries, its dq passing through memory, with a workgroup per (batch, head), which would leave
 * devices of many cores idle. And they compute everything in one kernel where that stays small: with at most eight keys (a workgroup per
 * (batch, head) meets them all at once), and with few queries (a lane per (batch, head)).
 *
 * Tensors read: q, k, v, out, logSumExp, dout [B, Lq, H dv], keyPaddingMask (with `mask`), additiveMask (with `additive`; it gets no
 * gradient), key (with `dropout`); written: dq [B, Lq, H d], dk [B, Lk, H d], dv [B, Lk, H dv]; temporary: rowStatistics.
 * Rows without a key and keys that are ignored get zeros.
 * @throws ShapeError on bad sizes
 */
export function attentionBackward(options: AttentionOptions, target: KernelTarget = portableTarget): KernelSequence {
  const shape = attentionShape(options);
  return chooseCandidate(target, attentionKey("backward", shape), backwardCandidates(shape, target));
}
