import { add, concat, div, expandDims, max, mul, reshape, sineEmbedding, slice, sqrt, square, sub, sum, type Tensor, broadcastTo } from "@distilldrive/tensor";
import type { ForwardContext } from "../layers/block.js";
import { temporalPositionalEncoding, type TemporalPositionalEncoding } from "../layers/positional-encoding.js";
import { mlp, type Sequential } from "../layers/sequential.js";
import { transformerEncoder, type TransformerEncoder } from "../layers/transformer-encoder.js";

/** Sizes and options of an {@link agentEncoder}. */
export interface AgentEncoderConfig {
  /** D */
  readonly channels: number;
  readonly heads: number;
  /** Transformer layers; published 4. */
  readonly layers: number;
  /** Time steps T of the displacements; published 12. */
  readonly steps: number;
  /** s, what displacements are divided by to get velocities; their true interval 0.5, published 0.1 (fact T10). */
  readonly velocityInterval?: number;
}

/** What the teacher knows of each agent. */
export interface AgentTracks {
  /** [B, N, T, 2] m, displacement in each step; any finite value where the mask is 0 */
  readonly displacement: Tensor;
  /** [B, N, T] 1 where the step is known */
  readonly mask: Tensor;
  /** [B, N, 9] x, y, z, length, width, height (m), yaw (rad), vx, vy (m/s); model frame */
  readonly box: Tensor;
}

/** Instances a scene encoder found. */
export interface EncodedInstances {
  /** [B, L, D], zeros where padded */
  readonly feature: Tensor;
  /** [B, L, D] embedded position, zeros where padded */
  readonly position: Tensor;
  /** [B, L] 1 = padding */
  readonly padding: Tensor;
}

/** Encodes agents from their motion. */
export interface AgentEncoder {
  /** @param present [B, N] 1 for agents; null: an agent is what has a valid step (fact T10) */
  (tracks: AgentTracks, present: Tensor | null, context: ForwardContext): EncodedInstances;
  readonly agent_proj: Sequential;
  readonly agent_time_embed: TemporalPositionalEncoding;
  readonly agent_feat_embed: { readonly encoder: TransformerEncoder };
  readonly agent_pos_embed: Sequential;
}

/**
 * Agent encoder (fact T10): per agent and step displacement, velocity, direction, size and validity -> MLP -> temporal
 * encoding (S-eq. 1) -> transformer over time with key padding mask -> the token of frame 0. The position is the sine
 * embedding of x, y through an MLP. Steps may be the annotated future (published) or the past.
 */
export function agentEncoder(config: AgentEncoderConfig): AgentEncoder {
  const { channels, steps, velocityInterval = 0.5 } = config;
  const agent_proj = mlp(9, channels, channels);
  const agent_time_embed = temporalPositionalEncoding(steps, channels);
  const agent_feat_embed = { encoder: transformerEncoder(channels, config.heads, config.layers) };
  const agent_pos_embed = mlp(channels, 2 * channels, channels);

  const stepFeatures = ({ displacement, mask, box }: AgentTracks): Tensor => {
    const valid = expandDims(mask, -1);
    const known = mul(displacement, valid);
    const length = sqrt(sum(square(known), { axes: [-1], keepDims: true }));
    const size = broadcastTo(expandDims(slice(box, -1, 3, 5), 2), known.shape);
    return concat([known, div(known, velocityInterval), div(known, add(length, 1e-6)), size, valid], -1);
  };

  const apply = (tracks: AgentTracks, present: Tensor | null, context: ForwardContext): EncodedInstances => {
    const [lanes, agents] = [tracks.mask.at(0), tracks.mask.at(1)];
    const tokens = agent_time_embed(reshape(agent_proj(stepFeatures(tracks)), [lanes * agents, steps, channels]));
    const unknown = reshape(sub(1, tracks.mask), [lanes * agents, steps]);
    const first = agent_feat_embed.encoder(tokens, unknown, context, { onlyFirst: true });
    const valid = present ?? max(tracks.mask, { axis: -1 });
    const keep = expandDims(valid, -1);
    return {
      feature: mul(reshape(first, [lanes, agents, channels]), keep),
      position: mul(agent_pos_embed(sineEmbedding(slice(tracks.box, -1, 0, 2), channels)), keep),
      padding: sub(1, valid),
    };
  };
  return Object.assign(apply, { agent_proj, agent_time_embed, agent_feat_embed, agent_pos_embed });
}
