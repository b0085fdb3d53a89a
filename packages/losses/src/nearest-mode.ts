import { add, argMin, cumsum, equal, expandDims, gather, less, mean, mul, reshape, sqrt, square, stopGradient, sub, sum, type Tensor } from "@distilldrive/tensor";

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

/** Soft labels over modes. */
export interface SoftLabelOptions {
  /** Probability of the nearest mode; paper 0.8, published code 0.9. */
  readonly best: number;
  /** How many next nearest modes share the rest; published code 2. */
  readonly neighbours: number;
  /** Probability of all others; published code 1e-10. */
  readonly floor: number;
}

/** The paper's labels (S-eq. 8): 0.8 for the nearest mode, the rest for its two nearest neighbours. */
export const PAPER_LABELS: SoftLabelOptions = { best: 0.8, neighbours: 2, floor: 1e-10 };
/** The published code's labels (fact T17): 0.9, 0.05, 0.05. */
export const PUBLISHED_LABELS: SoftLabelOptions = { best: 0.9, neighbours: 2, floor: 1e-10 };

/**
 * Soft labels by rank of distance. With fewer than `neighbours` + 1 modes the existing ones share, and a single mode gets 1.
 *
 * @param distance [R, M]
 * @returns [R, M]
 */
export function softLabels(distance: Tensor, { best, neighbours, floor }: SoftLabelOptions): Tensor {
  const modes = distance.at(1);
  const sharing = Math.min(neighbours, modes - 1);
  const [mine, others] = [expandDims(distance, 2), expandDims(distance, 1)];
  // Of equal distances the lower index ranks first, so that ranks are a permutation.
  const earlier = distance.graph.constant(
    Float32Array.from({ length: modes * modes }, (_, i) => (i % modes < Math.floor(i / modes) ? 1 : 0)),
    [modes, modes],
  );
  const rank = sum(add(less(others, mine), mul(equal(others, mine), earlier)), { axes: [2] });
  const isBest = less(rank, 0.5);
  const isNeighbour = sub(less(rank, sharing + 0.5), isBest);
  const rest = sub(sub(1, isBest), isNeighbour);
  const share = sharing === 0 ? 0 : (1 - best) / sharing;
  return add(add(mul(isBest, sharing === 0 ? 1 : best), mul(isNeighbour, share)), mul(rest, floor));
}
