import { flatGrid } from "../flat-grid.js";
import type { Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { heldRowKernel } from "../row-grid-held.js";
import { declare } from "../wgsl.js";
import type { BatchNormShape } from "./reference.js";
import { gradientSharesReference, momentSharesReference } from "./reference.js";

/**
 * Positions of the outer axis that one share covers: one where the channel's positions lie side by side, else about as many as
 * there are blocks, so that neither stage loops long.
 */
export function blockOf({ outer, inner }: BatchNormShape): number {
  return inner > 1 ? 1 : Math.max(16, Math.ceil(Math.sqrt(outer)));
}

/** x [outer, channels, inner] (and valid) -> shares [blocks, 3, channels]: count, mean, sum of squared differences to that mean. */
export function momentShares(shape: BatchNormShape, target: KernelTarget): Kernel {
  const { outer, channels, inner, masked = false } = shape;
  const block = blockOf(shape);
  const blocks = Math.ceil(outer / block);
  const bindings: Binding[] = [
    { name: "x", access: "read", dtype: "f32", length: outer * channels * inner },
    ...(masked ? [{ name: "valid", access: "read", dtype: "f32", length: outer * inner } as const] : []),
    { name: "shares", access: "write", dtype: "f32", length: blocks * 3 * channels },
  ];
  const common = {
    bindings,
    cost: { flops: 6 * outer * channels * inner, bytes: 4 * outer * channels * inner },
    reference: (inputs: Parameters<Kernel["reference"]>[0]) => momentSharesReference(shape, block, inputs),
  };
  const name = masked ? "batchNormMoments.masked" : "batchNormMoments";
  if (inner > 1) {
    return heldRowKernel(name, outer * channels, inner, target, (plan) => {
      const uniforms: UniformField[] = [...plan.uniforms, { name: "channels", type: "u32", value: channels }];
      return {
        ...common,
        name: `${name}.${plan.variant}`,
        wgsl:
          plan.head +
          declare(bindings, uniforms, { x: plan.lane, valid: plan.lane }) +
          plan.main(
            ({ hold, each }) => `let image = row / params.channels;
    ${hold({ counts: masked ? `select(${plan.lane}(), ${plan.lane}(1.0), valid[image * params.width + i] > ${plan.lane}())` : `${plan.lane}(1.0)`, v: "x[origin + i]" })}
    var number = ${plan.lane}();
    var sum = ${plan.lane}();
    ${each(`number += counts; sum += select(${plan.lane}(), v, counts > ${plan.lane}());`)}
    let count = row_sum(number);
    let centre = row_sum(sum) / max(count, 1.0);
    var squares = ${plan.lane}();
    ${each(`squares += select(${plan.lane}(), (v - centre) * (v - centre), counts > ${plan.lane}());`)}
    let spread = row_sum(squares);
    if (leader) {
      let place = 3u * image * params.channels + row % params.channels;
      shares[place] = count;
      shares[place + params.channels] = centre;
      shares[place + 2u * params.channels] = spread;
    }`,
          ),
        uniforms,
        grid: plan.grid,
      };
    });
  }
  const lane = laneFor(channels);
  const columns = channels / laneWidth(lane);
  const plan = flatGrid(blocks * columns, target, "heavy");
  const uniforms: UniformField[] = columnUniforms(blocks * columns, outer * inner, columns, block);
  const counts = masked ? "valid[row] > 0.0" : "true";
  return {
    ...common,
    name: `${name}.column.${laneName(lane)}`,
    wgsl:
      declare(bindings, uniforms, { x: lane, shares: lane }) +
      plan.main(`
    let number = item / params.columns;
    let column = item % params.columns;
    let last = min(params.rows, (number + 1u) * params.block);
    var count = 0.0;
    var sum = ${lane}();
    for (var row = number * params.block; row < last; row++) {
      if (${counts}) {
        count += 1.0;
        sum += x[row * params.columns + column];
      }
    }
    let centre = sum / max(count, 1.0);
    var squares = ${lane}();
    for (var row = number * params.block; row < last; row++) {
      if (${counts}) {
        let off = x[row * params.columns + column] - centre;
        squares += off * off;
      }
    }
    let place = 3u * number * params.columns + column;
    shares[place] = ${lane}(count);
    shares[place + params.columns] = centre;
    shares[place + 2u * params.columns] = squares;`),
    uniforms,
    grid: plan.grid,
  };
}

/** x, dy [outer, channels, inner], mean, rstd [channels] -> shares [blocks, 2, channels]: sums of dy xhat and of dy. */
export function gradientShares(shape: BatchNormShape, target: KernelTarget): Kernel {
  const { outer, channels, inner } = shape;
  const block = blockOf(shape);
  const blocks = Math.ceil(outer / block);
  const length = outer * channels * inner;
  const bindings: Binding[] = [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "dy", access: "read", dtype: "f32", length },
    { name: "mean", access: "read", dtype: "f32", length: channels },
    { name: "rstd", access: "read", dtype: "f32", length: channels },
    { name: "shares", access: "write", dtype: "f32", length: blocks * 2 * channels },
  ];
  const common = {
    bindings,
    cost: { flops: 5 * length, bytes: 8 * length },
    reference: (inputs: Parameters<Kernel["reference"]>[0]) => gradientSharesReference(shape, block, inputs),
  };
  if (inner > 1) {
    return heldRowKernel("batchNormShares", outer * channels, inner, target, (plan) => {
      const uniforms: UniformField[] = [...plan.uniforms, { name: "channels", type: "u32", value: channels }];
      return {
        ...common,
        name: `batchNormShares.${plan.variant}`,
        wgsl:
          plan.head +
          declare(bindings, uniforms, { x: plan.lane, dy: plan.lane }) +
          plan.main(
            ({ hold, each }) => `let channel = row % params.channels;
    let centre = mean[channel];
    ${hold({ g: "dy[origin + i]", off: "x[origin + i] - centre" })}
    var products = ${plan.lane}();
    var plain = ${plan.lane}();
    ${each("products += g * off; plain += g;")}
    let weighted = row_sum(products) * rstd[channel];
    let sum = row_sum(plain);
    if (leader) {
      let place = 2u * (row / params.channels) * params.channels + channel;
      shares[place] = weighted;
      shares[place + params.channels] = sum;
    }`,
          ),
        uniforms,
        grid: plan.grid,
      };
    });
  }
  const lane = laneFor(channels);
  const columns = channels / laneWidth(lane);
  const plan = flatGrid(blocks * columns, target, "heavy");
  const uniforms = columnUniforms(blocks * columns, outer * inner, columns, block);
  return {
    ...common,
    name: `batchNormShares.column.${laneName(lane)}`,
    wgsl:
      declare(bindings, uniforms, { x: lane, dy: lane, mean: lane, rstd: lane, shares: lane }) +
      plan.main(`
    let number = item / params.columns;
    let column = item % params.columns;
    let last = min(params.rows, (number + 1u) * params.block);
    let centre = mean[column];
    var weighted = ${lane}();
    var plain = ${lane}();
    for (var row = number * params.block; row < last; row++) {
      let g = dy[row * params.columns + column];
      weighted += g * (x[row * params.columns + column] - centre);
      plain += g;
    }
    shares[2u * number * params.columns + column] = weighted * rstd[column];
    shares[(2u * number + 1u) * params.columns + column] = plain;`),
    uniforms,
    grid: plan.grid,
  };
}

function columnUniforms(items: number, rows: number, columns: number, block: number): UniformField[] {
  return [
    { name: "items", type: "u32", value: items },
    { name: "rows", type: "u32", value: rows },
    { name: "columns", type: "u32", value: columns },
    { name: "block", type: "u32", value: block },
  ];
}
