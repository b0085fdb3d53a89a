import {
  deformableAggregation as deformableAggregationKernel, deformableAggregationFeaturesBackward, deformableAggregationPointsBackward, type DeformableAggregationShape, type FeatureLevel, ShapeError,
} from "@distilldrive/kernels";
import { applyOp, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample, SampleInput } from "../op.js";
import { formatType, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

/** The feature maps of a camera, largest first. */
interface Levels {
  readonly levels: readonly FeatureLevel[];
}

function sizes(features: TensorType | undefined, weights: TensorType | undefined, { levels }: Levels): DeformableAggregationShape {
  const [batch = 0, queries = 0, points = 0, cameras = 0, , groups = 0] = weights?.shape ?? [];
  return { batch, queries, points, cameras, levels, groups, channels: features?.shape[3] ?? 0 };
}

/** A small case as input types: features, location, weights. */
function caseOf(draw: Draw): { features: SampleInput; location: SampleInput; weights: SampleInput; dy: SampleInput; levels: readonly FeatureLevel[] } {
  const [batch, queries, points, cameras] = [draw.integer(1, 2), draw.integer(1, 3), draw.integer(1, 2), draw.integer(1, 2)];
  const levels = Array.from({ length: draw.integer(1, 2) }, () => ({ height: draw.integer(1, 4), width: draw.integer(1, 4) }));
  const groups = draw.integer(1, 3);
  const channels = groups * draw.pick([1, 3, 4, 8]);
  const pixels = levels.reduce((sum, { height, width }) => sum + height * width, 0);
  return {
    features: typeOf([batch, cameras, pixels, channels]),
    // Inside every image, or outside all of them: the value jumps in between.
    location: { ...typeOf([batch, queries, points, cameras, 2]), range: draw.integer(0, 7) === 0 ? [1.01, 2] : [0.01, 0.99] },
    weights: typeOf([batch, queries, points, cameras, levels.length, groups]),
    dy: typeOf([batch, queries, channels]),
    levels,
  };
}

const terms = (shape: DeformableAggregationShape): number => 4 * shape.points * shape.cameras * shape.levels.length;

/** Deformable feature aggregation: features [B, M, P, C], location [B, Q, K, M, 2], weights [B, Q, K, M, L, G] -> y [B, Q, C]. */
export const deformableAggregationOp: OpDefinition<Levels> = defineKernelOp({
  name: "deformableAggregation",
  inputs: ["features", "location", "weights"],
  strict: ["location"],
  outputs: ["y"],
  shape: ([features, location, weights], attributes) => {
    const shape = sizes(features, weights, attributes);
    const { batch, queries, points, cameras, levels, groups, channels } = shape;
    const pixels = levels.reduce((sum, { height, width }) => sum + height * width, 0);
    const expected = { features: [batch, cameras, pixels, channels], location: [batch, queries, points, cameras, 2], weights: [batch, queries, points, cameras, levels.length, groups] };
    for (const [name, type] of Object.entries({ features, location, weights })) {
      const wanted = typeOf(expected[name as keyof typeof expected]);
      if (!type || formatType(type) !== formatType(wanted)) {
        throw new ShapeError(`deformableAggregation: ${name} does not fit, expected ${formatType(wanted)}, got ${type ? formatType(type) : "nothing"}. Sizes follow from weights [B, Q, K, M, L, G], the ${levels.length} levels of ${pixels} pixels, and the channels of features [B, M, P, C].`);
      }
    }
    return [typeOf([batch, queries, channels])];
  },
  kernels: ({ target, inputs: [features, , weights], attributes }) => deformableAggregationKernel(sizes(features, weights, attributes), target),
  vjp: {
    saves: ["features", "location", "weights"],
    recompute: "costly",
    rule: ({ inputs: [features, location, weights], cotangents: [dy], attributes, needs }) => {
      if (!features || !location || !weights || !dy) return [];
      const dfeatures = needs[0] ? applyOp(deformableAggregationFeaturesBackwardOp, [location, weights, dy], attributes) : undefined;
      const [dlocation, dweights] = needs[1] || needs[2] ? features.graph.apply(deformableAggregationPointsBackwardOp, [features, location, weights, dy], attributes) : [];
      return [dfeatures, dlocation, dweights];
    },
  },
  tolerance: ([features, , weights], attributes) => ({ terms: terms(sizes(features, weights, attributes)), scale: 4 }),
  samples: (draw): Sample<Levels> => {
    const { features, location, weights, levels } = caseOf(draw);
    return { inputs: [features, location, weights], attributes: { levels } };
  },
});

/** Gradients of {@link deformableAggregationOp} to locations and weights. */
export const deformableAggregationPointsBackwardOp: OpDefinition<Levels> = defineKernelOp({
  name: "deformableAggregationPointsBackward",
  inputs: ["features", "location", "weights", "dy"],
  outputs: ["dlocation", "dweights"],
  shape: ([, location, weights]) => [typeOf(location?.shape ?? []), typeOf(weights?.shape ?? [])],
  kernels: ({ target, inputs: [features, , weights], attributes }) => deformableAggregationPointsBackward(sizes(features, weights, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([features, , weights], attributes) => {
    const shape = sizes(features, weights, attributes);
    return { terms: 4 * shape.channels * shape.levels.length, scale: 32 };
  },
  samples: (draw) => {
    const { features, location, weights, dy, levels } = caseOf(draw);
    return { inputs: [features, location, weights, dy], attributes: { levels } };
  },
});

/** Gradient of {@link deformableAggregationOp} to the features: location, weights, dy -> dfeatures [B, M, P, C]. */
export const deformableAggregationFeaturesBackwardOp: OpDefinition<Levels> = defineKernelOp({
  name: "deformableAggregationFeaturesBackward",
  inputs: ["location", "weights", "dy"],
  outputs: ["dfeatures"],
  shape: ([, weights, dy], { levels }) => {
    const pixels = levels.reduce((sum, { height, width }) => sum + height * width, 0);
    return [typeOf([weights?.shape[0] ?? 0, weights?.shape[3] ?? 0, pixels, dy?.shape[2] ?? 0])];
  },
  kernels: ({ target, inputs: [, weights], outputs: [dfeatures], attributes }) => deformableAggregationFeaturesBackward(sizes(dfeatures, weights, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([, weights, dy], attributes) => ({ terms: terms(sizes(undefined, weights, attributes)) * (dy?.shape[1] ?? 1), scale: 4 }),
  samples: (draw) => {
    const { location, weights, dy, levels } = caseOf(draw);
    return { inputs: [location, weights, dy], attributes: { levels } };
  },
});

/**
 * Gathers image features at key points (SparseDrive's deformable feature aggregation): the sum over points, cameras and levels
 * of weight times bilinear feature. A location that is not strictly inside its image counts nowhere; outside a map there are zeros.
 * @param features [B, M, P, C], per camera the pixels of all levels one after another, row-major
 * @param location [B, Q, K, M, 2] = (x, y), the image having width and height 1
 * @param weights [B, Q, K, M, L, G], one per group of C / G neighbouring channels
 * @param levels height and width of each level; their pixels add up to P
 * @returns [B, Q, C]
 * @throws ShapeError when the shapes do not fit
 */
export function deformableAggregation(features: Tensor, location: Operand, weights: Operand, levels: readonly FeatureLevel[]): Tensor {
  return applyOp(deformableAggregationOp, [features, location, weights], { levels });
}
