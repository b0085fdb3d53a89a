import { ShapeError, type Tensor } from "@distilldrive/tensor";
import {
  crossAttention,
  type CrossAttention,
  type DecoupledAttention,
  decoupledAttention,
  type DecoupledKeys,
  type DecoupledProjections,
  type Positioned,
} from "../layers/attention.js";
import type { ForwardContext } from "../layers/block.js";
import { asymmetricFfn, type AsymmetricFfn } from "../layers/feed-forward.js";
import { layerNorm, type LayerNorm } from "../layers/norm.js";
import { reshape } from "@distilldrive/tensor";

/** Steps a planner is composed of. */
export type DecoderOperation = "temporal" | "agent" | "map" | "norm" | "ffn";

/** The published order of one group (fact T5). */
export const PUBLISHED_DECODER: readonly DecoderOperation[] = ["temporal", "agent", "norm", "map", "norm", "ffn", "norm"];

/** Sizes of a {@link decoderLayers}. */
export interface DecoderConfig {
  /** D */
  readonly channels: number;
  readonly heads: number;
  /** Width of the feed-forward blocks; published 2 D. */
  readonly feedForwardChannels: number;
  readonly operations: readonly DecoderOperation[];
  /** How often the operations repeat; published 2 in the teacher, 3 in the student. */
  readonly groups: number;
}

/** What the instances look at while they are decoded. */
export interface DecoderScene {
  /** Temporal keys: [B * S, T, 2D], each instance its own past. */
  readonly memory: DecoupledKeys;
  /** [B * S, T] 1 = ignore */
  readonly memoryPadding: Tensor;
  /** [B, S] 1 = padded instance */
  readonly instancePadding: Tensor;
  /** Map instances (teacher) or image tokens (student): [B, L, D]. */
  readonly map: Positioned;
  /** [B, L] 1 = ignore, or null */
  readonly mapPadding: Tensor | null;
}

/** One operation's parameters. */
export type DecoderLayer = DecoupledAttention | CrossAttention | LayerNorm | AsymmetricFfn;

/** The decoder's layers; their indices are the published ones. */
export interface Decoder {
  readonly layers: readonly DecoderLayer[];
  /**
   * @param instances ego and agent instances [B, S, D]
   * @returns the instances after each operation, [B, S, D]
   */
  readonly decode: (instances: Positioned, scene: DecoderScene, shared: DecoupledProjections, context: ForwardContext) => readonly Tensor[];
}

/**
 * The isomorphic planner's body: `groups` times the operations. temporal (S-eq. 3): each instance attends to its own
 * past; agent (S-eq. 4): self-attention over all instances; map (S-eq. 5): cross-attention to the map.
 *
 * @throws ShapeError when there is no operation
 */
export function decoderLayers(config: DecoderConfig): Decoder {
  const { channels, heads, feedForwardChannels, operations, groups } = config;
  if (operations.length === 0 || groups < 1) {
    throw new ShapeError(
      `planner: nothing to decode with, expected at least one operation and one group, got ${operations.length} and ${groups}. Pass decoder: PUBLISHED_DECODER.`,
    );
  }
  type Step = (x: Tensor, position: Tensor, scene: DecoderScene, shared: DecoupledProjections, context: ForwardContext) => Tensor;
  const build = (operation: DecoderOperation): { layer: DecoderLayer; step: Step } => {
    switch (operation) {
      case "temporal": {
        const layer = decoupledAttention(channels, heads);
        const each = (x: Tensor): Tensor => reshape(x, [-1, 1, channels]);
        return {
          layer,
          step: (x, position, scene, shared, context) =>
            reshape(layer({ feature: each(x), position: each(position) }, scene.memory, scene.memoryPadding, shared, context), x.shape),
        };
      }
      case "agent": {
        const layer = decoupledAttention(channels, heads);
        return {
          layer,
          step: (x, position, scene, shared, context) => layer({ feature: x, position }, null, scene.instancePadding, shared, context),
        };
      }
      case "map": {
        const layer = crossAttention(channels, heads);
        return { layer, step: (x, position, scene, _, context) => layer({ feature: x, position }, scene.map, scene.mapPadding, context) };
      }
      case "norm": {
        const layer = layerNorm(channels);
        return { layer, step: (x) => layer(x) };
      }
      case "ffn": {
        const layer = asymmetricFfn(channels, feedForwardChannels);
        return { layer, step: (x, _position, _scene, _shared, context) => layer(x, context) };
      }
    }
  };
  const built = Array.from({ length: groups }, () => operations.map(build)).flat();
  const names = Array.from({ length: groups }, () => operations).flat();
  const layers = built.map(({ layer }) => layer);
  const decode = (instances: Positioned, scene: DecoderScene, shared: DecoupledProjections, context: ForwardContext): readonly Tensor[] => {
    let x = instances.feature;
    return built.map(({ step }, index) => {
      x = x.graph.scope(`layers.${index}.${names[index] ?? ""}`, () => step(x, instances.position, scene, shared, context));
      return x;
    });
  };
  return { layers, decode };
}
