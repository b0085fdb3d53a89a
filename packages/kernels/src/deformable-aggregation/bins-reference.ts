import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import { samplesOf } from "./reference.js";
import { deformableSizes } from "./shape.js";
import type { DeformableAggregationShape } from "./shape.js";

/** Number of bins, and of samples when every location is seen. */
export function binSizes(shape: DeformableAggregationShape): { bins: number; entries: number; location: number } {
  const { cells, places, location } = deformableSizes("deformableAggregationFeaturesBackward", shape);
  return { bins: shape.batch * shape.cameras * cells, entries: places * shape.levels.length, location };
}

/** Samples of each bin, counted up from `counts`, and the number of earlier samples in each sample's bin. */
export function countReference(shape: DeformableAggregationShape, inputs: Arrays): { counts: Float64Array; ticket: Float64Array } {
  const { bins, entries, location } = binSizes(shape);
  const counts = Float64Array.from(arrayOf(inputs, "counts", bins + 1));
  const ticket = new Float64Array(entries);
  for (const { entry, cell } of samplesOf(shape, arrayOf(inputs, "location", location))) {
    ticket[entry] = at(counts, cell);
    counts[cell] = at(counts, cell) + 1;
  }
  return { counts, ticket };
}

/** Where each bin's members begin, and the number of members in the last element of `counts`. */
export function allocateReference(bins: number, inputs: Arrays): { counts: Float64Array; start: Float64Array } {
  const counts = Float64Array.from(arrayOf(inputs, "counts", bins + 1));
  const start = new Float64Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    start[bin] = at(counts, bin) === 0 ? 0 : at(counts, bins);
    counts[bins] = at(counts, bins) + at(counts, bin);
  }
  return { counts, start };
}

/** Members (entry, bin) of the bins, one bin after another. */
export function placeReference(shape: DeformableAggregationShape, inputs: Arrays): { members: Float64Array } {
  const { bins, entries, location } = binSizes(shape);
  const start = arrayOf(inputs, "start", bins);
  const ticket = arrayOf(inputs, "ticket", entries);
  const members = new Float64Array(2 * entries);
  for (const { entry, cell } of samplesOf(shape, arrayOf(inputs, "location", location))) {
    members.set([entry, cell], 2 * (at(start, cell) + at(ticket, entry)));
  }
  return { members };
}

/** Members in ascending order within each bin: order (entry, query), and fraction, where in its cell each lies. */
export function rankReference(shape: DeformableAggregationShape, inputs: Arrays): { order: Float64Array; fraction: Float64Array } {
  const { bins, entries, location } = binSizes(shape);
  const start = arrayOf(inputs, "start", bins);
  const members = arrayOf(inputs, "members", 2 * entries);
  const counts = arrayOf(inputs, "counts", bins + 1);
  const order = new Float64Array(2 * entries);
  const fraction = new Float64Array(2 * entries);
  for (const sample of samplesOf(shape, arrayOf(inputs, "location", location))) {
    const first = at(start, sample.cell);
    let rank = 0;
    for (let member = first; member < first + at(counts, sample.cell); member++) if (at(members, 2 * member) < sample.entry) rank++;
    order.set([sample.entry, sample.query], 2 * (first + rank));
    fraction.set(sample.fraction, 2 * (first + rank));
  }
  return { order, fraction };
}

/** Each pixel's gradient: the sum over the members of the four cells around it. */
export function pixelSumsReference(shape: DeformableAggregationShape, inputs: Arrays): { dfeatures: Float64Array } {
  const { batch, cameras, levels, groups, channels } = shape;
  const sizes = deformableSizes("deformableAggregationFeaturesBackward", shape);
  const { bins, entries } = binSizes(shape);
  const counts = arrayOf(inputs, "counts", bins + 1);
  const start = arrayOf(inputs, "start", bins);
  const order = arrayOf(inputs, "order", 2 * entries);
  const fraction = arrayOf(inputs, "fraction", 2 * entries);
  const weights = arrayOf(inputs, "weights", sizes.weights);
  const dy = arrayOf(inputs, "dy", sizes.output);
  const dfeatures = new Float64Array(sizes.features);
  let row = 0;
  for (let image = 0; image < batch * cameras; image++) {
    let firstBin = image * sizes.cells;
    for (const { height, width } of levels) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, row++) {
          for (const [behindX, behindY] of [[0, 0], [1, 0], [0, 1], [1, 1]] as const) {
            const bin = firstBin + (y + behindY) * (width + 1) + x + behindX;
            for (let member = at(start, bin); member < at(start, bin) + at(counts, bin); member++) {
              const [fx, fy] = [at(fraction, 2 * member), at(fraction, 2 * member + 1)];
              const share = (behindX === 1 ? 1 - fx : fx) * (behindY === 1 ? 1 - fy : fy);
              for (let c = 0; c < channels; c++) {
                const weight = at(weights, at(order, 2 * member) * groups + Math.floor((c * groups) / channels));
                dfeatures[row * channels + c] = at(dfeatures, row * channels + c) + share * weight * at(dy, at(order, 2 * member + 1) * channels + c);
              }
            }
          }
        }
      }
      firstBin += (height + 1) * (width + 1);
    }
  }
  return { dfeatures };
}
