import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { flatGrid, matrixGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { sortIntoBins } from "../bins/bins.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { declare } from "../wgsl.js";
import { binNumbersReference, binSumsReference, chainReference, chainSumsReference } from "./reference.js";
import type { GatherShape } from "./reference.js";

/**
 * Gradient of `gatherRows` to its table: dy [batch, indices, width], index i32 [batch, indices] -> dsrc [batch, rows, width],
 * the sum of the rows of dy that were taken from each row, in the order of the indices. No float atomics, so the result is the
 * same every time. Two ways: chain up the takers of every row, which searches the indices once per row and index, or sort the
 * indices into bins, which takes more steps but time in proportion to the indices.
 * @throws ShapeError on bad sizes
 */
export function scatterAddRows(shape: GatherShape, target: KernelTarget): KernelSequence {
  const { batch, rows, indices, width } = shape;
  requireSizes("scatterAddRows", { batch, rows, indices, width });
  const byChains = { name: "chains", build: () => chainScatter(shape, target) };
  const byBins = { name: "bins", build: () => binScatter(shape, target) };
  const searches = batch * (rows + indices) * indices;
  const key = `scatterAddRows ${batch}x${sizeBucket(rows)}x${sizeBucket(indices)}x${sizeBucket(width)}`;
  return chooseCandidate(target, key, searches > searchesWorthSorting ? [byBins, byChains] : [byChains, byBins]);
}

/** Comparisons of indices above which sorting them is quicker than searching. */
const searchesWorthSorting = 2 ** 18;

function chainScatter(shape: GatherShape, target: KernelTarget): KernelSequence {
  const { batch, rows, indices } = shape;
  return {
    name: "scatterAddRows.chains",
    kernels: [
      { kernel: chains(shape, target), bind: { index: "index", chain: "chain" } },
      { kernel: chainSums(shape, target), bind: { dy: "dy", chain: "chain", dsrc: "dsrc" } },
    ],
    temporaries: [{ name: "chain", dtype: "i32", length: batch * (rows + indices) }],
  };
}

function binScatter(shape: GatherShape, target: KernelTarget): KernelSequence {
  const { batch, rows, indices } = shape;
  const sorted = sortIntoBins({ entries: batch * indices, bins: batch * rows }, target);
  return {
    name: "scatterAddRows.bins",
    kernels: [
      { kernel: binNumbers(shape, target), bind: { index: "index", bin: "bin" } },
      ...sorted.steps,
      { kernel: binSums(shape, target), bind: { dy: "dy", counts: "counts", start: "start", order: "order", dsrc: "dsrc" } },
    ],
    temporaries: sorted.temporaries,
  };
}

/** index i32 [batch, indices] -> bin u32 [batch, indices]: the row over all tables; batch x rows for an index outside its table. */
function binNumbers(shape: GatherShape, target: KernelTarget): Kernel {
  const { batch, rows, indices } = shape;
  const items = batch * indices;
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: "index", access: "read", dtype: "i32", length: items },
    { name: "bin", access: "write", dtype: "u32", length: items },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "rows", type: "u32", value: rows },
    { name: "indices", type: "u32", value: indices },
    { name: "none", type: "u32", value: batch * rows },
  ] as const;
  return {
    name: "scatterAddRows.binNumbers",
    wgsl:
      declare(bindings, uniforms) +
      plan.main(`    let row = u32(index[item]);
    bin[item] = select(params.none, item / params.indices * params.rows + row, row < params.rows);`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * items },
    reference: (inputs) => binNumbersReference(shape, inputs),
  };
}

/** dy [batch, indices, width], counts, start, order -> dsrc [batch, rows, width]. */
function binSums(shape: GatherShape, target: KernelTarget): Kernel {
  const { batch, rows, indices, width } = shape;
  const lane = laneFor(width);
  const plan = matrixGrid(batch * rows, width / laneWidth(lane), target);
  const bindings = [
    { name: "dy", access: "read", dtype: "f32", length: batch * indices * width },
    { name: "counts", access: "read", dtype: "u32", length: batch * rows + 1 },
    { name: "start", access: "read", dtype: "u32", length: batch * rows },
    { name: "order", access: "read", dtype: "u32", length: batch * indices },
    { name: "dsrc", access: "write", dtype: "f32", length: batch * rows * width },
  ] as const;
  const wgsl =
    declare(bindings, plan.uniforms, { dy: lane, dsrc: lane }) +
    plan.main(
      `    let first = start[row];
    let end = first + counts[row];`,
      `    var total = ${lane}();
    for (var k = first; k < end; k++) { total += dy[order[k] * params.columns + column]; }
    dsrc[place] = total;`,
    );
  return {
    name: `scatterAddRows.binSums.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: batch * indices * width, bytes: 4 * batch * (indices + rows) * width + 4 * batch * (2 * rows + indices) },
    reference: (inputs) => binSumsReference(shape, inputs),
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
