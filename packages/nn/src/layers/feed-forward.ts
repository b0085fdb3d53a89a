import { add, type Tensor, xavierUniform } from "@distilldrive/tensor";
import { dropoutIn } from "./attention.js";
import type { ForwardContext } from "./block.js";
import { linear, type Linear } from "./linear.js";
import { layerNorm, type LayerNorm } from "./norm.js";

/** The planner's feed-forward block. */
export interface AsymmetricFfn {
  /** [..., D] to [..., D] */
  (x: Tensor, context: ForwardContext): Tensor;
  readonly pre_norm: LayerNorm;
  /** Named as published: `layers.0.0` and `layers.1`. */
  readonly layers: readonly [readonly [Linear], Linear];
  readonly identity_fc: Linear;
}

/**
 * Feed-forward block with a pre-norm (fact T6): y = LN(x), out = identity_fc(y) + W2 relu(W1 y). The residual starts from
 * the normalised y and is projected, as published.
 *
 * @param hiddenChannels width between the two layers; published 2 D
 */
export function asymmetricFfn(channels: number, hiddenChannels: number): AsymmetricFfn {
  const xavier = (from: number, to: number): Linear => linear(from, to, { weight: xavierUniform(from, to) });
  const pre_norm = layerNorm(channels);
  const inner = xavier(channels, hiddenChannels);
  const outer = xavier(hiddenChannels, channels);
  const identity_fc = xavier(channels, channels);
  const apply = (x: Tensor, context: ForwardContext): Tensor => {
    const y = pre_norm(x);
    const hidden = dropoutIn(context, inner(y, "relu"));
    return add(identity_fc(y), dropoutIn(context, outer(hidden)));
  };
  return Object.assign(apply, { pre_norm, layers: [[inner], outer] as const, identity_fc });
}
