import { add, cumsum, gather, max, maximum, mul, reshape, sigmoidFocalLoss, stopGradient, sum, type Operand, type Tensor } from "@distilldrive/tensor";
import { softLabelLoss } from "./classification.js";
import { type NearestMode, nearestMode, PAPER_LABELS, softLabels, type SoftLabelOptions } from "./nearest-mode.js";
import { F32_EPSILON, l1, maskedL1, type Normaliser, summedL1 } from "./regression.js";
import { type ActionValues, reinforcement, watchReinforcement } from "./reinforcement.js";
import type { RewardScene } from "./reward-scene.js";
import type { RewardName } from "./rewards.js";
import type { WatchedValues } from "./watched.js";

/** Weights and variants of the {@link imitation} loss. */
export interface ImitationWeights {
  /** Planning regression; S-eq. 9: 2. */
  readonly regression: number;
  /** Ego status; S-eq. 9: 3, published code 2. */
  readonly status: number;
  /** Planning classification; S-eq. 9: 0.5. */
  readonly classification: number;
  /** Learned path the modes are a difference to, where the planner has one (our option); default that of the regression. */
  readonly reference?: number;
  /** Agents: focal classification, default 0.2 as published; 0 switches it off. */
  readonly motionClassification?: number;
  /** Agents: regression, default 0.2 as published; 0 switches it off. */
  readonly motionRegression?: number;
  /** Reinforcement, where the planner has action values; default 1 as published; 0 switches it off. */
  readonly reinforcement?: number;
  /** Labels of the modes: soft (KL, S-eq. 8) or the nearest one only (focal loss); default "soft". */
  readonly labels?: "soft" | "label";
  /** Default PAPER_LABELS. */
  readonly softLabels?: SoftLabelOptions;
  /** Divisor of the planning regression, default "valid". */
  readonly normaliser?: Normaliser;
}

/** Predictions as teacher and student return them. */
export interface ImitationOutputs {
  readonly plan: {
    /** [B, commands * modes] */
    readonly logits: Tensor;
    /** [B, commands * modes, T, 2] m, displacements */
    readonly deltas: Tensor;
    /** [B, commands, T, 2] m, displacements of the learned reference path, or null; may be left out */
    readonly reference?: Tensor | null;
    /** [B, commands * modes, 10] or [B, 1, 10] */
    readonly status: Tensor;
  };
  readonly motion: {
    /** [B, N, M] */
    readonly logits: Tensor;
    /** [B, N, M, T, 2] m, displacements */
    readonly deltas: Tensor;
  } | null;
  /** Networks and learned weights of the reinforcement; none without */
  readonly actionValues?: (ActionValues & { readonly reward_weight: Operand; readonly terms: readonly RewardName[] }) | null;
}

/** What the expert and the agents did. */
export interface ImitationTargets {
  /** [B] i32: 0 right, 1 left, 2 straight */
  readonly command: Tensor;
  /** [B, T, 2] m, displacements of the ego vehicle */
  readonly egoFuture: Tensor;
  /** [B, T] 1 where known */
  readonly egoFutureMask: Tensor;
  /** [B, 10] */
  readonly egoStatus: Tensor;
  /** [B, N, T, 2] m, displacements of the agents; needed with motion */
  readonly futureDisplacement?: Tensor;
  /** [B, N, T] 1 where known */
  readonly futureMask?: Tensor;
  /** [B, N, 9] x, y, z, length, width, height (m), yaw (rad), vx, vy; needed for the collision reward */
  readonly boxes?: Tensor;
}

/** A weighted sum of named terms. */
export interface LossTerms {
  /** Scalar to minimise. */
  readonly total: Tensor;
  /** Each term with its weight, a scalar each; they sum to the total. */
  readonly terms: Readonly<Record<string, Tensor>>;
}

/** What {@link imitation} computes. */
export interface ImitationLoss extends LossTerms {
  /** To be logged: `errorStatus`, the mean absolute error of the status; with action values those of {@link watchReinforcement}. */
  readonly watched: WatchedValues;
}

/**
 * Weighted terms and their sum; terms with weight 0 are left out.
 *
 * @throws RangeError when every weight is 0
 */
export function weightedSum(terms: Readonly<Record<string, readonly [weight: number, term: () => Tensor]>>): LossTerms {
  const weighted = Object.entries(terms).flatMap(([name, [weight, term]]) => (weight === 0 ? [] : [[name, mul(term(), weight)] as const]));
  const [first, ...rest] = weighted.map(([, term]) => term);
  if (!first) throw new RangeError(`loss: every weight is 0, expected at least one positive weight among ${Object.keys(terms).join(", ")}.`);
  return { total: rest.reduce(add, first), terms: Object.fromEntries(weighted) };
}

/** The command's modes out of all: x [B, commands * modes, ...] to [B, modes, ...]. */
export function modesOfCommand(x: Tensor, command: Tensor, modes: number): Tensor {
  const lanes = x.at(0);
  const perCommand = reshape(x, [lanes, x.at(1) / modes, modes, ...x.shape.slice(2)]);
  return reshape(gather(perCommand, reshape(command, [lanes, 1]), { batchDims: 1 }), [lanes, modes, ...x.shape.slice(2)]);
}

/** Planning part of the imitation loss, unweighted. */
export interface PlanningTerms {
  readonly regression: () => Tensor;
  readonly status: () => Tensor;
  readonly classification: () => Tensor;
  /** [B, 10] predicted status of the nearest mode, or of the mean instance */
  readonly predictedStatus: () => Tensor;
  /** The true command's modes against the expert. */
  readonly nearest: NearestMode;
}

/**
 * Planning losses over the true command's modes (facts T14, T16, T17): regression of the nearest mode, status of the
 * nearest mode (or of the mean instance), classification.
 *
 * @param modes per command
 */
