import { counts, declareWithLevels, levelUniforms, slopesWgsl, tapsWgsl } from "../bilinear/levels.js";
import type { Kernel, KernelSequence, KernelTarget, UniformField } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { reduce } from "../reduce/reduce.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { deformableAggregationReference, deformablePointsReference } from "./reference.js";
import { deformableSizes, seenWgsl } from "./shape.js";
import type { DeformableAggregationShape, DeformableSizes } from "./shape.js";

/**
 * Deformable feature aggregation (SparseDrive; fact S11): features [batch, cameras, pixels, channels] with the pixels of all
 * levels one after another, row-major; location [batch, queries, points, cameras, 2] = (x, y) in images of width and height 1;
 * weights [batch, queries, points, cameras, levels, groups] -> y [batch, queries, channels], the weighted sum of the bilinear
 * features over points, cameras and levels. Pixel centres lie at (i + 0.5) / size, outside a map there are zeros; a location
 * that is not strictly inside its image counts nowhere. Channels are split evenly into groups.
 * @throws ShapeError on bad sizes
 */
export function deformableAggregation(shape: DeformableAggregationShape, target: KernelTarget): Kernel {
  const sizes = deformableSizes("deformableAggregation", shape);
  const lane = laneFor(shape.channels / shape.groups);
  const lanes = shape.channels / laneWidth(lane);
  const items = shape.batch * shape.queries * lanes;
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "features", access: "read", dtype: "f32", length: sizes.features },
    { name: "location", access: "read", dtype: "f32", length: sizes.location },
    { name: "weights", access: "read", dtype: "f32", length: sizes.weights },
    { name: "y", access: "write", dtype: "f32", length: sizes.output },
  ] as const;
  const fields: UniformField[] = [...counts({ items }), ...countUniforms(shape, sizes, lanes)];
  const wgsl =
    declareWithLevels(bindings, fields, { features: lane, location: "vec2f", y: lane }) +
    seenWgsl + tapsWgsl +
    plan.main(`
    let query = item / params.lanes;
    let lane = item - query * params.lanes;
    let group = lane / params.group_lanes;
    let first_image = query / params.queries * params.cameras;
    var place = query * params.points * params.cameras;
    var total = ${lane}();
    for (var point = 0u; point < params.points; point++) {
      for (var camera = 0u; camera < params.cameras; camera++) {
        let at = location[place];
        if (seen(at)) {
          let origin = (first_image + camera) * params.pixels;
          for (var level = 0u; level < params.level_count; level++) {
            let t = taps(position(at, params.levels[level]), params.levels[level]);
            let rows = (vec4u(origin) + t.pixels) * params.lanes + lane;
            let weight = weights[(place * params.level_count + level) * params.groups + group];
            total += weight * (t.y.x * (t.x.x * features[rows.x] + t.x.y * features[rows.y]) + t.y.y * (t.x.x * features[rows.z] + t.x.y * features[rows.w]));
          }
        }
        place++;
      }
    }
    y[item] = total;`);
  return {
    name: `deformableAggregation.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms: [...levelUniforms(shape.levels), ...fields],
    grid: plan.grid,
    cost: { flops: 10 * sizes.places * shape.levels.length * shape.channels, bytes: 4 * (sizes.features + sizes.location + sizes.weights + sizes.output) },
    reference: (inputs) => deformableAggregationReference(shape, inputs),
  };
}

/**
 * Gradients of {@link deformableAggregation} to locations and weights: features, location, weights, dy [batch, queries, channels]
 * -> dlocation, dweights. At the border between two cells the slope is that of the cell behind it; where a location counts
 * nowhere both are 0.
 * @throws ShapeError on bad sizes
 */
export function deformableAggregationPointsBackward(shape: DeformableAggregationShape, target: KernelTarget): KernelSequence {
  const sizes = deformableSizes("deformableAggregationPointsBackward", shape);
  const whole = {
    name: "place",
    build: (): KernelSequence => ({
      name: "deformableAggregationPointsBackward.place",
      kernels: [{ kernel: pointShares(shape, sizes, shape.groups, target), bind: { features: "features", location: "location", weights: "weights", dy: "dy", shares: "dlocation", dweights: "dweights" } }],
      temporaries: [],
    }),
  };
  const byGroup = {
    name: "group",
    build: (): KernelSequence => {
      const sum = reduce({ kind: "sum", outer: sizes.places, n: shape.groups, inner: 2 }, target);
      return {
        name: "deformableAggregationPointsBackward.group",
        kernels: [
          { kernel: pointShares(shape, sizes, 1, target), bind: { features: "features", location: "location", weights: "weights", dy: "dy", shares: "shares", dweights: "dweights" } },
          ...sum.kernels.map(({ kernel, bind }) => ({ kernel, bind: Object.fromEntries(Object.entries(bind).map(([name, tensor]) => [name, { x: "shares", y: "dlocation" }[tensor] ?? tensor])) })),
        ],
        temporaries: [{ name: "shares", dtype: "f32", length: sizes.places * shape.groups * 2 }, ...sum.temporaries],
      };
    },
  };
  const key = `deformableAggregationPointsBackward ${sizeBucket(sizes.places)}x${shape.levels.length}x${shape.groups}x${sizeBucket(shape.channels)}`;
  return chooseCandidate(target, key, target.class === "gpu" && shape.groups > 1 ? [byGroup, whole] : [whole, byGroup]);
}

/** One item per place and run of `span` groups: dweights of the run, and its share of dlocation in shares [places, groups / span, 2]. */
function pointShares(shape: DeformableAggregationShape, sizes: DeformableSizes, span: number, target: KernelTarget): Kernel {
  const lane = laneFor(shape.channels / shape.groups);
  const lanes = shape.channels / laneWidth(lane);
  const chunks = shape.groups / span;
  const items = sizes.places * chunks;
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "features", access: "read", dtype: "f32", length: sizes.features },
    { name: "location", access: "read", dtype: "f32", length: sizes.location },
    { name: "weights", access: "read", dtype: "f32", length: sizes.weights },
    { name: "dy", access: "read", dtype: "f32", length: sizes.output },
    { name: "shares", access: "write", dtype: "f32", length: items * 2 },
    { name: "dweights", access: "write", dtype: "f32", length: sizes.weights },
  ] as const;
  const fields: UniformField[] = [...counts({ items, span, chunks }), ...countUniforms(shape, sizes, lanes)];
  const total = lane === "f32" ? (v: string) => v : (v: string) => `dot(${v}, vec4f(1.0))`;
  const wgsl =
    declareWithLevels(bindings, fields, { features: lane, location: "vec2f", dy: lane, shares: "vec2f" }) +
    seenWgsl + tapsWgsl + slopesWgsl +
    plan.main(`
    let place = item / params.chunks;
    let first_group = (item - place * params.chunks) * params.span;
    let pair = place / params.cameras;
    let query = pair / params.points;
    let image = query / params.queries * params.cameras + (place - pair * params.cameras);
    let at = location[place];
    let inside = seen(at);
    var slope = vec2f();
    for (var level = 0u; level < params.level_count; level++) {
      let size = params.levels[level];
      let t = taps(position(at, size), size);
      let rows = (vec4u(image * params.pixels) + t.pixels) * params.lanes;
      for (var group = first_group; group < first_group + params.span; group++) {
        let w = (place * params.level_count + level) * params.groups + group;
        var dweight = 0.0;
        if (inside) {
          var a = ${lane}();
          var b = ${lane}();
          var c = ${lane}();
          var d = ${lane}();
          for (var lane = group * params.group_lanes; lane < (group + 1u) * params.group_lanes; lane++) {
            let g = dy[query * params.lanes + lane];
            a += g * features[rows.x + lane];
            b += g * features[rows.y + lane];
            c += g * features[rows.z + lane];
            d += g * features[rows.w + lane];
          }
          let top = vec2f(${total("a")}, ${total("b")});
          let bottom = vec2f(${total("c")}, ${total("d")});
          dweight = t.y.x * dot(t.x, top) + t.y.y * dot(t.x, bottom);
          slope += weights[w] * slopes(t, top, bottom) * vec2f(size.yx);
        }
        dweights[w] = dweight;
      }
    }
    shares[item] = slope;`);
  return {
    name: `deformableAggregationPointsBackward.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms: [...levelUniforms(shape.levels), ...fields],
    grid: plan.grid,
    cost: { flops: 8 * sizes.places * shape.levels.length * shape.channels, bytes: 4 * (sizes.features + 2 * sizes.location + 2 * sizes.weights + sizes.output) },
    reference: (inputs) => pointSharesReference(shape, span, inputs),
  };
}

/** The gradients with the groups' shares of dlocation kept apart: each share is the gradient with the other groups' weights 0. */
function pointSharesReference(shape: DeformableAggregationShape, span: number, inputs: Readonly<Record<string, Float64Array>>): { shares: Float64Array; dweights: Float64Array } {
  const { dlocation, dweights } = deformablePointsReference(shape, inputs);
  if (span === shape.groups) return { shares: dlocation, dweights };
  const shares = new Float64Array(dlocation.length * shape.groups);
  const { weights = new Float64Array() } = inputs;
  for (let group = 0; group < shape.groups; group++) {
    const own = weights.map((weight, i) => (i % shape.groups === group ? weight : 0));
    deformablePointsReference(shape, { ...inputs, weights: own }).dlocation.forEach((value, i) => {
      shares[((i >> 1) * shape.groups + group) * 2 + (i & 1)] = value;
    });
  }
  return { shares, dweights };
}

/** Counts both kernels loop over. */
function countUniforms(shape: DeformableAggregationShape, { pixels }: DeformableSizes, lanes: number): UniformField[] {
  const { groups, points, cameras, queries, levels } = shape;
  return counts({ lanes, group_lanes: lanes / groups, groups, points, cameras, queries, level_count: levels.length, pixels });
}
