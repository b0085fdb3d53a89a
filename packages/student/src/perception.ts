import {
  type AgentInstances,
  ANCHOR_CHANNELS,
  type AnchorEncoder,
  asymmetricFfn,
  type AsymmetricFfn,
  crossAttention,
  type CrossAttention,
  type ForwardContext,
  layerNorm,
  type LayerNorm,
  type Positioned,
} from "@distilldrive/nn";
import { broadcastTo, expandDims, parameter, type Tensor, type Variable } from "@distilldrive/tensor";

/** One refinement of the queries. */
interface PerceptionLayer {
  readonly cross: CrossAttention;
  readonly norm1: LayerNorm;
  readonly ffn: AsymmetricFfn;
  readonly norm2: LayerNorm;
}

/** Finds instances in image tokens. Whatever replaces it must return instances with features, positions and anchors. */
export interface Perception {
  /** @param tokens [B, L, D] image tokens @returns Q instances a sample, none padded */
  (tokens: Positioned, encodeAnchor: AnchorEncoder, context: ForwardContext): AgentInstances;
  /** [Q, D] */
  readonly instance_feature: Variable;
  /** [Q, 10] see `anchorFromBox` */
  readonly anchor: Variable;
  readonly layers: readonly PerceptionLayer[];
}

/** m: the learned anchors start on a grid around the ego vehicle, mostly ahead. */
const FIELD = { left: -12, right: 12, back: -15, front: 40 } as const;

/** Anchors of standing, car-sized boxes on a grid in the field: [count, 10]. */
export function anchorGrid(count: number): Float32Array {
  const columns = Math.max(1, Math.round(Math.sqrt(count / 2)));
  const rows = Math.ceil(count / columns);
  const at = (low: number, high: number, index: number, of: number): number => low + ((index + 0.5) / of) * (high - low);
  return Float32Array.from(
    Array.from({ length: count }, (_, i) => [
      at(FIELD.left, FIELD.right, i % columns, columns),
      at(FIELD.back, FIELD.front, Math.floor(i / columns), rows),
      -1, 4.5, 1.9, 1.6, 0, 1, 0, 0,
    ]).flat(),
  );
}

/**
 * Thin perception: learned queries with learned anchors, refined by cross-attention to the image tokens. It stands where
 * sparse detection will: the planner sees the same kind of instances, only without classes, so it predicts no motion.
 */
export function perception(channels: number, heads: number, queries: number, depth: number): Perception {
  const instance_feature = parameter([queries, channels], { kind: "normal", standardDeviation: 0.5 });
  const anchor = parameter([queries, ANCHOR_CHANNELS], { kind: "data", data: anchorGrid(queries) });
  const layers = Array.from(
    { length: depth },
    (): PerceptionLayer => ({
      cross: crossAttention(channels, heads),
      norm1: layerNorm(channels),
      ffn: asymmetricFfn(channels, 2 * channels),
      norm2: layerNorm(channels),
    }),
  );
  const apply = (tokens: Positioned, encodeAnchor: AnchorEncoder, context: ForwardContext): AgentInstances => {
    const { graph } = tokens.feature;
    const lanes = tokens.feature.at(0);
    const everywhere = (x: Tensor): Tensor => broadcastTo(expandDims(x, 0), [lanes, ...x.shape]);
    const anchors = graph.variable(anchor);
    const position = everywhere(encodeAnchor(anchors));
    let feature = everywhere(graph.variable(instance_feature));
    layers.forEach(({ cross, norm1, ffn, norm2 }, index) => {
      feature = graph.scope(`layers.${index}`, () => norm2(ffn(norm1(cross({ feature, position }, tokens, null, context)), context)));
    });
    return { feature, position, anchor: everywhere(anchors), padding: graph.constant(new Float32Array(lanes * queries), [lanes, queries]), kinds: null };
  };
  return Object.assign(apply, { instance_feature, anchor, layers });
}