export function planningTerms(plan: ImitationOutputs["plan"], targets: ImitationTargets, modes: number, options: ImitationWeights): PlanningTerms {
  const lanes = plan.logits.at(0);
  const nearest = nearestMode(modesOfCommand(plan.deltas, targets.command, modes), targets.egoFuture, targets.egoFutureMask);
  const logits = modesOfCommand(plan.logits, targets.command, modes);
  const anyKnown = max(targets.egoFutureMask, { axis: 1 });
  const soft = softLabels(nearest.distance, options.softLabels ?? PAPER_LABELS);
  const predictedStatus = (): Tensor => {
    if (plan.status.at(1) === 1) return reshape(plan.status, [lanes, 10]);
    return reshape(gather(modesOfCommand(plan.status, targets.command, modes), reshape(nearest.index, [lanes, 1]), { batchDims: 1 }), [lanes, 10]);
  };
  return {
    regression: () => maskedL1(nearest.best, targets.egoFuture, targets.egoFutureMask, options.normaliser),
    status: () => l1(predictedStatus(), targets.egoStatus),
    classification: () =>
      options.labels === "label"
        ? sigmoidFocalLoss(logits, nearest.index, { weight: anyKnown })
        : softLabelLoss(logits, soft, anyKnown),
    predictedStatus,
    nearest,
  };
}

/** L1 of the true command's reference path, as the regression of the nearest mode: it becomes the expert's median path. */
function referenceTerm(reference: Tensor, { command, egoFuture, egoFutureMask }: ImitationTargets, normaliser?: Normaliser): Tensor {
  const own = reshape(modesOfCommand(reference, command, 1), egoFuture.shape);
  return maskedL1(own, egoFuture, egoFutureMask, normaliser);
}

/**
 * Motion losses (fact T16): focal classification of the nearest mode and L1 of its positions, both over agents with a
 * known step, divided by their number.
 */
export function motionTerms(motion: NonNullable<ImitationOutputs["motion"]>, target: Tensor, mask: Tensor): { classification: () => Tensor; regression: () => Tensor } {
  const [lanes, agents, modes, steps] = [motion.deltas.at(0), motion.deltas.at(1), motion.deltas.at(2), motion.deltas.at(3)];
  const rows = lanes * agents;
  const truth = reshape(target, [rows, steps, 2]);
  const known = reshape(mask, [rows, steps]);
  const nearest = nearestMode(reshape(motion.deltas, [rows, modes, steps, 2]), truth, known);
  const counted = max(known, { axis: 1 });
  const count = maximum(sum(counted), 1);
  return {
    classification: () => sigmoidFocalLoss(reshape(motion.logits, [rows, modes]), nearest.index, { weight: counted, divisor: add(count, F32_EPSILON) }),
    regression: () => summedL1(cumsum(nearest.best, 1), cumsum(truth, 1), known, count),
  };
}

/**
 * Imitation loss (S-eqs. 6 to 9, facts T14 to T17) with the given weights.
 *
 * ```ts
 * const loss = imitation({ regression: 2, status: 3, classification: 0.5 });
 * const { total, terms } = loss(teacher.forward(inputs), targets);
 * ```
 *
 * @param weights see {@link ImitationWeights}
 * @param modes per command, default 6
 * @returns a function of outputs and targets; its motion terms need both motion outputs and motion targets
 */
export function imitation(weights: ImitationWeights, modes = 6): (outputs: ImitationOutputs, targets: ImitationTargets) => ImitationLoss {
  const { motionClassification = 0.2, motionRegression = 0.2 } = weights;
  return (outputs, targets) => {
    const plan = planningTerms(outputs.plan, targets, modes, weights);
    const { reference } = outputs.plan;
    const { futureDisplacement, futureMask } = targets;
    const weight = weights.reinforcement ?? 1;
    const learned = outputs.actionValues && weight > 0 ? reinforced(plan, targets, outputs.actionValues) : null;
    const motion = outputs.motion && futureDisplacement && futureMask ? motionTerms(outputs.motion, futureDisplacement, futureMask) : null;
    const loss = weightedSum({
      planRegression: [weights.regression, plan.regression],
      planStatus: [weights.status, plan.status],
      planClassification: [weights.classification, plan.classification],
      ...(reference ? { planReference: [weights.reference ?? weights.regression, (): Tensor => referenceTerm(reference, targets, weights.normaliser)] as const } : {}),
      ...(learned ? { planReinforcement: [weight, (): Tensor => learned.loss] as const } : {}),
      ...(motion
        ? {
            motionClassification: [motionClassification, motion.classification] as const,
            motionRegression: [motionRegression, motion.regression] as const,
          }
        : {}),
    });
    return { ...loss, watched: { errorStatus: stopGradient(plan.status()), ...learned?.watched } };
  };
}

/** The reinforcement's loss for the plan's nearest mode, and what to log of it. */
function reinforced(plan: PlanningTerms, targets: ImitationTargets, values: NonNullable<ImitationOutputs["actionValues"]>): { readonly loss: Tensor; readonly watched: WatchedValues } {
  const { boxes, futureDisplacement, futureMask } = targets;
  const scene: RewardScene = {
    status: plan.predictedStatus(),
    expertStatus: targets.egoStatus,
    path: plan.nearest.best,
    expertPath: targets.egoFuture,
    agents: boxes && futureDisplacement && futureMask ? { box: boxes, displacement: futureDisplacement, mask: futureMask } : null,
  };
  const made = reinforcement(values, values.reward_weight, scene, targets.command, values);
  return { loss: made.loss, watched: watchReinforcement(made, values.reward_weight, values.terms) };
}
