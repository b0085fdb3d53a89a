import { matrixGrid } from "../flat-grid.js";
import type { Kernel, KernelTarget } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { segmentSumReference } from "./reference.js";
import type { SegmentSumShape } from "./reference.js";

/**
 * Sums of runs of rows: x [items, width], ids i32 [items] in ascending order -> y [segments, width], the sum of the rows of each
 * id, 0 where it has none; an id outside 0 .. segments - 1 counts nowhere. A segment finds its rows by bisection and adds them
 * up in order. Where ids are in no order, `scatterAddRows` does the same.
 * @throws ShapeError on bad sizes
 */
export function segmentSum(shape: SegmentSumShape, target: KernelTarget): Kernel {
  const { items, segments, width } = shape;
  requireSizes("segmentSum", { items, segments, width });
  const lane = laneFor(width);
  const plan = matrixGrid(segments, width / laneWidth(lane), target);
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: items * width },
    { name: "ids", access: "read", dtype: "i32", length: items },
    { name: "y", access: "write", dtype: "f32", length: segments * width },
  ] as const;
  const uniforms = [...plan.uniforms, { name: "rows", type: "u32", value: items }] as const;
  const wgsl =
    declare(bindings, uniforms, { x: lane, y: lane }) +
    `
fn first_at_least(id: i32) -> u32 {
  var low = 0u;
  var high = params.rows;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (ids[middle] < id) { low = middle + 1u; } else { high = middle; }
  }
  return low;
}
` +
    plan.main(
      `    let begin = first_at_least(i32(row));
    let end = first_at_least(i32(row) + 1);`,
      `    var total = ${lane}();
    for (var k = begin; k < end; k++) { total += x[k * params.columns + column]; }
    y[place] = total;`,
    );
  return {
    name: `segmentSum.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: items * width, bytes: 4 * (items * width + items + segments * width) },
    reference: (inputs) => segmentSumReference(shape, inputs),
  };
}
