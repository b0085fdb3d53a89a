import { positionsOf } from "./positions.js";
import type { PredictedAgents } from "./predicted-boxes.js";
import { rescore, type RescoreOptions } from "./rescore.js";

/** One sample's plan as the planner returns it. */
export interface PlanModes {
  /** [commands * modes] command-major */
  readonly logits: ArrayLike<number>;
  /** [commands * modes, steps, 2] m, displacements per 0.5 s, model frame */
  readonly deltas: ArrayLike<number>;
}

/** What {@link choosePlan} chose. */
export interface ChosenPlan {
  /** Index into all commands * modes. */
  readonly index: number;
  /** Mode of the command, 0 ... modes - 1. */
  readonly mode: number;
  /** [steps, 2] m, positions after each 0.5 s, model frame */
  readonly positions: Float64Array;
  /** [modes] scores of the command's modes, after re-scoring */
  readonly scores: Float64Array;
}

/** Options of {@link choosePlan}. */
export interface ChoosePlanOptions {
  /** Modes per command, default 6. */
  readonly modes?: number;
  /** Predicted agents of the sample: modes that meet one of them are pushed down. Default: no re-scoring. */
  readonly agents?: PredictedAgents;
  readonly rescore?: RescoreOptions;
}

/**
 * Inference (method, "Inference"): of the command's modes, after re-scoring, the one with the highest score.
 *
 * @param command 0 right, 1 left, 2 straight
 * @throws RangeError when the command has no modes
 */
export function choosePlan(command: number, plan: PlanModes, options: ChoosePlanOptions = {}): ChosenPlan {
  const { modes = 6 } = options;
  const first = command * modes;
  if (!Number.isInteger(command) || command < 0 || first + modes > plan.logits.length) {
    throw new RangeError(
      `choosePlan: no modes for command ${command}, expected a whole number in [0, ${Math.floor(plan.logits.length / modes) - 1}], got ${command}. Commands are 0 right, 1 left, 2 straight.`,
    );
  }
  const steps = plan.deltas.length / plan.logits.length / 2;
  const candidates = Array.from({ length: modes }, (_, mode) => positionsOf(plan.deltas, (first + mode) * steps * 2, steps));
  const logits = Float64Array.from({ length: modes }, (_, mode) => plan.logits[first + mode] ?? 0);
  const scores = options.agents ? rescore(logits, candidates, options.agents, options.rescore) : logits;
  let mode = 0;
  for (let other = 1; other < modes; other++) if ((scores[other] ?? 0) > (scores[mode] ?? 0)) mode = other;
  return { index: first + mode, mode, positions: candidates[mode] ?? new Float64Array(steps * 2), scores };
}
