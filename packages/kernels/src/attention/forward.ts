import type { Kernel, KernelTarget } from "../kernel.js";
import { portableTarget } from "../target.js";
import { chooseCandidate } from "../tuning.js";
import { attentionKey, forwardCandidates } from "./candidates.js";
import { attentionShape, type AttentionOptions } from "./shape.js";

/**
 * Multi-head attention out = dropout(softmax(q k^T / sqrt(d) + additiveMask)) v as one kernel, with a softmax that runs along the keys:
 * no [Lq, Lk] matrix is stored.
 * Bindings: q [B, Lq, H d], k [B, Lk, H d], v [B, Lk, H dv], keyPaddingMask [B, Lk] (with `mask`; nonzero: the key is ignored),
 * additiveMask [Lq, Lk], [B, Lq, Lk] or [B, H, Lq, Lk] (with `additive`; finite, -1e29 and below: the key is ignored),
 * key [4] u32 (with `dropout`), out [B, Lq, H dv], logSumExp [B, H, Lq] (kept for the gradient; 0 for rows without any key).
 * Rows whose keys are all ignored give zeros.
 * @throws ShapeError on bad sizes
 */
export function attentionForward(options: AttentionOptions, target: KernelTarget = portableTarget): Kernel {
  const shape = attentionShape(options);
  const [step] = chooseCandidate(target, attentionKey("forward", shape), forwardCandidates(shape, target)).kernels;
  if (step === undefined) throw new Error("attention: a candidate without a kernel. Build exactly one.");
  return step.kernel;
}
