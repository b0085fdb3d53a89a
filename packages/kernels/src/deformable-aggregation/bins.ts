import type { Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { declare } from "../wgsl.js";
import { allocateReference, binSizes, countReference, placeReference, rankReference } from "./bins-reference.js";
import { declareWithLevels, deformableSizes, levelUniforms } from "./shape.js";
import type { DeformableAggregationShape } from "./shape.js";

/** What finds the cell of a sample: the bin's number, and where in the cell the sample lies. */
const cellWgsl = `
struct Cell {
  bin: u32,
  fraction: vec2f,
}
fn cell_of(at: vec2f, image: u32, level: vec4u) -> Cell {
  let position = at * vec2f(level.yx) - 0.5;
  let corner = floor(position);
  let shifted = vec2u(vec2i(corner) + 1);
  return Cell(image * params.cells + level.w + shifted.y * (level.y + 1u) + shifted.x, position - corner);
}
fn seen(at: vec2f) -> bool { return all(at > vec2f()) && all(at < vec2f(1.0)); }
fn query_of(place: u32) -> u32 { return place / params.cameras / params.points; }
fn image_of(place: u32) -> u32 { return query_of(place) / params.queries * params.cameras + place % params.cameras; }
`;

/**
 * Kernels that sort the samples of a deformable aggregation into the cells between pixels (the bins):
 * count: location, counts u32 [bins + 1] zeros -> counts, ticket u32 [entries] (any numbering of each bin's members);
 * allocate: counts -> start u32 [bins], and the number of all members in the last element of counts;
 * place: location, start, ticket -> members (entry, bin) u32 [entries, 2], bins one after another, each in any order;
 * rank: location, counts, start, members -> order (entry, query) u32 [entries, 2], fraction [entries, 2], each bin in order.
 * Behind the number of all members, members, order and fraction hold nothing and are never read.
 */
export function binKernels(shape: DeformableAggregationShape, target: KernelTarget): { readonly count: Kernel; readonly allocate: Kernel; readonly place: Kernel; readonly rank: Kernel } {
  const { cells, places } = deformableSizes("deformableAggregationFeaturesBackward", shape);
  const { bins, entries } = binSizes(shape);
  const location: Binding = { name: "location", access: "read", dtype: "f32", length: 2 * places };
  const start: Binding = { name: "start", access: "read", dtype: "u32", length: bins };
  const binding = (name: string, access: Binding["access"], length: number): Binding => ({ name, access, dtype: "u32", length });

  const kernel = (name: string, items: number, bindings: readonly Binding[], elements: Readonly<Record<string, string>>, body: string, reference: Kernel["reference"]): Kernel => {
    const plan = flatGrid(items, target, "heavy");
    const counts = { items, bins, cells, points: shape.points, cameras: shape.cameras, queries: shape.queries, level_count: shape.levels.length };
    const fields = Object.entries(counts).map(([field, value]): UniformField => ({ name: field, type: "u32", value }));
    return {
      name: `deformableAggregationFeaturesBackward.${name}`,
      wgsl: declareWithLevels(bindings, fields, { location: "vec2f", ...elements }) + cellWgsl + plan.main(body),
      bindings,
      uniforms: [...levelUniforms(shape.levels), ...fields],
      grid: plan.grid,
      cost: { flops: 0, bytes: bindings.reduce((sum, { length }) => sum + 4 * length, 0) },
      reference,
    };
  };
  const everyLevel = (body: string, otherwise: string): string => `
    let at = location[item];
    let image = image_of(item);
    for (var level = 0u; level < params.level_count; level++) {
      let entry = item * params.level_count + level;
      if (seen(at)) {
        let bin = cell_of(at, image, params.levels[level]).bin;
${body}
      }${otherwise === "" ? "" : ` else {
${otherwise}
      }`}
    }`;
  return {
    count: kernel(
      "count",
      places,
      [location, binding("counts", "readwrite", bins + 1), binding("ticket", "write", entries)],
      { counts: "atomic<u32>" },
      everyLevel("        ticket[entry] = atomicAdd(&counts[bin], 1u);", "        ticket[entry] = 0u;"),
      (inputs) => countReference(shape, inputs),
    ),
    allocate: allocate(bins, target),
    place: kernel(
      "place",
      places,
      [location, start, binding("ticket", "read", entries), binding("members", "write", 2 * entries)],
      { members: "vec2u" },
      everyLevel("        members[start[bin] + ticket[entry]] = vec2u(entry, bin);", ""),
      (inputs) => placeReference(shape, inputs),
    ),
    rank: kernel(
      "rank",
      entries,
      [location, binding("counts", "read", bins + 1), start, binding("members", "read", 2 * entries), binding("order", "write", 2 * entries), { ...binding("fraction", "write", 2 * entries), dtype: "f32" }],
      { members: "vec2u", order: "vec2u", fraction: "vec2f" },
      `    if (item < counts[params.bins]) {
      let member = members[item];
      let first = start[member.y];
      let end = first + counts[member.y];
      var rank = first;
      for (var other = first; other < end; other++) { rank += select(0u, 1u, members[other].x < member.x); }
      let place = member.x / params.level_count;
      order[rank] = vec2u(member.x, query_of(place));
      fraction[rank] = cell_of(location[place], 0u, params.levels[member.x - place * params.level_count]).fraction;
    }`,
      (inputs) => rankReference(shape, inputs),
    ),
  };
}

/** Gives every bin that has members a place; which one depends on the device, and nothing depends on that. */
function allocate(bins: number, target: KernelTarget): Kernel {
  const plan = flatGrid(bins, target, "heavy");
  const bindings = [
    { name: "counts", access: "readwrite", dtype: "u32", length: bins + 1 },
    { name: "start", access: "write", dtype: "u32", length: bins },
  ] as const;
  const uniforms = [{ name: "items", type: "u32", value: bins }] as const;
  return {
    name: "deformableAggregationFeaturesBackward.allocate",
    wgsl:
      declare(bindings, uniforms, { counts: "atomic<u32>" }) +
      plan.main(`
    let count = atomicLoad(&counts[item]);
    var first = 0u;
    if (count > 0u) { first = atomicAdd(&counts[params.items], count); }
    start[item] = first;`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * bins },
    reference: (inputs) => allocateReference(bins, inputs),
  };
}
