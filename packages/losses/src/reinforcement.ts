import { abs, add, div, gather, greater, matmul, max, maximum, mul, oneHot, reshape, slice, stack, stopGradient, sub, sum, type Operand, type Tensor } from "@distilldrive/tensor";
import { type WatchedValues, wordCase } from "./watched.js";
import type { RewardScene } from "./reward-scene.js";
import { REWARDS, type RewardName } from "./rewards.js";

/** The networks of the reinforcement: status [B, 10] to action values [B, commands]. */
export interface ActionValues {
  readonly model: (status: Tensor) => Tensor;
  /** Supervised by the expert's own action instead of being a delayed copy (S-eq. 13). */
  readonly target_model: (status: Tensor) => Tensor;
}

/** What {@link reinforcement} computes. */
export interface Reinforcement {
  /** Scalar to minimise. */
  readonly loss: Tensor;
  /** [B, terms] rewards, without gradient */
  readonly rewards: Tensor;
  /** [B] rewards weighted by the learned weights (S-eq. 12) */
  readonly reward: Tensor;
  /** [B, commands] of the predicted status */
  readonly modelValues: Tensor;
  /** [B, commands] of the expert's status */
  readonly targetValues: Tensor;
  /** [B] reward + discount * best target value */
  readonly target: Tensor;
  /** [B] value of the predicted status for the true command */
  readonly chosen: Tensor;
  /** [B] 1 for the samples with a status, which are the ones that count */
  readonly counted: Tensor;
}

/** Options of {@link reinforcement}. */
export interface ReinforcementOptions {
  /** Terms, in the order of their weights. */
  readonly terms: readonly RewardName[];
  /** Gamma, default 0.95. */
  readonly discount?: number;
}

/**
 * Rewards learned from the expert and action values (S-eqs. 10 to 13, fact T18): the value of the predicted status for the
 * true command regresses to reward + discount * max of the target network's values of the expert's status; the target
 * network's values of the expert's status regress to the expert's command. Both L1, means over the samples with a status
 * (all ten numbers 0: none). Rewards carry no gradient: it reaches the planner through the predicted status only, and the
 * reward's weights through the target.
 *
 * @param rewardWeight [terms]
 * @param command [B] i32, the expert's
 */
export function reinforcement(values: ActionValues, rewardWeight: Operand, scene: RewardScene, command: Tensor, options: ReinforcementOptions): Reinforcement {
  const { terms, discount = 0.95 } = options;
  const { status, expertStatus } = scene;
  const lanes = status.at(0);
  const rewards = stopGradient(stack(terms.map((name) => REWARDS[name](scene)), 1));
  const weights = status.graph.lift(rewardWeight);
  const reward = reshape(matmul(rewards, reshape(weights, [terms.length, 1])), [lanes]);
  const modelValues = values.model(status);
  const targetValues = values.target_model(expertStatus);
  const target = add(reward, mul(max(targetValues, { axis: 1 }), discount));
  const chosen = reshape(gather(modelValues, reshape(command, [lanes, 1]), { batchDims: 1 }), [lanes]);

  const counted = greater(max(abs(expertStatus), { axis: 1 }), 0);
  const samples = maximum(sum(counted), 1);
  const value = sum(mul(abs(sub(chosen, target)), counted));
  const commands = targetValues.at(1);
  const apart = sum(abs(sub(targetValues, oneHot(command, commands))), { axes: [1] });
  const imitation = sum(mul(div(apart, commands), counted));
  return { loss: div(add(value, imitation), samples), rewards, reward, modelValues, targetValues, target, chosen, counted };
}

/**
 * What shows how the reinforcement goes, means over the samples that count: every reward (`reward<Term>`), its learned
 * weight (`weight<Term>`), the weighted sum (`valueReward`), and the values of the chosen action, of the best one and what
 * they regress to (`valueChosen`, `valueBest`, `valueTarget`).
 */
export function watchReinforcement({ rewards, reward, chosen, counted, target, targetValues }: Reinforcement, rewardWeight: Operand, terms: readonly RewardName[]): WatchedValues {
  const samples = maximum(sum(counted), 1);
  const average = (values: Tensor): Tensor => stopGradient(div(sum(mul(values, counted)), samples));
  const weights = stopGradient(rewards.graph.lift(rewardWeight));
  const lanes = rewards.at(0);
  return {
    ...Object.fromEntries(terms.map((name, i) => [`reward${wordCase(name)}`, average(reshape(slice(rewards, 1, i, i + 1), [lanes]))])),
    ...Object.fromEntries(terms.map((name, i) => [`weight${wordCase(name)}`, reshape(slice(weights, 0, i, i + 1), [])])),
    valueReward: average(reward),
    valueChosen: average(chosen),
    valueBest: average(max(targetValues, { axis: 1 })),
    valueTarget: average(target),
  };
}
