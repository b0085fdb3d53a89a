import type { Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneOf, laneWidth, largestFinite } from "../lanes.js";
import type { Lane } from "../lanes.js";
import { rowGrid } from "../row-grid.js";
import { declare } from "../wgsl.js";
import { chunksOf, stageReference } from "./reference.js";
import type { StageKind, StageShape } from "./reference.js";

/** Larger than any index. */
const nowhere = "2147483647";

/** How one stage is written in WGSL: declarations of the accumulators, one step, and the results per lane. */
interface Accumulation {
  readonly start: string;
  /** Sees `position`, the index into x, and `here`, the element's number along n. */
  readonly step: string;
}

function accumulation({ kind, carried }: StageShape, lane: Lane): Accumulation {
  const count = laneOf(lane, "u32");
  const place = laneOf(lane, "i32");
  switch (kind) {
    case "sum":
      return { start: `var total = ${lane}();`, step: "total += x[position];" };
    case "squares":
      return { start: `var total = ${lane}();`, step: "total += x[position] * x[position];" };
    case "count":
      return { start: `var total = ${count}();`, step: "total += x[position];" };
    case "nonFinite":
      // By its bits: WGSL may assume that comparisons never see NaN or infinity.
      return {
        start: `var total = ${count}();`,
        step: `total += select(${count}(), ${count}(1u), (x[position] & ${count}(0x7f800000u)) == ${count}(0x7f800000u));`,
      };
    case "max":
    case "min":
      return {
        start: `var best = ${lane}(-${largestFinite});\n  var place = ${place}(${nowhere});`,
        step: `let value = ${kind === "min" ? "-" : ""}x[position];
      let better = (value > best) | (place == ${place}(${nowhere}));
      best = select(best, value, better);
      place = select(place, ${carried ? "carried[position]" : "here"}, better);`,
      };
  }
}

/**
 * One stage of a reduction: x [outer, n, inner] -> y [outer, chunks, inner] and, for max and min, index of the same shape.
 * @param outputs which of "y" and "index" are written
 */
export function reduceStage(shape: StageShape, outputs: { readonly y: boolean; readonly index: boolean }, target: KernelTarget): Kernel {
  const { kind, outer, n, inner } = shape;
  const length = outer * n * inner;
  const results = outer * chunksOf(shape) * inner;
  const bindings: Binding[] = [{ name: "x", access: "read", dtype: kind === "count" ? "u32" : "f32", length }];
  if (shape.carried) bindings.push({ name: "carried", access: "read", dtype: "i32", length });
  if (outputs.y) bindings.push({ name: "y", access: "write", dtype: totalsAreCounts(kind) ? "u32" : "f32", length: results });
  if (outputs.index) bindings.push({ name: "index", access: "write", dtype: "i32", length: results });
  const plan = inner === 1 ? rowStage(shape, bindings, target) : columnStage(shape, bindings, target);
  return {
    name: `reduce.${kind}.${plan.variant}`,
    wgsl: plan.wgsl,
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: length, bytes: 4 * length + 4 * results },
    reference: (inputs) => {
      const computed = stageReference(shape, inputs);
      return { ...(outputs.y ? { y: computed.y } : {}), ...(outputs.index ? { index: computed.index } : {}) };
    },
  };
}

function totalsAreCounts(kind: StageKind): boolean {
  return kind === "nonFinite" || kind === "count";
}

interface StagePlan {
  readonly variant: string;
  readonly wgsl: string;
  readonly uniforms: readonly UniformField[];
  readonly grid: readonly [number, number, number];
}

