import { gaussianDivergence, nearestMode, PUBLISHED_REWARDS, reinforcement, softLabelLoss, softLabels } from "@distilldrive/losses";
import { actionValueModel, actionValueNetwork } from "@distilldrive/nn";
import { argMax, gather, l1Loss, mean, mseLoss, mul, parameter, reshape, sigmoidFocalLoss, type Tensor, type Variable } from "@distilldrive/tensor";
import type { NumpyArchive } from "@distilldrive/training";
import { Experiment } from "../experiment.js";

/** Cases of an archive whose arrays are `<case>.<name>`. */
function casesOf(archive: NumpyArchive, name: string): string[] {
  return archive.names.filter((array) => array.endsWith(`.${name}`)).map((array) => array.slice(0, -name.length)).filter((of) => !of.endsWith("grad."));
}

/** A parameter holding an array, so that a gradient with respect to it is one of a variable. */
function variableOf(experiment: Experiment, array: string, shape = experiment.archive.get(array).shape): { variable: Variable; value: Tensor } {
  const variable = parameter(shape, { kind: "constant", value: 0 });
  experiment.weight(variable, array);
  return { variable, value: experiment.graph.variable(variable) };
}

/** `unit_klloss`: classification by soft labels. */
export function klUnit(archive: NumpyArchive): Experiment[] {
  return casesOf(archive, "pred").map((of) => {
    const experiment = new Experiment(archive);
    const { variable, value } = variableOf(experiment, `${of}pred`);
    const loss = mul(softLabelLoss(value, experiment.constant(`${of}target`), experiment.constant(`${of}weight`)), archive.get(`${of}loss_weight`).values[0] ?? 1);
    experiment.expect(loss, `${of}loss`, { kind: "loss" });
    experiment.gradients(new Map([[variable, `${of}grad.pred`]]), loss);
    return experiment;
  });
}

/** mmdet adds this to a divisor that is given. */
const EPSILON = 1.1920928955078125e-7;

/** `unit_focal`: focal loss with background labels and extreme logits, weighted L1 and MSE. */
export function focalUnit(archive: NumpyArchive): Experiment[] {
  return casesOf(archive, "pred").map((of) => {
    const experiment = new Experiment(archive);
    const { variable, value } = variableOf(experiment, `${of}pred`);
    const number = (name: string, standard: number): number => (archive.has(of + name) ? (archive.get(of + name).values[0] ?? standard) : standard);
    const averaged = of.endsWith("avg.") ? { divisor: number("avg_factor", 1) + EPSILON } : {};
    const weight = !of.endsWith("none.") && archive.has(`${of}weight`) ? { weight: experiment.constant(`${of}weight`) } : {};
    const regression = /^(l1|mse)_/.exec(of)?.[1];
    const made = regression
      ? (regression === "l1" ? l1Loss : mseLoss)(value, experiment.constant(`${of}target`), { ...weight, ...averaged })
      : sigmoidFocalLoss(value, experiment.constant(`${of}target`, undefined, "i32"), { ...weight, ...averaged });
    const loss = mul(made, number("loss_weight", 1));
    experiment.expect(loss, `${of}loss`, { kind: "loss" });
    experiment.gradients(new Map([[variable, `${of}grad.pred`]]), loss);
    return experiment;
  });
}

/** `unit_topk`: nearest modes and soft labels. */
export function topkUnit(archive: NumpyArchive): Experiment[] {
  return casesOf(archive, "reg_preds").map((of) => {
    const experiment = new Experiment(archive);
    const [samples = 0, agents = 0, modes = 0, steps = 0] = archive.get(`${of}reg_preds`).shape;
    const rows = samples * agents;
    const mask = archive.get(`${of}reg_weight`).values;
    const nearest = nearestMode(
      experiment.constant(`${of}reg_preds`, [rows, modes, steps, 2]),
      experiment.constant(`${of}reg_target`, [rows, steps, 2]),
      experiment.constant(`${of}reg_weight`, [rows, steps]),
    );
    // All modes of a row without a known step are equally near: which one is chosen means nothing.
    const known = Array.from({ length: rows }, (_, row) => (mask.subarray(row * steps, (row + 1) * steps).some((value) => value !== 0) ? 1 : 0));
    const perRow = (width: number): number[] => known.flatMap((value) => Array<number>(width).fill(value));
    const neighbours = (archive.get(`${of}topk`).values[0] ?? 1) - 1;
    experiment.expect(nearest.distance, `${of}dist`);
    experiment.expect(softLabels(nearest.distance, { neighbours, share: 0.05, floor: 1e-10 }), `${of}cls_target_topk`, { counts: perRow(modes) });
    experiment.expect(nearest.index, `${of}cls_target`, { kind: "exact", counts: known });
    experiment.expect(nearest.best, `${of}best_reg`, { counts: perRow(steps * 2) });
    return experiment;
  });
}

