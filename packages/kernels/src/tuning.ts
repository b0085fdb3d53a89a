import type { Candidate, KernelSequence, KernelTarget } from "./kernel.js";

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