/** inner = 1: every chunk is a contiguous row. */
function rowStage(shape: StageShape, bindings: readonly Binding[], target: KernelTarget): StagePlan {
  const { kind, outer, n, chunk } = shape;
  const chunks = chunksOf(shape);
  const width = chunks === 1 ? n : chunk;
  const plan = rowGrid(outer * chunks, width, target, laneFor(n, width));
  const wide = laneWidth(plan.lane);
  const uniforms: UniformField[] = [
    ...plan.uniforms,
    { name: "n", type: "u32", value: n / wide },
    { name: "chunks", type: "u32", value: chunks },
    { name: "scale", type: "f32", value: shape.scale },
  ];
  const { start, step } = accumulation(shape, plan.lane);
  const here = wide === 4 ? "vec4i(i32(4u * (head + i))) + vec4i(0, 1, 2, 3)" : "i32(head + i)";
  const extreme = kind === "max" || kind === "min";
  const wgsl =
    declare(bindings, uniforms, { x: laneOf(plan.lane, totalsAreCounts(kind) ? "u32" : "f32"), carried: laneOf(plan.lane, "i32") }) +
    plan.main(`
  let head = (row % params.chunks) * params.width;
  let origin = (row / params.chunks) * params.n + head;
  let last = min(end, params.n - head);
  ${start}
  for (var i = begin; i < last; i += stride) {
    let position = origin + i;
    ${extreme && !shape.carried ? `let here = ${here};\n    ` : ""}${step}
  }
  ${
    extreme
      ? `let peak = row_max(best);
  let found = row_first(select(${laneOf(plan.lane, "i32")}(${nowhere}), place, best == ${plan.lane}(peak)));`
      : `let result = ${totalsAreCounts(kind) ? "row_count(total)" : "row_sum(total) * params.scale"};`
  }
  if (leader) {
    ${stores(bindings, "row", extreme ? (kind === "min" ? "-peak" : "peak") : "result", "found")}
  }`);
  return { variant: plan.variant, wgsl, uniforms, grid: plan.grid };
}

/** inner > 1: an invocation per result (or four neighbouring ones), looping over its chunk of n. */
function columnStage(shape: StageShape, bindings: readonly Binding[], target: KernelTarget): StagePlan {
  const { kind, outer, n, inner, chunk } = shape;
  const chunks = chunksOf(shape);
  const lane = laneFor(inner);
  const columns = inner / laneWidth(lane);
  const items = outer * chunks * columns;
  const plan = flatGrid(items, target, "heavy");
  const uniforms: UniformField[] = [
    { name: "items", type: "u32", value: items },
    { name: "n", type: "u32", value: n },
    { name: "columns", type: "u32", value: columns },
    { name: "chunk", type: "u32", value: chunk },
    { name: "chunks", type: "u32", value: chunks },
    { name: "scale", type: "f32", value: shape.scale },
  ];
  const { start, step } = accumulation(shape, lane);
  const extreme = kind === "max" || kind === "min";
  const number = laneOf(lane, totalsAreCounts(kind) ? "u32" : "f32");
  const place = laneOf(lane, "i32");
  const wgsl =
    declare(bindings, uniforms, { x: number, carried: place, y: number, index: place }) +
    plan.main(`
    let part = item / params.columns;
    let head = (part % params.chunks) * params.chunk;
    let last = min(params.n, head + params.chunk);
    let origin = (part / params.chunks) * params.n * params.columns + item % params.columns;
    ${start}
    for (var k = head; k < last; k++) {
      let position = origin + k * params.columns;
      ${extreme && !shape.carried ? `let here = ${place}(i32(k));\n      ` : ""}${step}
    }
    ${stores(bindings, "item", extreme ? (kind === "min" ? "-best" : "best") : totalsAreCounts(kind) ? "total" : "total * params.scale", "place")}`);
  return { variant: `column.${laneName(lane)}`, wgsl, uniforms, grid: plan.grid };
}

function stores(bindings: readonly Binding[], where: string, value: string, index: string): string {
  const has = (name: string): boolean => bindings.some((binding) => binding.name === name);
  return [has("y") ? `y[${where}] = ${value};` : "", has("index") ? `index[${where}] = ${index};` : ""].join(" ");
}
