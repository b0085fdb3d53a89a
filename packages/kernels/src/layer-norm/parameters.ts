import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import type { LayerNormShape } from "./layer-norm.js";
import { layerNormParametersReference, layerNormSharesReference } from "./reference.js";

/**
 * Gradients of a layer norm's parameters: x [rows, width], mean [rows], rstd [rows], dy [rows, width]
 * -> dweight [width] = sum over rows of dy xhat, dbias [width] = sum over rows of dy. Two stages in a fixed order, no atomics:
 * each invocation sums its column over a block of rows, then the blocks are added up.
 * @throws ShapeError on bad sizes
 */
export function layerNormBackwardParameters({ rows, width }: LayerNormShape, target: KernelTarget): KernelSequence {
  requireSizes("layerNormBackwardParameters", { rows });
  requireSizes("layerNormBackwardParameters", { width }, 1);
  // About as many rows in a block as there are blocks: neither stage loops long.
  const block = Math.max(16, Math.ceil(Math.sqrt(rows)));
  const blocks = Math.ceil(rows / block);
  const external = ["x", "mean", "rstd", "dy"];
  return {
    name: "layerNormBackwardParameters",
    kernels: [
      { kernel: sharesOfBlocks({ rows, width }, block, target), bind: Object.fromEntries([...external, "shares"].map((name) => [name, name])) },
      { kernel: sumOfShares(blocks, width, target), bind: { shares: "shares", dweight: "dweight", dbias: "dbias" } },
    ],
    temporaries: [{ name: "shares", dtype: "f32", length: blocks * 2 * width }],
  };
}

function sharesOfBlocks({ rows, width }: LayerNormShape, block: number, target: KernelTarget): Kernel {
  const lane = laneFor(width);
  const columns = width / laneWidth(lane);
  const blocks = Math.ceil(rows / block);
  const plan = flatGrid(blocks * columns, target, "heavy");
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: rows * width },
    { name: "mean", access: "read", dtype: "f32", length: rows },
    { name: "rstd", access: "read", dtype: "f32", length: rows },
    { name: "dy", access: "read", dtype: "f32", length: rows * width },
    { name: "shares", access: "write", dtype: "f32", length: blocks * 2 * width },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: blocks * columns },
    { name: "rows", type: "u32", value: rows },
    { name: "columns", type: "u32", value: columns },
    { name: "block", type: "u32", value: block },
  ] as const;
  const wgsl =
    declare(bindings, uniforms, { x: lane, dy: lane, shares: lane }) +
    plan.main(`
    let number = item / params.columns;
    let column = item % params.columns;
    let last = min(params.rows, (number + 1u) * params.block);
    var weighted = ${lane}();
    var plain = ${lane}();
    for (var row = number * params.block; row < last; row++) {
      let g = dy[row * params.columns + column];
      weighted += g * (x[row * params.columns + column] - mean[row]) * rstd[row];
      plain += g;
    }
    shares[2u * number * params.columns + column] = weighted;
    shares[(2u * number + 1u) * params.columns + column] = plain;`);
  return {
    name: `layerNormShares.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 5 * rows * width, bytes: 8 * rows * width },
    reference: (inputs) => layerNormSharesReference({ rows, width, block }, inputs),
  };
}

/** Adds up the shares of blocks: shares [blocks, 2, width] -> dweight [width], dbias [width]. */
export function sumOfShares(blocks: number, width: number, target: KernelTarget): Kernel {
  const lane = laneFor(width);
  const columns = width / laneWidth(lane);
  const plan = flatGrid(columns, target, "heavy");
  const bindings = [
    { name: "shares", access: "read", dtype: "f32", length: blocks * 2 * width },
    { name: "dweight", access: "write", dtype: "f32", length: width },
    { name: "dbias", access: "write", dtype: "f32", length: width },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: columns },
    { name: "blocks", type: "u32", value: blocks },
  ] as const;
  const wgsl =
    declare(bindings, uniforms, { shares: lane, dweight: lane, dbias: lane }) +
    plan.main(`
    var weighted = ${lane}();
    var plain = ${lane}();
    for (var number = 0u; number < params.blocks; number++) {
      weighted += shares[2u * number * params.items + item];
      plain += shares[(2u * number + 1u) * params.items + item];
    }
    dweight[item] = weighted;
    dbias[item] = plain;`);
  return {
    name: `layerNormParameters.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 2 * blocks * width, bytes: 8 * blocks * width },
    reference: (inputs) => layerNormParametersReference({ blocks, width }, inputs),
  };
}
