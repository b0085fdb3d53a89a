import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { flatGrid, matrixGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { chainReference, chainSumsReference } from "./reference.js";
import type { GatherShape } from "./reference.js";

/**
 * Gradient of `gatherRows` to its table: dy [batch, indices, width], index i32 [batch, indices] -> dsrc [batch, rows, width],
 * the sum of the rows of dy that were taken from each row. No atomics: a first kernel chains up the takers of every row in
 * order, then every row adds up its own, so the result is the same every time.
 * @throws ShapeError on bad sizes
 */
export function scatterAddRows(shape: GatherShape, target: KernelTarget): KernelSequence {
  const { batch, rows, indices, width } = shape;
  requireSizes("scatterAddRows", { batch, rows, indices, width });
  return {
    name: "scatterAddRows",
    kernels: [
      { kernel: chains(shape, target), bind: { index: "index", chain: "chain" } },
      { kernel: chainSums(shape, target), bind: { dy: "dy", chain: "chain", dsrc: "dsrc" } },
    ],
    temporaries: [{ name: "chain", dtype: "i32", length: batch * (rows + indices) }],
  };
}

/** index i32 [batch, indices] -> chain i32 [batch, rows + indices]: the first taker of each row, then the next one of each taker; -1 ends. */
function chains(shape: GatherShape, target: KernelTarget): Kernel {
  const { batch, rows, indices } = shape;
  const items = batch * (rows + indices);
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "index", access: "read", dtype: "i32", length: batch * indices },
    { name: "chain", access: "write", dtype: "i32", length: items },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "rows", type: "u32", value: rows },
    { name: "indices", type: "u32", value: indices },
  ] as const;
  const wgsl =
    declare(bindings, uniforms) +
    plan.main(`
    let length = params.rows + params.indices;
    let table = item / length;
    let link = item - table * length;
    let origin = table * params.indices;
    var wanted = i32(link);
    var k = 0u;
    if (link >= params.rows) {
      k = link - params.rows;
      wanted = index[origin + k];
      k++;
    }
    while (k < params.indices && index[origin + k] != wanted) { k++; }
    chain[item] = select(-1, i32(k), k < params.indices);`);
  return {
    name: "scatterAddRows.chains",
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 4 * batch * indices + 4 * items },
    reference: (inputs) => chainReference(shape, inputs),
  };
}

/** dy [batch, indices, width], chain -> dsrc [batch, rows, width]. */
function chainSums(shape: GatherShape, target: KernelTarget): Kernel {
  const { batch, rows, indices, width } = shape;
  const lane = laneFor(width);
  const plan = matrixGrid(batch * rows, width / laneWidth(lane), target);
  const bindings = [
    { name: "dy", access: "read", dtype: "f32", length: batch * indices * width },
    { name: "chain", access: "read", dtype: "i32", length: batch * (rows + indices) },
    { name: "dsrc", access: "write", dtype: "f32", length: batch * rows * width },
  ] as const;
  const uniforms = [...plan.uniforms, { name: "rows", type: "u32", value: rows }, { name: "indices", type: "u32", value: indices }] as const;
  const wgsl =
    declare(bindings, uniforms, { dy: lane, dsrc: lane }) +
    plan.main(
      `    let table = row / params.rows;
    let links = table * (params.rows + params.indices);
    let first = chain[links + row - table * params.rows];`,
      `    var total = ${lane}();
    for (var k = first; k >= 0; k = chain[links + params.rows + u32(k)]) { total += dy[(table * params.indices + u32(k)) * params.columns + column]; }
    dsrc[place] = total;`,
    );
  return {
    name: `scatterAddRows.sums.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: batch * indices * width, bytes: 4 * batch * (indices + rows) * width + 4 * batch * (rows + indices) },
    reference: (inputs) => chainSumsReference(shape, inputs),
  };
}
