import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** x [outer, channels, inner], normalised per channel: [N, C] has inner = 1, [B, C, L] and [B, C, H, W] have inner = L and H W. */
export interface BatchNormShape {
  readonly outer: number;
  /** >= 1. */
  readonly channels: number;
  readonly inner: number;
  /** `valid` [outer, inner] of 0 and 1 says which positions count in the statistics; default false, all do. */
  readonly masked?: boolean;
}

/** How the statistics are made and kept. */
export interface BatchNormOptions {
  /** Added to the variance, > 0, default 1e-5. */
  readonly eps?: number;
  /** Share of the batch in the running statistics, default 0.1. */
  readonly momentum?: number;
}

/** Calls `visit` with the index of each element of a channel in a block of the outer axis, if it counts. */
function eachCounted(shape: BatchNormShape, inputs: Arrays, begin: number, end: number, channel: number, visit: (k: number) => void): void {
  const { outer, channels, inner, masked = false } = shape;
  const valid = masked ? arrayOf(inputs, "valid", outer * inner) : undefined;
  for (let o = begin; o < Math.min(end, outer); o++) {
    for (let i = 0; i < inner; i++) if (valid === undefined || at(valid, o * inner + i) > 0) visit((o * channels + channel) * inner + i);
  }
}

/** Plain-loop count, mean and sum of squared differences to it of every channel in each block: shares [blocks, 3, channels]. */
export function momentSharesReference(shape: BatchNormShape, block: number, inputs: Arrays): { shares: Float64Array } {
  const { outer, channels, inner } = shape;
  const x = arrayOf(inputs, "x", outer * channels * inner);
  const blocks = Math.ceil(outer / block);
  const shares = new Float64Array(blocks * 3 * channels);
  for (let b = 0; b < blocks; b++) {
    for (let c = 0; c < channels; c++) {
      let count = 0;
      let sum = 0;
      eachCounted(shape, inputs, b * block, (b + 1) * block, c, (k) => {
        count++;
        sum += at(x, k);
      });
      const mean = sum / Math.max(1, count);
      let squares = 0;
      eachCounted(shape, inputs, b * block, (b + 1) * block, c, (k) => {
        squares += (at(x, k) - mean) ** 2;
      });
      [count, mean, squares].forEach((value, row) => (shares[(b * 3 + row) * channels + c] = value));
    }
  }
  return { shares };
}

/** Plain-loop statistics of all blocks together, and the running ones moved towards them. */
export function statisticsReference({ blocks, channels, eps, momentum }: { blocks: number; channels: number; eps: number; momentum: number }, inputs: Arrays): Record<string, Float64Array> {
  const shares = arrayOf(inputs, "shares", blocks * 3 * channels);
  const runningMean = arrayOf(inputs, "runningMean", channels);
  const runningVar = arrayOf(inputs, "runningVar", channels);
  const of = (block: number, row: number, channel: number): number => at(shares, (block * 3 + row) * channels + channel);
  const mean = new Float64Array(channels);
  const rstd = new Float64Array(channels);
  const nextMean = Float64Array.from(runningMean);
  const nextVar = Float64Array.from(runningVar);
  const count = new Float64Array(1);
  for (let c = 0; c < channels; c++) {
    let total = 0;
    let sum = 0;
    for (let b = 0; b < blocks; b++) {
      total += of(b, 0, c);
      sum += of(b, 0, c) * of(b, 1, c);
    }
    const centre = sum / Math.max(1, total);
    let squares = 0;
    for (let b = 0; b < blocks; b++) squares += of(b, 2, c) + of(b, 0, c) * (of(b, 1, c) - centre) ** 2;
    mean[c] = centre;
    rstd[c] = 1 / Math.sqrt(squares / Math.max(1, total) + eps);
    if (total > 0) {
      nextMean[c] = at(runningMean, c) + momentum * (centre - at(runningMean, c));
      nextVar[c] = at(runningVar, c) + momentum * (squares / Math.max(1, total - 1) - at(runningVar, c));
    }
    count[0] = total;
  }
  return { mean, rstd, count, nextMean, nextVar };
}

/** Plain-loop y = (x - mean) rstd weight + bias. */
export function normaliseReference({ outer, channels, inner }: BatchNormShape, inputs: Arrays): { y: Float64Array } {
  const of = (name: string, channel: number): number => at(arrayOf(inputs, name, channels), channel);
  const x = arrayOf(inputs, "x", outer * channels * inner);
  return {
    y: x.map((value, k) => {
      const c = Math.floor(k / inner) % channels;
      return (value - of("mean", c)) * of("rstd", c) * of("weight", c) + of("bias", c);
    }),
  };
}

/** Plain-loop sums of dy xhat and of dy over each block: shares [blocks, 2, channels]. All positions count, valid or not. */
export function gradientSharesReference({ outer, channels, inner }: BatchNormShape, block: number, inputs: Arrays): { shares: Float64Array } {
  const x = arrayOf(inputs, "x", outer * channels * inner);
  const dy = arrayOf(inputs, "dy", outer * channels * inner);
  const mean = arrayOf(inputs, "mean", channels);
  const rstd = arrayOf(inputs, "rstd", channels);
  const shares = new Float64Array(Math.ceil(outer / block) * 2 * channels);
  x.forEach((value, k) => {
    const c = Math.floor(k / inner) % channels;
    const base = Math.floor(Math.floor(k / inner / channels) / block) * 2 * channels + c;
    shares[base] = at(shares, base) + at(dy, k) * (value - at(mean, c)) * at(rstd, c);
    shares[base + channels] = at(shares, base + channels) + at(dy, k);
  });
  return { shares };
}

/** Plain-loop gradient to x: rstd weight (dy - (dbias + xhat dweight) / count) where a position counts, rstd weight dy elsewhere. */
export function batchNormInputReference(shape: BatchNormShape, inputs: Arrays): { dx: Float64Array } {
  const { outer, channels, inner, masked = false } = shape;
  const of = (name: string, channel: number): number => at(arrayOf(inputs, name, channels), channel);
  const x = arrayOf(inputs, "x", outer * channels * inner);
  const valid = masked ? arrayOf(inputs, "valid", outer * inner) : undefined;
  const count = Math.max(1, at(arrayOf(inputs, "count", 1), 0));
  return {
    dx: arrayOf(inputs, "dy", outer * channels * inner).map((slope, k) => {
      const c = Math.floor(k / inner) % channels;
      const counts = valid === undefined || at(valid, Math.floor(k / inner / channels) * inner + (k % inner)) > 0;
      const normalised = (at(x, k) - of("mean", c)) * of("rstd", c);
      return of("rstd", c) * of("weight", c) * (slope - (counts ? (of("dbias", c) + normalised * of("dweight", c)) / count : 0));
    }),
  };
}
