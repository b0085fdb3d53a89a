import { sampleAt } from "../bilinear/reference.js";
import type { BilinearSample } from "../bilinear/reference.js";
import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import { deformableSizes } from "./shape.js";
import type { DeformableAggregationShape } from "./shape.js";

/** Every sample of every location strictly inside its image, in order; entries are rows of the weights, ((batch, query), point, camera, level). */
export function samplesOf(shape: DeformableAggregationShape, location: Float64Array): BilinearSample[] {
  const { queries, points, cameras, levels } = shape;
  const { pixels, cells, places } = deformableSizes("deformableAggregation", shape);
  const samples: BilinearSample[] = [];
  for (let place = 0; place < places; place++) {
    const x = at(location, 2 * place);
    const y = at(location, 2 * place + 1);
    if (!(x > 0 && x < 1 && y > 0 && y < 1)) continue;
    const image = Math.floor(place / (points * cameras * queries)) * cameras + (place % cameras);
    let firstRow = image * pixels;
    let firstCell = image * cells;
    levels.forEach(({ height, width }, level) => {
      samples.push(sampleAt({ entry: place * levels.length + level, x: x * width - 0.5, y: y * height - 0.5 }, { height, width, firstRow, firstCell }));
      firstRow += height * width;
      firstCell += (height + 1) * (width + 1);
    });
  }
  return samples;
}

/** Row (batch, query) of the output an entry goes to. */
export function ownerOf({ points, cameras, levels }: DeformableAggregationShape, entry: number): number {
  return Math.floor(entry / (levels.length * cameras * points));
}

/** Plain-loop aggregation: y[owner, c] = sum over samples of weight[sample, group of c] times the bilinear feature. */
export function deformableAggregationReference(shape: DeformableAggregationShape, inputs: Arrays): { y: Float64Array } {
  const { groups, channels } = shape;
  const sizes = deformableSizes("deformableAggregation", shape);
  const features = arrayOf(inputs, "features", sizes.features);
  const weights = arrayOf(inputs, "weights", sizes.weights);
  const y = new Float64Array(sizes.output);
  for (const { entry, corners } of samplesOf(shape, arrayOf(inputs, "location", sizes.location))) {
    const owner = ownerOf(shape, entry);
    for (let c = 0; c < channels; c++) {
      const weight = at(weights, entry * groups + Math.floor((c * groups) / channels));
      for (const { row, share } of corners) y[owner * channels + c] = at(y, owner * channels + c) + weight * share * at(features, row * channels + c);
    }
  }
  return { y };
}

/** Plain-loop gradients to locations and weights. */
export function deformablePointsReference(shape: DeformableAggregationShape, inputs: Arrays): { dlocation: Float64Array; dweights: Float64Array } {
  const { groups, channels, levels } = shape;
  const sizes = deformableSizes("deformableAggregation", shape);
  const features = arrayOf(inputs, "features", sizes.features);
  const weights = arrayOf(inputs, "weights", sizes.weights);
  const dy = arrayOf(inputs, "dy", sizes.output);
  const dlocation = new Float64Array(sizes.location);
  const dweights = new Float64Array(sizes.weights);
  for (const { entry, corners } of samplesOf(shape, arrayOf(inputs, "location", sizes.location))) {
    const place = Math.floor(entry / levels.length);
    const { height = 0, width = 0 } = levels[entry % levels.length] ?? {};
    const owner = ownerOf(shape, entry);
    for (let c = 0; c < channels; c++) {
      const w = entry * groups + Math.floor((c * groups) / channels);
      const slope = at(dy, owner * channels + c);
      for (const { row, share, slopeX, slopeY } of corners) {
        const product = slope * at(features, row * channels + c);
        dweights[w] = at(dweights, w) + product * share;
        dlocation[2 * place] = at(dlocation, 2 * place) + product * at(weights, w) * slopeX * width;
        dlocation[2 * place + 1] = at(dlocation, 2 * place + 1) + product * at(weights, w) * slopeY * height;
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
  for (const { entry, corners } of samplesOf(shape, arrayOf(inputs, "location", sizes.location))) {
    const owner = ownerOf(shape, entry);
    for (let c = 0; c < channels; c++) {
      const slope = at(dy, owner * channels + c) * at(weights, entry * groups + Math.floor((c * groups) / channels));
      for (const { row, share } of corners) dfeatures[row * channels + c] = at(dfeatures, row * channels + c) + slope * share;
    }
  }
  return { dfeatures };
}
