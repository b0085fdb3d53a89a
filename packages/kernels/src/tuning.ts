import type { Candidate, KernelSequence, KernelTarget, Tuning } from "./kernel.js";

/**
 * The kernels for an operation: the candidate that the target's tuning names, else the first one, which every family puts
 * where its own rules expect the best. A name that no candidate bears counts as no choice.
 */
export function chooseCandidate(target: KernelTarget, key: string, candidates: readonly [Candidate, ...Candidate[]]): KernelSequence {
  const chosen = target.tuning?.choose(key, candidates);
  return (candidates.find(({ name }) => name === chosen) ?? candidates[0]).build();
}

/** Sizes in a tuning key are rounded up to the next power of two: neighbours share a winner. */
export function sizeBucket(size: number): number {
  return size <= 1 ? size : 2 ** Math.ceil(Math.log2(size));
}

/** A tuning that follows a table: candidate names by key. */
export function tuningFrom(winners: Readonly<Record<string, string>>): Tuning {
  return { choose: (key) => (Object.hasOwn(winners, key) ? winners[key] : undefined) };
}

/** A tuning that leaves every choice to the rules and remembers what there was to choose. */
export interface TuningRecorder extends Tuning {
  /** Candidates by key, in the order met. */
  readonly choices: ReadonlyMap<string, readonly Candidate[]>;
}

/** Starts a record: build kernels for a target with it, then measure its choices. */
export function recordTuning(): TuningRecorder {
  const choices = new Map<string, readonly Candidate[]>();
  return {
    choices,
    choose: (key, candidates) => {
      if (!choices.has(key)) choices.set(key, candidates);
      return undefined;
    },
  };
}
