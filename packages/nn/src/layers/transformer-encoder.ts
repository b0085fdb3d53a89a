import { add, slice, type Tensor } from "@distilldrive/tensor";
import { dropoutIn, multiheadAttention, type MultiheadAttention } from "./attention.js";
import type { ForwardContext } from "./block.js";
import { linear, type Linear } from "./linear.js";
import { layerNorm, type LayerNorm } from "./norm.js";

/** One post-norm transformer layer, PyTorch's names. */
export interface TransformerEncoderLayer {
  /** @param query [B, Lq, D] tokens to update @param memory [B, L, D] tokens to attend to */
  (query: Tensor, memory: Tensor, keyPaddingMask: Tensor | null, context: ForwardContext): Tensor;
  readonly self_attn: MultiheadAttention;
  readonly norm1: LayerNorm;
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly norm2: LayerNorm;
}

/** Post-norm transformer layer: LN(x + attention), LN(x + W2 relu(W1 x)); the feed-forward part is `expansion` times as wide. */
export function transformerEncoderLayer(channels: number, heads: number, expansion = 4): TransformerEncoderLayer {
  const self_attn = multiheadAttention(channels, heads);
  const norm1 = layerNorm(channels);
  const linear1 = linear(channels, expansion * channels);
  const linear2 = linear(expansion * channels, channels);
  const norm2 = layerNorm(channels);
  const apply = (query: Tensor, memory: Tensor, keyPaddingMask: Tensor | null, context: ForwardContext): Tensor => {
    const attended = norm1(add(query, dropoutIn(context, self_attn(query, memory, memory, keyPaddingMask, context))));
    const hidden = dropoutIn(context, linear1(attended, "relu"));
    return norm2(add(attended, dropoutIn(context, linear2(hidden))));
  };
  return Object.assign(apply, { self_attn, norm1, linear1, linear2, norm2 });
}

/** A stack of transformer layers. */
export interface TransformerEncoder {
  /**
   * @param tokens [B, L, D]
   * @param keyPaddingMask [B, L] 1 = ignore
   * @returns [B, L, D], or [B, 1, D] with `onlyFirst`
   */
  (tokens: Tensor, keyPaddingMask: Tensor | null, context: ForwardContext, options?: { readonly onlyFirst?: boolean }): Tensor;
  readonly layers: readonly TransformerEncoderLayer[];
}

/**
 * Transformer encoder. With `onlyFirst` the last layer computes only the first token's output, all a caller that reads
 * nothing else needs: the same numbers for a fraction of the work.
 */
export function transformerEncoder(channels: number, heads: number, depth: number): TransformerEncoder {
  const layers = Array.from({ length: depth }, () => transformerEncoderLayer(channels, heads));
  const apply = (
    tokens: Tensor,
    keyPaddingMask: Tensor | null,
    context: ForwardContext,
    { onlyFirst = false }: { readonly onlyFirst?: boolean } = {},
  ): Tensor =>
    layers.reduce((x, layer, index) => {
      const first = (all: Tensor): Tensor => (onlyFirst && index === layers.length - 1 ? slice(all, 1, 0, 1) : all);
      return x.graph.dropsDeadRows ? layer(first(x), x, keyPaddingMask, context) : first(layer(x, x, keyPaddingMask, context));
    }, tokens);
  return Object.assign(apply, { layers });
}
