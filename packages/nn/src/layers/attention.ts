import {
  add,
  attention,
  concat,
  dropout,
  linear as linearOp,
  parameter,
  slice,
  type Tensor,
  type Variable,
  xavierUniform,
} from "@distilldrive/tensor";
import type { ForwardContext } from "./block.js";
import { linear, type Linear, type Projection } from "./linear.js";

/** Multi-head attention with PyTorch's parameter names. */
export interface MultiheadAttention {
  /**
   * @param query [B, Lq, D]
   * @param key [B, Lk, D]
   * @param value [B, Lk, D]
   * @param keyPaddingMask [B, Lk] 1 = ignore this key; a query that may see no key gets the output bias
   * @returns [B, Lq, D]
   */
  (query: Tensor, key: Tensor, value: Tensor, keyPaddingMask: Tensor | null, context: ForwardContext): Tensor;
  /** [3D, D]: query, key, value */
  readonly in_proj_weight: Variable;
  /** [3D] */
  readonly in_proj_bias: Variable;
  readonly out_proj: Linear;
}

/** Multi-head attention over D = `channels` channels: projections, softmax attention, output projection. */
export function multiheadAttention(channels: number, heads: number): MultiheadAttention {
  const in_proj_weight = parameter([3 * channels, channels], xavierUniform(channels, 3 * channels));
  const in_proj_bias = parameter([3 * channels], { kind: "constant", value: 0 });
  const out_proj = linear(channels, channels, {
    weight: xavierUniform(channels, channels),
    bias: { kind: "constant", value: 0 },
  });

  /** One of the three projections (0 query, 1 key, 2 value). Slicing the weights is cheaper than slicing what they produce. */
  const project = (x: Tensor, which: 0 | 1 | 2): Tensor => {
    const part = (of: Variable): Tensor => slice(x.graph.variable(of), 0, which * channels, (which + 1) * channels);
    return linearOp(x, part(in_proj_weight), part(in_proj_bias));
  };

  const apply = (query: Tensor, key: Tensor, value: Tensor, keyPaddingMask: Tensor | null, context: ForwardContext): Tensor => {
    return out_proj(
      attention(project(query, 0), project(key, 1), project(value, 2), {
        heads,
        ...(keyPaddingMask ? { keyPaddingMask } : {}),
        ...(context.dropout ? { dropout: context.dropout } : {}),
      }),
    );
  };
  return Object.assign(apply, { in_proj_weight, in_proj_bias, out_proj });
}

/** Applies the context's dropout to x of any shape. */
export function dropoutIn(context: ForwardContext, x: Tensor): Tensor {
  return context.dropout ? dropout(x, context.dropout.rate, context.dropout.key) : x;
}

/** Instances a decoder attends from or to, and where they are. */
export interface Positioned {
  /** [B, L, D] */
  readonly feature: Tensor;
  /** [B, L, D] embedded position */
  readonly position: Tensor;
}

/** Attention of the map decoder. */
export interface CrossAttention {
  /** Returns query.feature [B, Lq, D] plus what it gathered. @param keyPaddingMask [B, Lk] 1 = ignore */
  (query: Positioned, key: Positioned, keyPaddingMask: Tensor | null, context: ForwardContext): Tensor;
  readonly attn: MultiheadAttention;
}

/**
 * Cross-attention with positions added to query and key, values without them, and a residual (fact T4; S-eq. 5).
 */
export function crossAttention(channels: number, heads: number): CrossAttention {
  const attn = multiheadAttention(channels, heads);
  const apply = (query: Positioned, key: Positioned, keyPaddingMask: Tensor | null, context: ForwardContext): Tensor => {
    const gathered = attn(add(query.feature, query.position), add(key.feature, key.position), key.feature, keyPaddingMask, context);
    return add(query.feature, dropoutIn(context, gathered));
  };
  return Object.assign(apply, { attn });
}

/** Attention of the temporal and the agent decoder. */
export interface DecoupledAttention {
  /**
   * @param query [B, Lq, D]
   * @param key instances to attend to, or null for self-attention among the queries
   * @param keyPaddingMask [B, Lk] 1 = ignore
   * @returns [B, Lq, D]
   */
  (query: Positioned, key: DecoupledKeys | null, keyPaddingMask: Tensor | null, shared: DecoupledProjections, context: ForwardContext): Tensor;
  readonly attn: MultiheadAttention;
}

/** Keys and values of a decoupled attention, made once and used by every layer. */
export interface DecoupledKeys {
  /** [B, Lk, 2D] feature and position side by side */
  readonly key: Tensor;
  /** [B, Lk, 2D] */
  readonly value: Tensor;
}

/** The pair of projections all decoupled attentions of a planner share. */
export interface DecoupledProjections {
  /** D -> 2D, for values */
  readonly fc_before: Projection;
  /** 2D -> D, for results */
  readonly fc_after: Projection;
}

/** Keys and values from instances (fact T3): key = feature | position, value = fc_before(feature). */
export function decoupledKeys(instances: Positioned, shared: DecoupledProjections): DecoupledKeys {
  return { key: concat([instances.feature, instances.position], -1), value: shared.fc_before(instances.feature) };
}

/**
 * "Decoupled" attention (fact T3; S-eqs. 3, 4): the position is concatenated, not added, so attention runs over 2D
 * channels; the residual is the concatenated query; fc_after brings the sum back to D channels. In self-attention
 * the concatenation serves as query, key and value, without fc_before.
 */
export function decoupledAttention(channels: number, heads: number): DecoupledAttention {
  const attn = multiheadAttention(2 * channels, heads);
  const apply = (
    query: Positioned,
    key: DecoupledKeys | null,
    keyPaddingMask: Tensor | null,
    shared: DecoupledProjections,
    context: ForwardContext,
  ): Tensor => {
    const both = concat([query.feature, query.position], -1);
    const gathered = attn(both, key?.key ?? both, key?.value ?? both, keyPaddingMask, context);
    return shared.fc_after(add(both, dropoutIn(context, gathered)));
  };
  return Object.assign(apply, { attn });
}
