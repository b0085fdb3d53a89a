import { bilinearScatter } from "../bilinear/scatter.js";
import { counts } from "../bilinear/levels.js";
import type { KernelSequence, KernelTarget } from "../kernel.js";
import { ownerOf, samplesOf } from "./reference.js";
import { deformableSizes, seenWgsl } from "./shape.js";
import type { DeformableAggregationShape } from "./shape.js";

/**
 * Gradient of `deformableAggregation` to its features: location, weights, dy [batch, queries, channels]
 * -> dfeatures [batch, cameras, pixels, channels], in a fixed order (see {@link bilinearScatter}).
 * @throws ShapeError on bad sizes
 */
export function deformableAggregationFeaturesBackward(shape: DeformableAggregationShape, target: KernelTarget): KernelSequence {
  const { batch, queries, points, cameras, levels, groups, channels } = shape;
  const { places } = deformableSizes("deformableAggregationFeaturesBackward", shape);
  return bilinearScatter(
    {
      name: "deformableAggregationFeaturesBackward",
      levels, groups, channels,
      images: batch * cameras,
      weighted: true,
      locations: places,
      entries: places * levels.length,
      owners: batch * queries,
      fields: counts({ queries, points, cameras, level_count: levels.length }),
      wgsl: `${seenWgsl}
fn location_of(entry: u32) -> u32 { return entry / params.level_count; }
fn located(entry: u32, at: vec2f) -> bool { return seen(at); }
fn level_of(entry: u32) -> vec4u { return params.levels[entry % params.level_count]; }
fn position_of(entry: u32, at: vec2f) -> vec2f { return position(at, level_of(entry)); }
fn owner_of(entry: u32) -> u32 { return entry / (params.level_count * params.cameras * params.points); }
fn image_of(entry: u32) -> u32 { return owner_of(entry) / params.queries * params.cameras + entry / params.level_count % params.cameras; }
`,
      ownerOf: (entry) => ownerOf(shape, entry),
      samples: (location) => samplesOf(shape, location),
    },
    target,
  );
}
