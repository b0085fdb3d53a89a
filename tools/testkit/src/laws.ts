import type { Parameters } from "fast-check";

/** Options of {@link lawRuns}. */
export interface LawRuns {
  readonly runs: number;
  /** Printed with the seed. */
  readonly name?: string;
}

/**
 * fast-check parameters for a property: how many runs, and a seed that is printed.
 * The seed is the environment variable DISTILLDRIVE_SEED, so that a failure replays; without it, a new one every time.
 */
export function lawRuns<T>({ runs, name = "property" }: LawRuns): Parameters<T> & { readonly seed: number } {
  const seed = lawSeed();
  process.stdout.write(`${name}: seed ${seed} (replay with DISTILLDRIVE_SEED=${seed})\n`);
  return { seed, numRuns: runs, endOnFailure: false, interruptAfterTimeLimit: 100_000, markInterruptAsFailure: false };
}

/** The seed of this run: DISTILLDRIVE_SEED, else drawn from the clock. @throws Error when it is not a 32-bit integer */
export function lawSeed(): number {
  const given = process.env["DISTILLDRIVE_SEED"];
  if (given === undefined || given === "") return Date.now() & 0x7fffffff;
  const seed = Number(given);
  if (!Number.isInteger(seed) || Math.abs(seed) > 2 ** 31) throw new Error(`DISTILLDRIVE_SEED: not a seed, expected a 32-bit integer, got "${given}". Unset it or copy the seed a failure printed.`);
  return seed;
}
