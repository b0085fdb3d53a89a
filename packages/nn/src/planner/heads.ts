import { add, reshape, type Tensor } from "@distilldrive/tensor";
import type { LinearInit } from "../layers/linear.js";
import { classificationBranch, regressionBranch, type Sequential } from "../layers/sequential.js";

/** Sizes of the heads. */
export interface HeadsConfig {
  /** D */
  readonly channels: number;
  /** Future steps of the plan, published 6. */
  readonly planSteps: number;
  /** Future steps of agents, published 12. */
  readonly motionSteps: number;
  /** First values of the last layer of the planning regression; default PyTorch's. */
  readonly planRegressionInit?: LinearInit;
  /** Likewise of the motion regression. */
  readonly motionRegressionInit?: LinearInit;
}

/** Prediction branches; named as the published refinement layer. */
export interface Heads {
  readonly motion_cls_branch: Sequential;
  readonly motion_reg_branch: Sequential;
  readonly plan_cls_branch: Sequential;
  readonly plan_reg_branch: Sequential;
  readonly plan_status_branch: Sequential;
}

/** Motion and planning heads without the motion ones, for models that predict no agents. */
export type PlanHeads = Omit<Heads, "motion_cls_branch" | "motion_reg_branch">;

/** Bias with which a sigmoid starts at probability 0.01. */
const RARE: LinearInit = { bias: { kind: "constant", value: -Math.log(99) } };

/** Planning classification, regression and status branches (fact T9). */
export function planHeads({ channels, planSteps, planRegressionInit = {} }: Omit<HeadsConfig, "motionSteps" | "motionRegressionInit">): PlanHeads {
  return {
    plan_cls_branch: classificationBranch(channels, RARE),
    plan_reg_branch: regressionBranch(channels, planSteps * 2, planRegressionInit),
    plan_status_branch: regressionBranch(channels, 10),
  };
}

/** All heads (fact T9), in the published order. */
export function heads(config: HeadsConfig): Heads {
  return {
    motion_cls_branch: classificationBranch(config.channels, RARE),
    motion_reg_branch: regressionBranch(config.channels, config.motionSteps * 2, config.motionRegressionInit),
    ...planHeads(config),
  };
}

/** What the planner predicts for agents. */
export interface MotionPrediction {
  /** [B, N, modes] */
  readonly logits: Tensor;
  /** [B, N, modes, steps, 2] m, displacements per 0.5 s, model frame */
  readonly deltas: Tensor;
}

/**
 * Motion heads: one query per agent and mode (fact T13).
 *
 * @param instances [B, N, D] agents after the decoder, position added
 * @param modePosition [B, N, modes, D]
 * @param reference [B, N, 1, steps, 2] m, displacements that those of all modes are a difference to; null: they stand for themselves
 */
export function predictMotion(of: Heads, instances: Tensor, modePosition: Tensor, steps: number, reference: Tensor | null): MotionPrediction {
  const [lanes, agents, modes, channels] = [modePosition.at(0), modePosition.at(1), modePosition.at(2), modePosition.at(3)];
  const query = add(modePosition, reshape(instances, [lanes, agents, 1, channels]));
  const deltas = reshape(of.motion_reg_branch(query), [lanes, agents, modes, steps, 2]);
  return {
    logits: reshape(of.motion_cls_branch(query), [lanes, agents, modes]),
    deltas: reference ? add(deltas, reference) : deltas,
  };
}
