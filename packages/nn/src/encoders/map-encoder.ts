import {
  add,
  broadcastTo,
  concat,
  div,
  expandDims,
  gather,
  mul,
  parameter,
  reshape,
  sineEmbedding,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  type Variable,
} from "@distilldrive/tensor";
import type { ForwardContext } from "../layers/block.js";
import { mlp, type Sequential } from "../layers/sequential.js";
import type { EncodedInstances } from "./agent-encoder.js";
import { pointsEncoder, type PointsEncoder } from "./points-encoder.js";

/** Sizes and options of a {@link mapEncoder}. */
export interface MapEncoderConfig {
  /** D */
  readonly channels: number;
  /** Line classes; published 3. */
  readonly classes: number;
  /** Added to the length a segment's direction is divided by; 0 makes it a unit vector, published 1 (fact T11). */
  readonly directionOffset?: number;
}

/** The map around the ego vehicle. */
export interface MapLines {
  /** [B, L, P, 2] m, model frame */
  readonly points: Tensor;
  /** [B, L] i32 class; any value for padding */
  readonly label: Tensor;
  /** [B, L] 1 where there is a line */
  readonly mask: Tensor;
}

/** Encodes map lines. */
export interface MapEncoder {
  (lines: MapLines, context: ForwardContext): EncodedInstances;
  readonly polygon_encoder: PointsEncoder;
  readonly laneline_type_emb: { readonly weight: Variable };
  readonly map_pos_embed: Sequential;
}

/**
 * Map encoder (fact T11; S-eq. 2): each line's points relative to its middle point, its segments and their directions ->
 * points encoder, plus a learned class embedding. The position is the sine embedding of the middle point through an MLP.
 */
export function mapEncoder(config: MapEncoderConfig): MapEncoder {
  const { channels, classes, directionOffset = 0 } = config;
  const polygon_encoder = pointsEncoder(6, channels);
  const laneline_type_emb = { weight: parameter([classes, channels], { kind: "normal", standardDeviation: 1 }) };
  const map_pos_embed = mlp(channels, 2 * channels, channels);

  const apply = ({ points, label, mask }: MapLines, context: ForwardContext): EncodedInstances => {
    const count = points.at(2);
    const middle = slice(points, 2, Math.floor(count / 2), Math.floor(count / 2) + 1);
    const start = slice(points, 2, 0, count - 1);
    const segment = sub(slice(points, 2, 1, count), start);
    const length = sqrt(sum(square(segment), { axes: [-1], keepDims: true }));
    const direction = div(segment, add(length, directionOffset + 1e-6));
    const features = concat([sub(start, middle), segment, direction], -1);
    const valid = broadcastTo(expandDims(mask, -1), features.shape.slice(0, -1));
    const keep = expandDims(mask, -1);
    const centre = reshape(middle, [points.at(0), points.at(1), 2]);
    const embedding = gather(points.graph.variable(laneline_type_emb.weight), label);
    return {
      feature: mul(add(polygon_encoder(features, valid, context), embedding), keep),
      position: mul(map_pos_embed(sineEmbedding(centre, channels)), keep),
      padding: sub(1, mask),
    };
  };
  return Object.assign(apply, { polygon_encoder, laneline_type_emb, map_pos_embed });
}
