import { deviceWork } from "@distilldrive/kernels";
import type { Prepared } from "./libraries/library.js";
import type { Reference, Values } from "./problems/problem.js";

/** Milliseconds of one execution. */
export interface Timing {
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
}

/** How to measure. */
export interface MeasureOptions {
  /** Samples per library; at least 20 for figures that are published. */
  readonly runs: number;
  /** A sample repeats work until it takes about this long, so that waiting for the device weighs little. */
  readonly sampleMs: number;
}

const mostRepeats = 200;

/** One of several contenders failed while it was timed. */
export class ContenderError extends Error {
  /** @param index which one */
  constructor(readonly index: number, override readonly cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.name = "ContenderError";
  }
}

/**
 * Times several libraries on the same work, turn by turn in changing order, so that whatever disturbs the machine
 * disturbs all of them. A sample launches the work `repeats` times and waits once.
 * @param contenders set up and checked already
 * @returns the samples of each, milliseconds of one execution
 * @throws ContenderError when one of them fails
 */
export async function interleave(contenders: readonly Prepared[], { runs, sampleMs }: MeasureOptions): Promise<number[][]> {
  const sample = async (index: number, count: number): Promise<number> => {
    const work = contenders[index];
    const start = performance.now();
    try {
      for (let i = 0; i < count; i++) work?.launch();
      if (work) await deviceWork(work.settle());
    } catch (cause) {
      throw new ContenderError(index, cause);
    }
    return (performance.now() - start) / count;
  };
  const repeats: number[] = [];
  for (const index of contenders.keys()) {
    // Warm-up: compilers, caches and allocators settle, and the last two tell how long one execution takes.
    await sample(index, 1);
    const single = Math.min(await sample(index, 1), await sample(index, 1));
    repeats.push(Math.max(1, Math.min(mostRepeats, Math.round(sampleMs / single))));
  }
  for (const [index, count] of repeats.entries()) await sample(index, count);
  const samples = contenders.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    const order = [...contenders.keys()];
    if (run % 2 === 1) order.reverse();
    for (const index of order) samples[index]?.push(await sample(index, repeats[index] ?? 1));
  }
  return samples;
}

/** Median and deciles of samples in milliseconds. */
export function timingOf(samples: readonly number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (fraction: number): number => {
    const position = fraction * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(position)] ?? Number.NaN, sorted[Math.ceil(position)] ?? Number.NaN];
    return low + (high - low) * (position - Math.floor(position));
  };
  return { medianMs: at(0.5), p10Ms: at(0.1), p90Ms: at(0.9) };
}

/**
 * Median over the rounds of {@link interleave} of one contender's sample over another's. The two of a round follow each other closely: a spell
 * of the machine slows both, where it may slow but one of two medians.
 */
export function ratioOf(samples: readonly number[], before: readonly number[]): number {
  return timingOf(samples.map((sample, round) => sample / (before[round] ?? Number.NaN))).medianMs;
}

/** A row whose largest error is above this is wrong: two orders above what f32 sums of these lengths lose. */
export const wrongAbove = 1e-3;

/**
 * Largest deviation of results from the reference, relative to the largest value of the tensor it is in. Missing or
 * non-finite results count as infinitely wrong.
 */
export function maxRelativeError(results: Values, reference: Reference): number {
  let worst = 0;
  for (const [name, expected] of Object.entries(reference)) {
    const got = results[name];
    if (got?.length !== expected.length) return Infinity;
    let [largest, deviation] = [0, 0];
    for (let i = 0; i < expected.length; i++) {
      const difference = Math.abs((got[i] ?? 0) - (expected[i] ?? 0));
      if (!Number.isFinite(difference)) return Infinity;
      deviation = Math.max(deviation, difference);
      largest = Math.max(largest, Math.abs(expected[i] ?? 0));
    }
    worst = Math.max(worst, deviation === 0 ? 0 : deviation / Math.max(largest, Number.MIN_VALUE));
  }
  return worst;
}