/** `unit_dqn`: rewards and action values. */
export function dqnUnit(archive: NumpyArchive): Experiment[] {
  return casesOf(archive, "pred_status").map((of) => {
    const experiment = new Experiment(archive);
    const at = (name: string): Tensor => experiment.constant(of + name);
    const [hidden] = archive.get("weights.model.fc1.bias").shape;
    const [actions] = archive.get("weights.model.fc3.bias").shape;
    const tree = { ...actionValueModel(PUBLISHED_REWARDS.length), model: actionValueNetwork(actions, hidden), target_model: actionValueNetwork(actions, hidden) };
    experiment.weights(tree, "weights.");
    const { variable, value } = variableOf(experiment, `${of}pred_status`);
    const scene = { status: value, expertStatus: at("gt_status"), path: at("reg_pred"), expertPath: at("reg_target"), agents: null };
    const made = reinforcement(tree, tree.reward_weight, scene, argMax(at("cmd"), 1), { terms: PUBLISHED_REWARDS });
    experiment.expect(made.rewards, `${of}reward_terms`);
    experiment.expect(made.reward, `${of}reward`);
    experiment.expect(made.modelValues, `${of}q_model`);
    experiment.expect(made.targetValues, `${of}q_target_net`);
    experiment.expect(made.target, `${of}target`);
    experiment.expect(made.loss, `${of}loss`, { kind: "loss" });
    experiment.treeGradients(tree, `${of}grad.`, new Map([[variable, `${of}grad.pred_status`]]), made.loss);
    return experiment;
  });
}

/** The ego instances come last, in every sample. */
const EGO_INSTANCES = 18;

/** `unit_probloss`: KL of the future's Gaussians from the present's, over all instances and over matched ones. */
export function gaussianUnit(archive: NumpyArchive): Experiment[] {
  return casesOf(archive, "grad.present_mu").map((of) => {
    const experiment = new Experiment(archive);
    const [lanes = 0, count = 0, latent = 0] = archive.get("input.present_mu").shape;
    const inputs = ["present_mu", "present_log_sigma", "future_mu", "future_log_sigma"].map((name) => variableOf(experiment, `input.${name}`));
    const pairs = of.startsWith("only_valid") ? matchedRows(archive, lanes, count) : null;
    const rows = inputs.map(({ value }, i) => {
      if (!pairs) return value;
      const index = pairs.map(([present, future]) => (i < 2 ? present : future));
      return gather(reshape(value, [lanes * count, latent]), experiment.graph.constant(index, [index.length], "i32"));
    });
    const [presentMu, presentSigma, futureMu, futureSigma] = rows;
    if (!presentMu || !presentSigma || !futureMu || !futureSigma) return experiment;
    const loss = mean(gaussianDivergence({ mu: futureMu, logSigma: futureSigma }, { mu: presentMu, logSigma: presentSigma }));
    experiment.expect(loss, `${of}loss`, { kind: "loss" });
    const names = ["present_mu", "present_log_sigma", "future_mu", "future_log_sigma"];
    experiment.gradients(new Map(inputs.map(({ variable }, i) => [variable, `${of}grad.${names[i] ?? ""}`])), loss);
    return experiment;
  });
}

/** Rows of the flattened instances that are compared: present row of the matched anchor, future row of the object's slot (facts S7, S8). */
function matchedRows(archive: NumpyArchive, lanes: number, count: number): [present: number, future: number][] {
  return Array.from({ length: lanes }, (_, lane) => {
    const read = (name: string): number[] => (archive.has(`match.${lane}.${name}`) ? [...archive.get(`match.${lane}.${name}`).values] : []);
    const [anchors, targets, objects] = [read("pred_idx"), read("target_idx"), read("gt_idx")];
    const agents = objects.map((object, slot): [number, number] => [lane * count + (anchors[targets.indexOf(object)] ?? 0), lane * count + slot]);
    const ego = Array.from({ length: EGO_INSTANCES }, (_unused, i): [number, number] => {
      const row = lane * count + count - EGO_INSTANCES + i;
      return [row, row];
    });
    return [...agents, ...ego];
  }).flat();
}
