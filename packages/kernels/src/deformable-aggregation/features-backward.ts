import type { Kernel, KernelSequence, KernelTarget, UniformField } from "../kernel.js";
import { fill } from "../copy/fill.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { binKernels } from "./bins.js";
import { pixelSumsReference } from "./bins-reference.js";
import { declareWithLevels, deformableSizes, levelUniforms } from "./shape.js";
import type { DeformableAggregationShape } from "./shape.js";

/**
 * Gradient of `deformableAggregation` to its features: location, weights, dy [batch, queries, channels]
 * -> dfeatures [batch, cameras, pixels, channels]. Every pixel adds up its own: samples are binned by the cell between four
 * pixels they fall in (a histogram with integer atomics), each bin is put into the order of its samples, and a pixel walks its
 * four bins. The bins' order does not depend on the device's, so the same bits come every time, without float atomics.
 * @throws ShapeError on bad sizes
 */
export function deformableAggregationFeaturesBackward(shape: DeformableAggregationShape, target: KernelTarget): KernelSequence {
  const sizes = deformableSizes("deformableAggregationFeaturesBackward", shape);
  const bins = shape.batch * shape.cameras * sizes.cells;
  const entries = sizes.places * shape.levels.length;
  const { count, allocate, place, rank } = binKernels(shape, target);
  return {
    name: "deformableAggregationFeaturesBackward",
    kernels: [
      { kernel: fill({ length: bins + 1, value: 0, dtype: "u32" }, target), bind: { y: "counts" } },
      { kernel: count, bind: { location: "location", counts: "counts", ticket: "ticket" } },
      { kernel: allocate, bind: { counts: "counts", start: "start" } },
      { kernel: place, bind: { location: "location", start: "start", ticket: "ticket", members: "members" } },
      { kernel: rank, bind: { location: "location", counts: "counts", start: "start", members: "members", order: "order", fraction: "fraction" } },
      { kernel: pixelSums(shape, target), bind: { counts: "counts", start: "start", order: "order", fraction: "fraction", weights: "weights", dy: "dy", dfeatures: "dfeatures" } },
    ],
    temporaries: [
      { name: "counts", dtype: "u32", length: bins + 1 },
      { name: "start", dtype: "u32", length: bins },
      { name: "ticket", dtype: "u32", length: entries },
      { name: "members", dtype: "u32", length: 2 * entries },
      { name: "order", dtype: "u32", length: 2 * entries },
      { name: "fraction", dtype: "f32", length: 2 * entries },
    ],
  };
}

/** counts, start, order, fraction, weights, dy -> dfeatures: one item per pixel and block of lanes, which belong to one group. */
function pixelSums(shape: DeformableAggregationShape, target: KernelTarget): Kernel {
  const { pixels, cells, ...sizes } = deformableSizes("deformableAggregationFeaturesBackward", shape);
  const lane = laneFor(shape.channels / shape.groups);
  const lanes = shape.channels / laneWidth(lane);
  // What is found out about a sample is shared by the lanes of a block; GPUs rather have neighbours read neighbours.
  const block = target.class === "software" && (lanes / shape.groups) % 4 === 0 ? 4 : 1;
  const items = (shape.batch * shape.cameras * pixels * lanes) / block;
  const bins = shape.batch * shape.cameras * cells;
  const entries = sizes.places * shape.levels.length;
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "counts", access: "read", dtype: "u32", length: bins + 1 },
    { name: "start", access: "read", dtype: "u32", length: bins },
    { name: "order", access: "read", dtype: "u32", length: 2 * entries },
    { name: "fraction", access: "read", dtype: "f32", length: 2 * entries },
    { name: "weights", access: "read", dtype: "f32", length: sizes.weights },
    { name: "dy", access: "read", dtype: "f32", length: sizes.output },
    { name: "dfeatures", access: "write", dtype: "f32", length: sizes.features },
  ] as const;
  const counts = { items, lanes, blocks: lanes / block, group_lanes: lanes / shape.groups, groups: shape.groups, level_count: shape.levels.length, pixels, cells };
  const fields = Object.entries(counts).map(([name, value]): UniformField => ({ name, type: "u32", value }));
  const each = (text: (k: number) => string): string => Array.from({ length: block }, (_, k) => text(k)).join("\n");
  const wgsl =
    declareWithLevels(bindings, fields, { order: "vec2u", fraction: "vec2f", dy: lane, dfeatures: lane }) +
    plan.main(`
    let row = item / params.blocks;
    let lane = (item - row * params.blocks) * ${block}u;
    let group = lane / params.group_lanes;
    let image = row / params.pixels;
    let pixel = row - image * params.pixels;
    var number = 0u;
    while (number + 1u < params.level_count && pixel >= params.levels[number + 1u].z) { number++; }
    let level = params.levels[number];
    let y = (pixel - level.z) / level.y;
    let x = pixel - level.z - y * level.y;
    let corner = image * params.cells + level.w + y * (level.y + 1u) + x;
${each((k) => `    var total${k} = ${lane}();`)}
    for (var side = 0u; side < 4u; side++) {
      let behind = vec2u(side & 1u, side >> 1u);
      let bin = corner + behind.y * (level.y + 1u) + behind.x;
      let end = start[bin] + counts[bin];
      for (var s = start[bin]; s < end; s++) {
        let part = fraction[s];
        let share = select(part, 1.0 - part, behind == vec2u(1u));
        let sample = order[s];
        let scale = weights[sample.x * params.groups + group] * share.x * share.y;
        let origin = sample.y * params.lanes + lane;
${each((k) => `        total${k} += scale * dy[origin + ${k}u];`)}
      }
    }
    let origin = row * params.lanes + lane;
${each((k) => `    dfeatures[origin + ${k}u] = total${k};`)}`);
  return {
    name: `deformableAggregationFeaturesBackward.sums.${block}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms: [...levelUniforms(shape.levels), ...fields],
    grid: plan.grid,
    cost: { flops: 8 * entries * shape.channels, bytes: 4 * (2 * bins + 4 * entries + sizes.weights + sizes.output + sizes.features) },
    reference: (inputs) => pixelSumsReference(shape, inputs),
  };
}
