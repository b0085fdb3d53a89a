import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a sort into bins. */
export interface BinSizes {
  readonly entries: number;
  readonly bins: number;
}

/** Entries of each bin, counted up from `counts`, and of each entry the number of earlier ones in its bin. */
export function countReference({ entries, bins }: BinSizes, inputs: Arrays): { counts: Float64Array; ticket: Float64Array } {
  const bin = arrayOf(inputs, "bin", entries);
  const counts = Float64Array.from(arrayOf(inputs, "counts", bins + 1));
  const ticket = new Float64Array(entries);
  bin.forEach((own, entry) => {
    if (own >= bins) return;
    ticket[entry] = at(counts, own);
    counts[own] = at(counts, own) + 1;
  });
  return { counts, ticket };
}

/** Where each bin's members begin, and the number of members in the last element of `counts`. */
export function allocateReference({ bins }: BinSizes, inputs: Arrays): { counts: Float64Array; start: Float64Array } {
  const counts = Float64Array.from(arrayOf(inputs, "counts", bins + 1));
  const start = new Float64Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    start[bin] = at(counts, bin) === 0 ? 0 : at(counts, bins);
    counts[bins] = at(counts, bins) + at(counts, bin);
  }
  return { counts, start };
}

/** Members of the bins, one bin after another. */
export function placeReference({ entries, bins }: BinSizes, inputs: Arrays): { members: Float64Array } {
  const start = arrayOf(inputs, "start", bins);
  const ticket = arrayOf(inputs, "ticket", entries);
  const members = new Float64Array(entries);
  arrayOf(inputs, "bin", entries).forEach((own, entry) => {
    if (own < bins) members[at(start, own) + at(ticket, entry)] = entry;
  });
  return { members };
}

/** Members in ascending order within each bin. */
export function rankReference({ entries, bins }: BinSizes, inputs: Arrays): { order: Float64Array } {
  const bin = arrayOf(inputs, "bin", entries);
  const start = arrayOf(inputs, "start", bins);
  const counts = arrayOf(inputs, "counts", bins + 1);
  const members = arrayOf(inputs, "members", entries);
  const order = new Float64Array(entries);
  for (let slot = 0; slot < at(counts, bins); slot++) {
    const member = at(members, slot);
    const first = at(start, at(bin, member));
    const smaller = members.subarray(first, first + at(counts, at(bin, member))).filter((other) => other < member);
    order[first + smaller.length] = member;
  }
  return { order };
}
