import { arrayOf, at } from "../reference-arrays.js";
import type { Arrays } from "../kernel.js";

/** Sizes of a layer norm, for its reference. */
export interface LayerNormSizes {
  readonly rows: number;
  readonly width: number;
  /** x is a sum of two tensors. */
  readonly residual?: boolean;
}

/**
 * Plain-loop layer norm of every row: y = (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance; x plus
 * `residual` in place of x where there is one, and then also that sum.
 */
export function layerNormReference({ rows, width, eps, residual = false }: LayerNormSizes & { eps: number }, inputs: Arrays): Record<string, Float64Array> {
  const own = arrayOf(inputs, "x", rows * width);
  const x = residual ? arrayOf(inputs, "residual", rows * width).map((value, k) => value + at(own, k)) : own;
  const weight = arrayOf(inputs, "weight", width);
  const bias = arrayOf(inputs, "bias", width);
  const y = new Float64Array(rows * width);
  const mean = new Float64Array(rows);
  const rstd = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += at(x, r * width + i);
    const centre = sum / width;
    let squares = 0;
    for (let i = 0; i < width; i++) squares += (at(x, r * width + i) - centre) ** 2;
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) y[r * width + i] = (at(x, r * width + i) - centre) * scale * at(weight, i) + at(bias, i);
    mean[r] = centre;
    rstd[r] = scale;
  }
  return { y, mean, rstd, ...(residual ? { sum: x } : {}) };
}

/** Plain-loop gradient to x: with xhat = (x - mean) rstd and g = dy weight, dx = rstd (g - mean(g) - xhat mean(g xhat)), plus dsum. */
export function layerNormBackwardReference({ rows, width, residual = false }: LayerNormSizes, inputs: Arrays): { dx: Float64Array } {
  const x = arrayOf(inputs, "x", rows * width);
  const weight = arrayOf(inputs, "weight", width);
  const mean = arrayOf(inputs, "mean", rows);
  const rstd = arrayOf(inputs, "rstd", rows);
  const dy = arrayOf(inputs, "dy", rows * width);
  const dx = residual ? Float64Array.from(arrayOf(inputs, "dsum", rows * width)) : new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const normalised = (i: number): number => (at(x, r * width + i) - at(mean, r)) * at(rstd, r);
    const gradient = (i: number): number => at(dy, r * width + i) * at(weight, i);
    let sum = 0;
    let product = 0;
    for (let i = 0; i < width; i++) {
      sum += gradient(i);
      product += gradient(i) * normalised(i);
    }
    for (let i = 0; i < width; i++) dx[r * width + i] = at(dx, r * width + i) + at(rstd, r) * (gradient(i) - sum / width - (normalised(i) * product) / width);
  }
  return { dx };
}

/**
 * Plain-loop share of each block of rows in the parameters' gradients.
 * @returns shares [blocks, 2, width]: sum of dy xhat, then sum of dy, over the rows of the block
 */
export function layerNormSharesReference({ rows, width, block }: LayerNormSizes & { block: number }, inputs: Arrays): { shares: Float64Array } {
  const x = arrayOf(inputs, "x", rows * width);
  const mean = arrayOf(inputs, "mean", rows);
  const rstd = arrayOf(inputs, "rstd", rows);
  const dy = arrayOf(inputs, "dy", rows * width);
  const blocks = Math.ceil(rows / block);
  const shares = new Float64Array(blocks * 2 * width);
  for (let r = 0; r < rows; r++) {
    const base = Math.floor(r / block) * 2 * width;
    for (let i = 0; i < width; i++) {
      const k = r * width + i;
      shares[base + i] = at(shares, base + i) + at(dy, k) * (at(x, k) - at(mean, r)) * at(rstd, r);
      shares[base + width + i] = at(shares, base + width + i) + at(dy, k);
    }
  }
  return { shares };
}

/** Plain-loop sum of the blocks' shares. */
export function layerNormParametersReference({ blocks, width }: { blocks: number; width: number }, inputs: Arrays): { dweight: Float64Array; dbias: Float64Array } {
  const shares = arrayOf(inputs, "shares", blocks * 2 * width);
  const dweight = new Float64Array(width);
  const dbias = new Float64Array(width);
  for (let b = 0; b < blocks; b++) {
    for (let i = 0; i < width; i++) {
      dweight[i] = at(dweight, i) + at(shares, b * 2 * width + i);
      dbias[i] = at(dbias, i) + at(shares, (b * 2 + 1) * width + i);
    }
  }
  return { dweight, dbias };
}
