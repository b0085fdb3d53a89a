import { anchorEncoder, anchorFromBox, distributionModule, INFERENCE, moveAnchors, pointsEncoder, predictModel, sinusoidTable, temporalPositionalEncoding } from "@distilldrive/nn";
import { deformableAggregation, permute, reshape, rotatePoints, concat, sineEmbedding, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import type { NumpyArchive } from "@distilldrive/training";
import { Experiment } from "../experiment.js";
import type { UnitRun } from "./unit.js";

/** `unit_sine`: sine embeddings of any width, and the table added to the time steps. */
export function sineUnit(archive: NumpyArchive): Experiment[] {
  const experiment = new Experiment(archive);
  for (const name of archive.names) {
    const [, width, nested] = /^hidden(\d+)(_4d)?$/.exec(name) ?? [];
    if (width !== undefined) experiment.expect(sineEmbedding(experiment.constant(nested === undefined ? "pos" : "pos4d"), Number(width)), name);
    const [, of, channels, length] = /^(posenc_(\d+)_(\d+)\.)pe$/.exec(name) ?? [];
    if (of === undefined) continue;
    const block = temporalPositionalEncoding(Number(length), Number(channels));
    experiment.weights({ pe: block.pe }, of);
    experiment.expect(block(experiment.constant(`${of}x`)), `${of}y`);
    experiment.expect(experiment.graph.constant(sinusoidTable(Number(length), Number(channels)), [1, Number(length), Number(channels)]), name);
  }
  return [experiment];
}

/** `unit_points`: the PointNet-style encoder, evaluated and trained. */
export function pointsUnit(archive: NumpyArchive): UnitRun[] {
  const run = (mode: "eval" | "train"): UnitRun => {
    const experiment = new Experiment(archive);
    const [lines = 0, points = 0, features = 0] = archive.get("x").shape;
    const channels = archive.get("weights.second_mlp.3.bias").shape[0] ?? 0;
    const encoder = pointsEncoder(features, channels);
    experiment.weights(encoder, "weights.");
    const x = experiment.constant("x", [1, lines, points, features]);
    const y = reshape(encoder(x, experiment.constant("mask", [1, lines, points]), { training: mode === "train", dropout: null }), [lines, channels]);
    experiment.expect(y, `${mode}.y`);
    experiment.cotangent(y, "cot");
    experiment.treeGradients(encoder, `${mode}.grad.`, new Map([[x, `${mode}.grad.x`]]));
    const buffers = [...variablesOf(encoder)].filter(([, variable]) => variable.role === "buffer").map(([name]) => name);
    const after = buffers.filter((name) => mode === "train" && archive.has(`train.running_after.${name}`));
    return { experiment, after: new Map(after.map((name) => [`train.running_after.${name}`, `weights.${name}`])) };
  };
  const partly = (): Experiment => {
    const experiment = new Experiment(archive);
    const [lines = 0, points = 0, features = 0] = archive.get("x").shape;
    const channels = archive.get("weights.second_mlp.3.bias").shape[0] ?? 0;
    const encoder = pointsEncoder(features, channels);
    // Computed after the training step: with its running statistics.
    for (const [name, variable] of variablesOf(encoder)) experiment.weight(variable, variable.role === "buffer" ? `train.running_after.${name}` : `weights.${name}`);
    const y = encoder(experiment.constant("x", [1, lines, points, features]), experiment.constant("partial_mask", [1, lines, points]), INFERENCE);
    experiment.expect(y, "partial_y");
    return experiment;
  };
  const modes = (["eval", "train"] as const).filter((mode) => archive.has(`${mode}.y`));
  return [...modes.map(run), ...(archive.has("partial_y") ? [{ experiment: partly() }] : [])];
}

/** `unit_distribution`: the generative encoder's two networks. */
export function distributionUnit(archive: NumpyArchive): Experiment[] {
  const gaussian = (branch: string): Experiment => {
    const experiment = new Experiment(archive);
    const x = experiment.constant(`${branch}.x`);
    const block = distributionModule({ inChannels: x.at(-1), latent: archive.get(`${branch}.mu`).shape[2] ?? 0, trailingRelu: true });
    experiment.weights(block, `${branch}.weights.`);
    const { mu, logSigma } = block(x);
    experiment.expect(mu, `${branch}.mu`);
    experiment.expect(logSigma, `${branch}.log_sigma`);
    experiment.cotangent(mu, `${branch}.cot_mu`);
    experiment.cotangent(logSigma, `${branch}.cot_log_sigma`);
    experiment.treeGradients(block, `${branch}.grad.`, new Map([[x, `${branch}.grad.x`]]));
    return experiment;
  };
  const prediction = (steps: number): Experiment => {
    const experiment = new Experiment(archive);
    const of = (name: string): string => `predict_T${steps}.${name}`;
    const [sample, hidden] = [experiment.constant(of("sample")), experiment.constant(of("hidden"))];
    const layers = archive.names.filter((name) => name.startsWith(of("weights.gru.weight_ih_l"))).length;
    const block = predictModel({ latent: sample.at(2), channels: hidden.at(2), layers, mixInstances: true });
    experiment.weights(block, of("weights."));
    const states = block(sample, hidden, steps);
    experiment.expect(states, of("future_states"));
    // The published model puts time first.
    const y = permute(reshape(states, [sample.at(0) * sample.at(1), steps, hidden.at(2)]), [1, 0, 2]);
    experiment.expect(y, of("y"));
    experiment.cotangent(y, of("cot"));
    const inputs = new Map<Tensor | Variable, string>([[sample, of("grad.sample")], [hidden, of("grad.hidden")]]);
    experiment.treeGradients(block, of("grad."), inputs);
    return experiment;
  };
  const branches = archive.names.flatMap((name) => /^(.+)\.mu$/.exec(name)?.[1] ?? []);
  const steps = archive.names.flatMap((name) => /^predict_T(\d+)\.y$/.exec(name)?.[1] ?? []);
  return [...branches.map(gaussian), ...steps.map((count) => prediction(Number(count)))];
}

/** `unit_anchor`: what the teacher uses of it. */
export function anchorUnit(archive: NumpyArchive): Experiment[] {
  const experiment = new Experiment(archive);
  if (archive.has("anchor9")) {
    const anchors = anchorFromBox(experiment.constant("anchor9"));
    // Headings are compared as unit vectors: the published yaw may differ by a turn.
    const { values } = archive.get("anchor9_proj");
    const headings = Float64Array.from({ length: (values.length / 9) * 10 }, (_, i) => {
      const [row, column] = [Math.floor(i / 10) * 9, i % 10];
      const yaw = values[row + 6] ?? NaN;
      return column === 6 ? Math.cos(yaw) : column === 7 ? Math.sin(yaw) : (values[row + (column < 6 ? column : column - 1)] ?? NaN);
    });
    experiment.expect(moveAnchors(anchors, experiment.constant("T_src2dst")), "anchor9_proj", { values: headings });
    if (archive.has("light9.y")) {
      const encoder = anchorEncoder(archive.get("light9.y").shape.at(-1) ?? 0);
      experiment.weights(encoder, "light9.weights.");
      experiment.expect(encoder(anchors), "light9.y");
    }
  }
  if (archive.has("agent2lidar.traj")) {
    const trajectories = experiment.constant("agent2lidar.traj");
    const agents = trajectories.at(0) * trajectories.at(1);
    const yaw = experiment.constant("agent2lidar.yaw", [agents, 1]);
    const poses = concat([experiment.graph.constant(new Float32Array(2 * agents), [agents, 2]), yaw], 1);
    experiment.expect(rotatePoints(reshape(trajectories, [agents, -1, 2]), poses), "agent2lidar.out");
  }
  return [experiment];
}

/** `unit_deformagg`: the aggregation with its gradients. */
export function deformableUnit(archive: NumpyArchive): Experiment[] {
  const cases = archive.names.flatMap((name) => /^(.*\.)sampling_location$/.exec(name)?.[1] ?? []);
  return cases.map((of) => {
    const experiment = new Experiment(archive);
    const [batch = 0, , , cameras = 0, levelCount = 0] = archive.get(`${of}weights`).shape;
    const sides = archive.get(`${of}spatial_shape`).values;
    const levels = Array.from({ length: levelCount }, (_, i) => ({ height: sides[2 * i] ?? 0, width: sides[2 * i + 1] ?? 0 }));
    const channels = archive.get(`${of}feat`).shape[2] ?? 0;
    const features = experiment.constant(`${of}feat`, [batch, cameras, (archive.get(`${of}feat`).shape[1] ?? 0) / cameras, channels]);
    const [location, weights] = [experiment.constant(`${of}sampling_location`), experiment.constant(`${of}weights`)];
    const y = deformableAggregation(features, location, weights, levels);
    experiment.expect(y, `${of}out`);
    experiment.cotangent(y, `${of}cot`);
    experiment.gradients(new Map([[features, `${of}grad_feat`], [location, `${of}grad_location`], [weights, `${of}grad_weights`]]));
    return experiment;
  });
}
