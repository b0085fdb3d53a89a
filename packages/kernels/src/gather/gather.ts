import type { Kernel, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { gatherReference, scatterAddReference } from "./reference.js";
import type { GatherShape } from "./reference.js";

/**
 * Takes rows by number: src [batch, rows, width], index i32 [batch, indices] -> y [batch, indices, width].
 * An index outside 0 .. rows - 1 (such as -1, "none") gives zeros. An embedding lookup is batch 1.
 * @throws ShapeError on bad sizes
 */
export function gatherRows(shape: GatherShape, target: KernelTarget): Kernel {
  const { batch, rows, indices, width } = shape;
  requireSizes("gatherRows", { batch, rows, indices, width });
  const lane = laneFor(width);
  const columns = width / laneWidth(lane);
  const items = batch * indices * columns;
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: "src", access: "read", dtype: "f32", length: batch * rows * width },
    { name: "index", access: "read", dtype: "i32", length: batch * indices },
    { name: "y", access: "write", dtype: "f32", length: batch * indices * width },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "rows", type: "u32", value: rows },
    { name: "indices", type: "u32", value: indices },
    { name: "columns", type: "u32", value: columns },
  ] as const;
  const wgsl =
    declare(bindings, uniforms, { src: lane, y: lane }) +
    plan.main(`
    let taken = item / params.columns;
    let row = u32(index[taken]);
    var value = ${lane}();
    if (row < params.rows) { value = src[((taken / params.indices) * params.rows + row) * params.columns + item % params.columns]; }
    y[item] = value;`);
  return {
    name: `gatherRows.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * batch * indices * width + 4 * batch * indices },
    reference: (inputs) => gatherReference(shape, inputs),
  };
}

/**
 * Gradient of {@link gatherRows} to its table: dy [batch, indices, width], index i32 [batch, indices] -> dsrc [batch, rows, width],
 * the sum of the rows of dy that were taken from each row. Every destination adds its own rows up in the order of their indices,
 * so the result is the same every time; the price is reading all `indices` numbers for every row.
 * @throws ShapeError on bad sizes
 */
export function scatterAddRows(shape: GatherShape, target: KernelTarget): Kernel {
  const { batch, rows, indices, width } = shape;
  requireSizes("scatterAddRows", { batch, rows, indices, width });
  const lane = laneFor(width);
  const columns = width / laneWidth(lane);
  const items = batch * rows * columns;
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "dy", access: "read", dtype: "f32", length: batch * indices * width },
    { name: "index", access: "read", dtype: "i32", length: batch * indices },
    { name: "dsrc", access: "write", dtype: "f32", length: batch * rows * width },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "rows", type: "u32", value: rows },
    { name: "indices", type: "u32", value: indices },
    { name: "columns", type: "u32", value: columns },
  ] as const;
  const wgsl =
    declare(bindings, uniforms, { dy: lane, dsrc: lane }) +
    plan.main(`
    let row = (item / params.columns) % params.rows;
    let table = item / params.columns / params.rows;
    let column = item % params.columns;
    var total = ${lane}();
    for (var k = table * params.indices; k < (table + 1u) * params.indices; k++) {
      if (u32(index[k]) == row) { total += dy[k * params.columns + column]; }
    }
    dsrc[item] = total;`);
  return {
    name: `scatterAddRows.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: batch * indices * width, bytes: 4 * batch * (indices + rows) * width + 4 * batch * indices },
    reference: (inputs) => scatterAddReference(shape, inputs),
  };
}
