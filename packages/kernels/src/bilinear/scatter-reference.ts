import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import { scatterSizes } from "./scatter-plan.js";
import type { ScatterPlan } from "./scatter-plan.js";

/** The bin of every sample (`bins` where it does not count), where in its cell it lies, and the row of dy it takes. */
export function locateReference(plan: ScatterPlan, inputs: Arrays): { bin: Float64Array; part: Float64Array; owner: Float64Array } {
  const { bins } = scatterSizes(plan);
  const bin = new Float64Array(plan.entries).fill(bins);
  const part = new Float64Array(2 * plan.entries);
  for (const sample of plan.samples(arrayOf(inputs, "location", 2 * plan.locations))) {
    bin[sample.entry] = sample.bin;
    part.set(sample.fraction, 2 * sample.entry);
  }
  return { bin, part, owner: bin.map((_, entry) => plan.ownerOf(entry)) };
}

/** Each pixel's gradient: the sum over the members of the four cells around it. */
export function pixelSumsReference(plan: ScatterPlan, inputs: Arrays): { dfeatures: Float64Array } {
  const { images, levels, groups, channels } = plan;
  const { bins, cells, features } = scatterSizes(plan);
  const counts = arrayOf(inputs, "counts", bins + 1);
  const start = arrayOf(inputs, "start", bins);
  const order = arrayOf(inputs, "order", plan.entries);
  const part = arrayOf(inputs, "part", 2 * plan.entries);
  const owner = arrayOf(inputs, "owner", plan.entries);
  const weights = plan.weighted ? arrayOf(inputs, "weights", plan.entries * groups) : undefined;
  const dy = arrayOf(inputs, "dy", plan.owners * channels);
  const dfeatures = new Float64Array(features);
  let row = 0;
  for (let image = 0; image < images; image++) {
    let firstBin = image * cells;
    for (const { height, width } of levels) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, row++) {
          for (const [behindX, behindY] of [[0, 0], [1, 0], [0, 1], [1, 1]] as const) {
            const bin = firstBin + (y + behindY) * (width + 1) + x + behindX;
            for (let member = at(start, bin); member < at(start, bin) + at(counts, bin); member++) {
              const entry = at(order, member);
              const [fx, fy] = [at(part, 2 * entry), at(part, 2 * entry + 1)];
              const share = (behindX === 1 ? 1 - fx : fx) * (behindY === 1 ? 1 - fy : fy);
              for (let c = 0; c < channels; c++) {
                const weight = weights === undefined ? 1 : at(weights, entry * groups + Math.floor((c * groups) / channels));
                dfeatures[row * channels + c] = at(dfeatures, row * channels + c) + share * weight * at(dy, at(owner, entry) * channels + c);
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
