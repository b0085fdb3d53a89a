import type { Kernel, KernelTarget } from "../kernel.js";
import { rowGrid } from "../row-grid.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { layerNormBackwardReference, layerNormReference } from "./reference.js";

/** Sizes of a layer norm over the last axis. */
export interface LayerNormShape {
  readonly rows: number;
  /** Elements in a row, >= 1. */
  readonly width: number;
}

/**
 * Layer norm over the last axis: x [rows, width], weight [width], bias [width] -> y [rows, width], mean [rows], rstd [rows]
 * with y = (x - mean) rstd weight + bias and rstd = 1 / sqrt(variance + eps), biased variance (Ba et al., 2016). Mean and variance
 * come from one pass over the differences to the row's first element: a common offset costs no precision. An outlier in
 * that place costs the mean a few 2^-24 of the outlier, the variance a few width x 2^-24 of itself.
 * @param shape `eps` is added to the variance, > 0, default 1e-5
 * @throws ShapeError on bad sizes
 */
export function layerNorm(shape: LayerNormShape & { readonly eps?: number }, target: KernelTarget): Kernel {
  const { rows, width, eps = 1e-5 } = shape;
  requireSizes("layerNorm", { rows });
  requireSizes("layerNorm", { width }, 1);
  const plan = rowGrid(rows, width, target);
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: rows * width },
    { name: "weight", access: "read", dtype: "f32", length: width },
    { name: "bias", access: "read", dtype: "f32", length: width },
    { name: "y", access: "write", dtype: "f32", length: rows * width },
    { name: "mean", access: "write", dtype: "f32", length: rows },
    { name: "rstd", access: "write", dtype: "f32", length: rows },
  ] as const;
  const uniforms = [
    ...plan.uniforms,
    { name: "elements", type: "f32", value: width },
    { name: "eps", type: "f32", value: eps },
  ] as const;
  const wgsl =
    declare(bindings, uniforms, { x: plan.lane, weight: plan.lane, bias: plan.lane, y: plan.lane }) +
    plan.main(`
  let origin = row * params.width;
  let shift = x[origin]${plan.lane === "f32" ? "" : ".x"};
  var sum = ${plan.lane}();
  var squares = ${plan.lane}();
  for (var i = begin; i < end; i += stride) {
    let off = x[origin + i] - shift;
    sum += off;
    squares += off * off;
  }
  let offset = row_sum(sum) / params.elements;
  let centre = shift + offset;
  let variance = max(row_sum(squares) / params.elements - offset * offset, 0.0);
  let scale = 1.0 / sqrt(variance + params.eps);
  for (var i = begin; i < end; i += stride) { y[origin + i] = (x[origin + i] - centre) * scale * weight[i] + bias[i]; }
  if (leader) {
    mean[row] = centre;
    rstd[row] = scale;
  }`);
  return {
    name: `layerNorm.${plan.variant}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 8 * rows * width, bytes: 8 * rows * width },
    reference: (inputs) => layerNormReference({ rows, width, eps }, inputs),
  };
}

/**
 * Gradient of {@link layerNorm} to its input: x [rows, width], weight [width], mean [rows], rstd [rows], dy [rows, width]
 * -> dx [rows, width]. The parameters' gradients are {@link layerNormBackwardParameters}.
 * @throws ShapeError on bad sizes
 */
export function layerNormBackward({ rows, width }: LayerNormShape, target: KernelTarget): Kernel {
  requireSizes("layerNormBackward", { rows });
  requireSizes("layerNormBackward", { width }, 1);
  const plan = rowGrid(rows, width, target);
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: rows * width },
    { name: "weight", access: "read", dtype: "f32", length: width },
    { name: "mean", access: "read", dtype: "f32", length: rows },
    { name: "rstd", access: "read", dtype: "f32", length: rows },
    { name: "dy", access: "read", dtype: "f32", length: rows * width },
    { name: "dx", access: "write", dtype: "f32", length: rows * width },
  ] as const;
  const uniforms = [
    ...plan.uniforms,
    { name: "elements", type: "f32", value: width },
  ] as const;
  const wgsl =
    declare(bindings, uniforms, { x: plan.lane, weight: plan.lane, dy: plan.lane, dx: plan.lane }) +
    plan.main(`
  let origin = row * params.width;
  let centre = mean[row];
  let scale = rstd[row];
  var sum = ${plan.lane}();
  var product = ${plan.lane}();
  for (var i = begin; i < end; i += stride) {
    let g = dy[origin + i] * weight[i];
    sum += g;
    product += g * (x[origin + i] - centre);
  }
  let shift = row_sum(sum) / params.elements;
  let tilt = row_sum(product) * scale * scale / params.elements;
  for (var i = begin; i < end; i += stride) {
    dx[origin + i] = scale * (dy[origin + i] * weight[i] - shift - (x[origin + i] - centre) * tilt);
  }`);
  return {
    name: `layerNormBackward.${plan.variant}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 12 * rows * width, bytes: 12 * rows * width },
    reference: (inputs) => layerNormBackwardReference({ rows, width }, inputs),
  };
}
