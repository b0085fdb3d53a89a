import { abs, exp, greater, less, mean, mul, neg, reshape, slice, sub, sum, type Tensor } from "@distilldrive/tensor";
import { collisionReward } from "./collision-reward.js";
import type { Reward } from "./reward-scene.js";

/** s between steps. */
const INTERVAL = 0.5;
/** m/s, S-eq. 10 */
const FASTEST = 20;

/** exp(-mean |a - b|) over all axes but the first: [B, ...] twice to [B]. */
function closeness(a: Tensor, b: Tensor): Tensor {
  const lanes = a.at(0);
  return exp(neg(mean(reshape(abs(sub(a, b)), [lanes, -1]), { axes: [1] })));
}

/** Column of a [B, ...] tensor as [B]. */
function column(x: Tensor, index: number): Tensor {
  return reshape(slice(reshape(x, [x.at(0), -1]), 1, index, index + 1), [x.at(0)]);
}

/** How well the predicted status matches: exp(-mean |difference|). */
export const statusReward: Reward = ({ status, expertStatus }) => closeness(status, expertStatus);

/** Consistency of the predicted speed with the first displacement (S-eq. 11): exp(-|dy - 0.5 s v|). */
export const consistencyReward: Reward = ({ status, path }) => exp(neg(abs(sub(column(path, 1), mul(column(status, 6), INTERVAL)))));

/** 1 for a predicted speed in (0, 20) m/s, else 0 (S-eq. 10). */
export const speedReward: Reward = ({ status }) => {
  const speed = column(status, 6);
  return mul(greater(speed, 0), less(speed, FASTEST));
};

/** The whole path: exp(-mean |difference of displacements|). */
export const meanReward: Reward = ({ path, expertPath }) => closeness(path, expertPath);

/** The first step: exp(-mean |difference|). */
export const startReward: Reward = ({ path, expertPath }) => closeness(slice(path, 1, 0, 1), slice(expertPath, 1, 0, 1));

/** The end point: exp(-mean |difference of the summed displacements|). */
export const endReward: Reward = ({ path, expertPath }) => closeness(sum(path, { axes: [1] }), sum(expertPath, { axes: [1] }));

/** All rewards by name. */
export const REWARDS = {
  status: statusReward,
  consistency: consistencyReward,
  speed: speedReward,
  mean: meanReward,
  start: startReward,
  end: endReward,
  collision: collisionReward,
} as const satisfies Record<string, Reward>;

/** Name of a reward. */
export type RewardName = keyof typeof REWARDS;

/** The rewards of the published code, in the order of its learned weights (fact T18). */
export const PUBLISHED_REWARDS: readonly RewardName[] = ["status", "consistency", "speed", "mean", "start", "end"];
/** The paper's rewards: the published ones and the collision reward. */
export const PAPER_REWARDS: readonly RewardName[] = [...PUBLISHED_REWARDS, "collision"];
