import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { heldRowKernel } from "../row-grid-held.js";
import type { HeldRows, RowText } from "../row-grid-held.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { layerNormBackwardReference, layerNormReference } from "./reference.js";

/** Sizes of a layer norm over the last axis. */
export interface LayerNormShape {
  readonly rows: number;
  /** Elements in a row, >= 1. */
  readonly width: number;
}

/** What a layer norm does besides normalising. */
export interface LayerNormOptions {
  /** Added to the variance, > 0, default 1e-5. */
  readonly eps?: number;
  /** Adds `residual` [rows, width] to x first and writes the sum as `sum` [rows, width]; default false. */
  readonly residual?: boolean;
}

/**
 * Layer norm over the last axis: x [rows, width], weight [width], bias [width] -> y [rows, width], mean [rows], rstd [rows]
 * with y = (x - mean) rstd weight + bias and rstd = 1 / sqrt(variance + eps), biased variance (Ba et al., 2016). Where a row is
 * not held in registers, mean and variance come from one pass over the differences to the row's first element: a common offset
 * costs no precision, an outlier in that place costs the mean a few 2^-24 of the outlier, the variance a few width x 2^-24 of itself.
 * @throws ShapeError on bad sizes
 */
export function layerNorm(shape: LayerNormShape & LayerNormOptions, target: KernelTarget): Kernel {
  const { rows, width, eps = 1e-5, residual = false } = shape;
  requireSizes("layerNorm", { rows });
  requireSizes("layerNorm", { width }, 1);
  const length = rows * width;
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length },
    ...(residual ? ([{ name: "residual", access: "read", dtype: "f32", length }] as const) : []),
    { name: "weight", access: "read", dtype: "f32", length: width },
    { name: "bias", access: "read", dtype: "f32", length: width },
    ...(residual ? ([{ name: "sum", access: "write", dtype: "f32", length }] as const) : []),
    { name: "y", access: "write", dtype: "f32", length },
    { name: "mean", access: "write", dtype: "f32", length: rows },
    { name: "rstd", access: "write", dtype: "f32", length: rows },
  ] as const;
  const name = residual ? "layerNormResidual" : "layerNorm";
  const value = residual ? (place: string): string => `(x[${place}] + residual[${place}])` : (place: string): string => `x[${place}]`;
  return heldRowKernel(name, rows, width, target, (plan) => {
    const uniforms = [...plan.uniforms, { name: "elements", type: "f32", value: width }, { name: "eps", type: "f32", value: eps }] as const;
    const { lane } = plan;
    const wgsl =
      plan.head +
      declare(bindings, uniforms, { x: lane, residual: lane, weight: lane, bias: lane, sum: lane, y: lane }) +
      plan.main(
        (text) => `${text.fixed({ w: "weight[i]", b: "bias[i]" })}${text.hold({ v: value("origin + i") })}
    ${moments(plan, text, `${value("origin")}${lane === "f32" ? "" : ".x"}`)}
    let scale = 1.0 / sqrt(variance + params.eps);
    ${text.store(`${residual ? "sum[origin + i] = v; " : ""}y[origin + i] = (v - centre) * scale * w + b;`)}
    if (leader) {
      mean[row] = centre;
      rstd[row] = scale;
    }`,
      );
    return {
      name: `${name}.${plan.variant}`,
      wgsl,
      bindings,
      uniforms,
      grid: plan.grid,
      cost: { flops: 8 * length, bytes: (residual ? 16 : 8) * length },
      reference: (inputs) => layerNormReference({ rows, width, eps, residual }, inputs),
    };
  });
}

/** `centre` and `variance` of the values `v` of a row. */
function moments({ held, lane }: HeldRows, { each }: RowText, first: string): string {
  if (held) {
    return `var shares = ${lane}();
    ${each("shares += v;")}
    let centre = row_sum(shares) / params.elements;
    var squares = ${lane}();
    ${each("squares += (v - centre) * (v - centre);")}
    let variance = row_sum(squares) / params.elements;`;
  }
  return `let shift = ${first};
    var shares = ${lane}();
    var squares = ${lane}();
    ${each("let off = v - shift; shares += off; squares += off * off;")}
    let offset = row_sum(shares) / params.elements;
    let centre = shift + offset;
    let variance = max(row_sum(squares) / params.elements - offset * offset, 0.0);`;
}

/**
 * Gradient of {@link layerNorm} to its input: x [rows, width], weight [width], mean [rows], rstd [rows], dy [rows, width]
 * -> dx [rows, width]. The parameters' gradients are {@link layerNormBackwardParameters}, all three {@link layerNormGradients}.
 * @param shape with `residual`, x is the sum that the forward pass wrote, and its own gradient `dsum` [rows, width] is added to dx:
 *   dx is then the gradient of both summands
 * @throws ShapeError on bad sizes
 */
export function layerNormBackward(shape: LayerNormShape & Pick<LayerNormOptions, "residual">, target: KernelTarget): Kernel {
  const { rows, width, residual = false } = shape;
  requireSizes("layerNormBackward", { rows });
  requireSizes("layerNormBackward", { width }, 1);
  const length = rows * width;
  const bindings = layerNormBackwardBindings(shape);
  return heldRowKernel(residual ? "layerNormResidualBackward" : "layerNormBackward", rows, width, target, (plan) => {
    const uniforms = [...plan.uniforms, { name: "elements", type: "f32", value: width }] as const;
    const { lane } = plan;
    return {
      name: `${residual ? "layerNormResidualBackward" : "layerNormBackward"}.${plan.variant}`,
      wgsl:
        plan.head +
        declare(bindings, uniforms, { x: lane, weight: lane, dy: lane, dsum: lane, dx: lane }) +
        plan.main((text) => layerNormBackwardRow(plan, text, residual)),
      bindings,
      uniforms,
      grid: plan.grid,
      cost: { flops: 12 * length, bytes: (residual ? 16 : 12) * length },
      reference: (inputs) => layerNormBackwardReference({ rows, width, residual }, inputs),
    };
  });
}

/** Bindings of {@link layerNormBackward}. */
export function layerNormBackwardBindings({ rows, width, residual = false }: LayerNormShape & Pick<LayerNormOptions, "residual">): readonly Binding[] {
  const length = rows * width;
  return [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "weight", access: "read", dtype: "f32", length: width },
    { name: "mean", access: "read", dtype: "f32", length: rows },
    { name: "rstd", access: "read", dtype: "f32", length: rows },
    { name: "dy", access: "read", dtype: "f32", length },
    ...(residual ? ([{ name: "dsum", access: "read", dtype: "f32", length }] as const) : []),
    { name: "dx", access: "write", dtype: "f32", length },
  ] as const;
}

/** A row of dx; holds (x - mean) as `off` and dy as `raw`. */
export function layerNormBackwardRow({ lane }: Pick<HeldRows, "lane">, { fixed, hold, each, store }: RowText, residual: boolean): string {
  return `${fixed({ w: "weight[i]" })}let centre = mean[row];
    let scale = rstd[row];
    ${hold({ off: "x[origin + i] - centre", raw: "dy[origin + i]" })}
    var sums = ${lane}();
    var products = ${lane}();
    ${each("sums += raw * w; products += raw * w * off;")}
    let shift = row_sum(sums) / params.elements;
    let tilt = row_sum(products) * scale * scale / params.elements;
    ${store(`dx[origin + i] = ${residual ? "dsum[origin + i] + " : ""}scale * (raw * w - shift - off * tilt);`)}`;
}
