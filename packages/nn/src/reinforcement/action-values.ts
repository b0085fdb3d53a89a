import { parameter, type Tensor, type Variable } from "@distilldrive/tensor";
import { linear, type Linear } from "../layers/linear.js";

/** Values of the actions (the commands) in a state (the ego status). */
export interface ActionValueNetwork {
  /** status [B, 10] to [B, actions] */
  (status: Tensor): Tensor;
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;
}

/** Linear, ReLU, Linear, ReLU, Linear: status [B, 10] to values [B, actions]. @param hidden published 24 */
export function actionValueNetwork(actions = 3, hidden = 24): ActionValueNetwork {
  const [fc1, fc2, fc3] = [linear(10, hidden), linear(hidden, hidden), linear(hidden, actions)];
  return Object.assign((status: Tensor): Tensor => fc3(fc2(fc1(status, "relu"), "relu")), { fc1, fc2, fc3 });
}

/** The parameters of the reinforcement, named as published: the weights of the rewards and two networks. */
export interface ActionValueModel {
  /** [terms], learned (S-eq. 12) */
  readonly reward_weight: Variable;
  readonly model: ActionValueNetwork;
  readonly target_model: ActionValueNetwork;
}

/** Reward weights and both networks (fact T18). @param terms rewards that are weighted */
export function actionValueModel(terms: number): ActionValueModel {
  return {
    reward_weight: parameter([terms], { kind: "normal", standardDeviation: 1 }),
    model: actionValueNetwork(),
    target_model: actionValueNetwork(),
  };
}
