import { add, argMin, cumsum, equal, expandDims, gather, less, mean, mul, reshape, sqrt, square, stopGradient, sub, sum, type Tensor, where } from "@distilldrive/tensor";

/** How far each mode lies from what happened, and which one is nearest. */
export interface NearestMode {
  /** [R, M] m, mean distance of the positions over all steps; unknown steps count as 0 */
  readonly distance: Tensor;
  /** [R] i32 index of the nearest mode, the first of equals */
  readonly index: Tensor;
  /** [R, T, 2] m, displacements of the nearest mode; carries gradient */
  readonly best: Tensor;
}

/**
 * Compares modes with the truth by the mean distance of positions, the running sums of the displacements (fact T16).
 *
 * @param deltas [R, M, T, 2] m, predicted displacements
 * @param target [R, T, 2] m, true displacements
 * @param mask [R, T] 1 where the truth is known
 */
export function nearestMode(deltas: Tensor, target: Tensor, mask: Tensor): NearestMode {
  const [rows, steps] = [deltas.at(0), deltas.at(2)];
  const apart = stopGradient(sub(cumsum(deltas, 2), expandDims(cumsum(target, 1), 1)));
  const perStep = mul(sqrt(sum(square(apart), { axes: [3] })), expandDims(mask, 1));
  const distance = mean(perStep, { axes: [2] });
  const index = argMin(distance, 1);
  const best = reshape(gather(deltas, reshape(index, [rows, 1]), { batchDims: 1 }), [rows, steps, 2]);
  return { distance, index, best };
}

/** Soft labels over modes: the nearest mode gets what its neighbours leave. */
export interface SoftLabelOptions {
  /** How many next nearest modes get a share; 2 of 6 modes. */
  readonly neighbours: number;
  /** Probability of each of them; paper 0.1 (leaving 0.8), published code 0.05 (leaving 0.9). */
  readonly share: number;
  /** Probability of all others; published code 1e-10. */
  readonly floor: number;
}

/** The paper's labels (S-eq. 8): 0.8 for the nearest mode, the rest for its two nearest neighbours. */
export const PAPER_LABELS: SoftLabelOptions = { neighbours: 2, share: 0.1, floor: 1e-10 };
/** The published code's labels (fact T17): 0.9, 0.05, 0.05. */
export const PUBLISHED_LABELS: SoftLabelOptions = { neighbours: 2, share: 0.05, floor: 1e-10 };

/**
 * Soft labels by rank of distance. With fewer modes than `neighbours` + 1, the ones that exist get their shares; a single
 * mode gets 1.
 *
 * @param distance [R, M]
 * @returns [R, M]
 * @throws RangeError when nothing is left for the nearest mode
 */
export function softLabels(distance: Tensor, { neighbours, share, floor }: SoftLabelOptions): Tensor {
  const modes = distance.at(1);
  const sharing = Math.min(neighbours, modes - 1);
  if (share * sharing >= 1) {
    throw new RangeError(`softLabels: the neighbours leave nothing for the nearest mode, expected neighbours * share below 1, got ${sharing} * ${share}. Lower one of them.`);
  }
  const [mine, others] = [expandDims(distance, 2), expandDims(distance, 1)];
  // Of equal distances the lower index ranks first, so that ranks are a permutation.
  const earlier = distance.graph.constant(
    Float32Array.from({ length: modes * modes }, (_, i) => (i % modes < Math.floor(i / modes) ? 1 : 0)),
    [modes, modes],
  );
  const rank = sum(add(less(others, mine), mul(equal(others, mine), earlier)), { axes: [2] });
  return where(less(rank, 0.5), 1 - share * sharing, where(less(rank, sharing + 0.5), share, floor));
}
