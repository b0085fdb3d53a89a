import { finiteAt, requireLength } from "./errors.js";

/** Multi-modal forecast of one agent against what it did. */
export interface MotionForecast {
  /** [M, T, 2] m, positions of M modes over T steps, flat. */
  readonly modes: ArrayLike<number>;
  /** [T, 2] m, positions driven or walked, flat. */
  readonly truth: ArrayLike<number>;
  /** [T] 1 where the agent was annotated. */
  readonly mask: ArrayLike<number>;
}

/** Errors of the best of M modes. */
export interface MotionErrors {
  /** m, smallest over modes of the mean distance over annotated steps. */
  readonly minADE: number;
  /** m, smallest over modes of the distance at the last annotated step. */
  readonly minFDE: number;
}

/**
 * minADE and minFDE of one agent. The two minima may come from different modes, as in the nuScenes prediction task.
 *
 * @returns null when no step is annotated
 * @throws MetricError when shapes do not fit or a value at an annotated step is not finite
 */
export function motionErrors(forecast: MotionForecast): MotionErrors | null {
  const { modes, truth, mask } = forecast;
  const steps = mask.length;
  requireLength(truth, 2 * steps, "metrics.motionErrors truth", "[T, 2]");
  const count = steps === 0 ? 0 : Math.floor(modes.length / (2 * steps));
  requireLength(modes, 2 * steps * Math.max(count, 1), "metrics.motionErrors modes", "[M, T, 2]");
  const annotated = Array.from({ length: steps }, (_, t) => t).filter((t) => mask[t] === 1);
  if (annotated.length === 0) return null;
  let minADE = Infinity;
  let minFDE = Infinity;
  for (let mode = 0; mode < count; mode += 1) {
    const distances = annotated.map((t) => {
      const at = (values: ArrayLike<number>, index: number): number => finiteAt(values, index, "metrics.motionErrors");
      const offset = 2 * (mode * steps + t);
      return Math.hypot(at(modes, offset) - at(truth, 2 * t), at(modes, offset + 1) - at(truth, 2 * t + 1));
    });
    minADE = Math.min(minADE, distances.reduce((sum, distance) => sum + distance, 0) / distances.length);
    minFDE = Math.min(minFDE, distances[distances.length - 1] ?? Infinity);
  }
  return { minADE, minFDE };
}

/** Mean errors over agents. */
export interface MotionScores {
  /** m, null when no agent was scored. */
  readonly minADE: number | null;
  /** m, null when no agent was scored. */
  readonly minFDE: number | null;
  /** Share of scored agents whose minFDE exceeds the threshold, null when none was scored. */
  readonly missRate: number | null;
  /** Agents with at least one annotated step. */
  readonly agents: number;
}

/** Accumulates motion errors agent by agent. */
export interface MotionMetrics {
  /** Scores one agent; see `motionErrors`. */
  add(forecast: MotionForecast): MotionErrors | null;
  /** Means over the agents added so far. */
  result(): MotionScores;
}

/**
 * Starts an empty accumulator.
 *
 * @param options.missThreshold m, a forecast whose minFDE exceeds it misses, default 2.0 (nuScenes)
 */
export function motionMetrics(options: { readonly missThreshold?: number } = {}): MotionMetrics {
  const { missThreshold = 2 } = options;
  let agents = 0;
  let ade = 0;
  let fde = 0;
  let misses = 0;
  return {
    add(forecast) {
      const errors = motionErrors(forecast);
      if (errors === null) return null;
      agents += 1;
      ade += errors.minADE;
      fde += errors.minFDE;
      misses += errors.minFDE > missThreshold ? 1 : 0;
      return errors;
    },
    result() {
      if (agents === 0) return { minADE: null, minFDE: null, missRate: null, agents };
      return { minADE: ade / agents, minFDE: fde / agents, missRate: misses / agents, agents };
    },
  };
}
