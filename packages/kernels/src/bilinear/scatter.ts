import type { Binding, Kernel, KernelSequence, KernelStep, KernelTarget } from "../kernel.js";
import { sortIntoBins } from "../bins/bins.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { counts, declareWithLevels, levelUniforms } from "./levels.js";
import { scatterSizes } from "./scatter-plan.js";
import type { ScatterPlan } from "./scatter-plan.js";
import { locateReference, pixelSumsReference } from "./scatter-reference.js";

/**
 * Gradient of a bilinear gather to the features: location [locations, 2], weights [entries, groups] (when weighted),
 * dy [owners, channels] -> dfeatures [images, pixels of all levels, channels]. Every pixel adds up its own: samples are sorted
 * into the cells between four pixels (see {@link sortIntoBins}), and a pixel walks its four cells. The same bits come every time,
 * without float atomics.
 * @throws ShapeError on bad levels
 */
export function bilinearScatter(plan: ScatterPlan, target: KernelTarget): KernelSequence {
  const { entries } = plan;
  const sorted = sortIntoBins({ entries, bins: scatterSizes(plan).bins }, target);
  const step = (kernel: Kernel): KernelStep => ({ kernel, bind: Object.fromEntries(kernel.bindings.map(({ name }) => [name, name])) });
  return {
    name: plan.name,
    kernels: [step(locate(plan, target)), ...sorted.steps, step(pixelSums(plan, target))],
    temporaries: [...sorted.temporaries, { name: "part", dtype: "f32", length: 2 * entries }, { name: "owner", dtype: "u32", length: entries }],
  };
}

/** location -> bin, part, owner by entry. Cells are found once: the same arithmetic in another shader may round to the next cell. */
function locate(plan: ScatterPlan, target: KernelTarget): Kernel {
  const { entries } = plan;
  const { cells, bins } = scatterSizes(plan);
  const grid = flatGrid(entries, target, "heavy");
  const bindings = [
    { name: "location", access: "read", dtype: "f32", length: 2 * plan.locations },
    { name: "bin", access: "write", dtype: "u32", length: entries },
    { name: "part", access: "write", dtype: "f32", length: 2 * entries },
    { name: "owner", access: "write", dtype: "u32", length: entries },
  ] as const;
  const fields = [...counts({ items: entries, bins, cells }), ...plan.fields];
  return {
    name: `${plan.name}.locate`,
    wgsl:
      declareWithLevels(bindings, fields, { location: "vec2f", part: "vec2f" }) +
      plan.wgsl +
      grid.main(`
    let at = location[location_of(item)];
    var result = params.bins;
    var fraction = vec2f();
    if (located(item, at)) {
      let level = level_of(item);
      let position = position_of(item, at);
      let corner = floor(position);
      // Cells of a level are numbered row by row, beginning with those over the border.
      let cell = vec2u(vec2i(corner) + 1);
      fraction = position - corner;
      result = image_of(item) * params.cells + level.w + cell.y * (level.y + 1u) + cell.x;
    }
    bin[item] = result;
    part[item] = fraction;
    owner[item] = owner_of(item);`),
    bindings,
    uniforms: [...levelUniforms(plan.levels), ...fields],
    grid: grid.grid,
    cost: { flops: 6 * entries, bytes: 4 * (2 * plan.locations + 4 * entries) },
    reference: (inputs) => locateReference(plan, inputs),
  };
}

/** counts, start, order, part, owner, weights, dy -> dfeatures: one item per pixel and block of lanes, which belong to one group. */
function pixelSums(plan: ScatterPlan, target: KernelTarget): Kernel {
  const { levels, images, channels, groups, weighted, entries, owners } = plan;
  const { pixels, cells, bins, features } = scatterSizes(plan);
  const lane = laneFor(channels / groups);
  const lanes = channels / laneWidth(lane);
  // What is found out about a sample is shared by the lanes of a block; GPUs rather have neighbours read neighbours.
  const block = target.class === "software" && (lanes / groups) % 4 === 0 ? 4 : 1;
  const items = (images * pixels * lanes) / block;
  const grid = flatGrid(items, target, "heavy");
  const bindings: Binding[] = [
    { name: "counts", access: "read", dtype: "u32", length: bins + 1 },
    { name: "start", access: "read", dtype: "u32", length: bins },
    { name: "order", access: "read", dtype: "u32", length: entries },
    { name: "part", access: "read", dtype: "f32", length: 2 * entries },
    { name: "owner", access: "read", dtype: "u32", length: entries },
  ];
  if (weighted) bindings.push({ name: "weights", access: "read", dtype: "f32", length: entries * groups });
  bindings.push({ name: "dy", access: "read", dtype: "f32", length: owners * channels }, { name: "dfeatures", access: "write", dtype: "f32", length: features });
  const fields = counts({ items, lanes, blocks: lanes / block, group_lanes: lanes / groups, groups, level_count: levels.length, pixels, cells });
  const each = (text: (k: number) => string): string => Array.from({ length: block }, (_, k) => text(k)).join("\n");
  const wgsl =
    declareWithLevels(bindings, fields, { part: "vec2f", dy: lane, dfeatures: lane }) +
    grid.main(`
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
        let entry = order[s];
        let share = select(part[entry], 1.0 - part[entry], behind == vec2u(1u));
        let scale = ${weighted ? "weights[entry * params.groups + group] * " : ""}share.x * share.y;
        let origin = owner[entry] * params.lanes + lane;
${each((k) => `        total${k} += scale * dy[origin + ${k}u];`)}
      }
    }
    let origin = row * params.lanes + lane;
${each((k) => `    dfeatures[origin + ${k}u] = total${k};`)}`);
  return {
    name: `${plan.name}.sums.${block}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms: [...levelUniforms(levels), ...fields],
    grid: grid.grid,
    cost: { flops: 8 * entries * channels, bytes: bindings.reduce((sum, { length }) => sum + 4 * length, 0) },
    reference: (inputs) => pixelSumsReference(plan, inputs),
  };
}
