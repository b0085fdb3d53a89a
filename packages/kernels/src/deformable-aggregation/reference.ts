import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import { deformableSizes } from "./shape.js";
import type { DeformableAggregationShape } from "./shape.js";

/** One pixel a sample reads: its row in the features, its bilinear share, and the share's derivatives to the location. */
interface Corner {
  readonly row: number;
  readonly share: number;
  readonly slopeX: number;
  readonly slopeY: number;
}

/** A location seen in one level. */
interface DeformableSample {
  /** Row of the locations: ((batch, query), point, camera). */
  readonly place: number;
  /** place x levels + level: row of the weights. */
  readonly entry: number;
  /** (batch, query): row of the output. */
  readonly query: number;
  /** (batch, camera) x cells + cell. */
  readonly cell: number;
  /** Fractions of the location within its cell. */
  readonly fraction: readonly [number, number];
  readonly corners: readonly Corner[];
}

/** Every sample of every location strictly inside its image, in order. */
export function samplesOf(shape: DeformableAggregationShape, location: Float64Array): DeformableSample[] {
  const { queries, points, cameras, levels } = shape;
  const { pixels, cells, places } = deformableSizes("deformableAggregation", shape);
  const samples: DeformableSample[] = [];
  for (let place = 0; place < places; place++) {
    const x = at(location, 2 * place);
    const y = at(location, 2 * place + 1);
    if (!(x > 0 && x < 1 && y > 0 && y < 1)) continue;
    const query = Math.floor(place / (points * cameras));
    const image = Math.floor(query / queries) * cameras + (place % cameras);
    let firstRow = image * pixels;
    let firstCell = image * cells;
    levels.forEach(({ height, width }, level) => {
      const [px, py] = [x * width - 0.5, y * height - 0.5];
      const [cx, cy] = [Math.floor(px), Math.floor(py)];
      const [fx, fy] = [px - cx, py - cy];
      const corners: Corner[] = [];
      for (const [dy, shareY, signY] of [[0, 1 - fy, -1], [1, fy, 1]] as const) {
        for (const [dx, shareX, signX] of [[0, 1 - fx, -1], [1, fx, 1]] as const) {
          if (cx + dx < 0 || cx + dx >= width || cy + dy < 0 || cy + dy >= height) continue;
          corners.push({ row: firstRow + (cy + dy) * width + cx + dx, share: shareX * shareY, slopeX: signX * shareY * width, slopeY: signY * shareX * height });
        }
      }
      samples.push({ place, entry: place * levels.length + level, query, cell: firstCell + (cy + 1) * (width + 1) + cx + 1, fraction: [fx, fy], corners });
      firstRow += height * width;
      firstCell += (height + 1) * (width + 1);
    });
  }
  return samples;
}

/** Plain-loop aggregation: y[query, c] = sum over samples of weight[sample, group of c] times the bilinear feature. */
export function deformableAggregationReference(shape: DeformableAggregationShape, inputs: Arrays): { y: Float64Array } {
  const { groups, channels } = shape;
  const sizes = deformableSizes("deformableAggregation", shape);
  const features = arrayOf(inputs, "features", sizes.features);
  const weights = arrayOf(inputs, "weights", sizes.weights);
  const y = new Float64Array(sizes.output);
  for (const { entry, query, corners } of samplesOf(shape, arrayOf(inputs, "location", sizes.location))) {
    for (let c = 0; c < channels; c++) {
      const weight = at(weights, entry * groups + Math.floor((c * groups) / channels));
      for (const { row, share } of corners) y[query * channels + c] = at(y, query * channels + c) + weight * share * at(features, row * channels + c);
    }
  }
  return { y };
}

/** Plain-loop gradients to locations and weights. */
export function deformablePointsReference(shape: DeformableAggregationShape, inputs: Arrays): { dlocation: Float64Array; dweights: Float64Array } {
  const { groups, channels } = shape;
  const sizes = deformableSizes("deformableAggregation", shape);
  const features = arrayOf(inputs, "features", sizes.features);
  const weights = arrayOf(inputs, "weights", sizes.weights);
  const dy = arrayOf(inputs, "dy", sizes.output);
  const dlocation = new Float64Array(sizes.location);
  const dweights = new Float64Array(sizes.weights);
  for (const { place, entry, query, corners } of samplesOf(shape, arrayOf(inputs, "location", sizes.location))) {
    for (let c = 0; c < channels; c++) {
      const w = entry * groups + Math.floor((c * groups) / channels);
      const slope = at(dy, query * channels + c);
      for (const { row, share, slopeX, slopeY } of corners) {
        const product = slope * at(features, row * channels + c);
        dweights[w] = at(dweights, w) + product * share;
        dlocation[2 * place] = at(dlocation, 2 * place) + product * at(weights, w) * slopeX;
        dlocation[2 * place + 1] = at(dlocation, 2 * place + 1) + product * at(weights, w) * slopeY;
      }
    }
  }
  return { dlocation, dweights };
}

/** Plain-loop gradient to the features. */
export function deformableFeaturesReference(shape: DeformableAggregationShape, inputs: Arrays): { dfeatures: Float64Array } {
  const { groups, channels } = shape;
  const sizes = deformableSizes("deformableAggregation", shape);
  const weights = arrayOf(inputs, "weights", sizes.weights);
  const dy = arrayOf(inputs, "dy", sizes.output);
  const dfeatures = new Float64Array(sizes.features);
  for (const { entry, query, corners } of samplesOf(shape, arrayOf(inputs, "location", sizes.location))) {
    for (let c = 0; c < channels; c++) {
      const slope = at(dy, query * channels + c) * at(weights, entry * groups + Math.floor((c * groups) / channels));
      for (const { row, share } of corners) dfeatures[row * channels + c] = at(dfeatures, row * channels + c) + slope * share;
    }
  }
  return { dfeatures };
}
