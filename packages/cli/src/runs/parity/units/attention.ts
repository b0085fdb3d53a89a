import { asymmetricFfn, crossAttention, decoupledAttention, decoupledKeys, INFERENCE, multiheadAttention, projection, transformerEncoder } from "@distilldrive/nn";
import { sub, type Tensor, type Variable } from "@distilldrive/tensor";
import type { NumpyArchive } from "@distilldrive/training";
import { referenceBackend } from "../backend.js";
import { compareAll } from "../compare.js";
import { Experiment } from "../experiment.js";

/**
 * Heads of the published unit's modules come first. An archive does not say how many there are, so where these do not reproduce
 * it the others are tried: a wrong number cannot match by chance.
 */
const HEADS = [4, 8, 2, 1, 16];
const TRANSFORMER_HEADS = [8, 4, 2, 1, 16];

/** `unit_mha`: attention, the decoupled and the masked one, feed-forward and transformer. */
export async function attentionUnit(archive: NumpyArchive): Promise<Experiment[]> {
  const parts: readonly (readonly [needs: string, width: number, heads: readonly number[], part: (archive: NumpyArchive, heads: number) => Experiment])[] = [
    ["out", 1, HEADS, plain],
    ["decouple.out_cross", 2, HEADS, decoupled],
    ["decouple.out_self", 2, HEADS, decoupledSelf],
    ["flash.no_mask", 1, HEADS, crossed],
    ["ffn.y", 1, [1], feedForward],
    ["transformer.y", 1, TRANSFORMER_HEADS, transformer],
  ];
  const experiments: Experiment[] = [];
  for (const [needs, factor, heads, part] of parts) {
    if (!archive.has(needs)) continue;
    const width = (archive.get(needs).shape.at(-1) ?? 0) * factor;
    experiments.push(await firstThatFits(heads.filter((count) => width % count === 0), (count) => part(archive, count)));
  }
  return experiments;
}

/** The experiment of the first candidate that reproduces what is recorded; of the first one where none does. */
async function firstThatFits(candidates: readonly number[], make: (candidate: number) => Experiment): Promise<Experiment> {
  for (const candidate of candidates) {
    const comparisons = compareAll(await make(candidate).run(referenceBackend()));
    if (comparisons.every(({ ok }) => ok)) return make(candidate);
  }
  return make(candidates[0] ?? 1);
}

/** A sample without a visible key is NaN as published (fact S13); ours gives the output bias, and is not compared. */
function plain(archive: NumpyArchive, heads: number): Experiment {
  const experiment = new Experiment(archive);
  const block = multiheadAttention(archive.get("q").shape[2] ?? 0, heads);
  experiment.weights(block, "weights.");
  const y = block(experiment.constant("q"), experiment.constant("k"), experiment.constant("v"), experiment.constant("key_padding_mask"), INFERENCE);
  // Only there: any other NaN is an error of the file.
  const [batch = 0, keys = 0] = archive.get("key_padding_mask").shape;
  const masks = archive.get("key_padding_mask").values;
  const { values, shape: [, queries = 0, width = 0] } = archive.get("out");
  const visible = Array.from({ length: batch }, (_, sample) => (masks.subarray(sample * keys, (sample + 1) * keys).every((masked) => masked !== 0) ? 0 : 1));
  experiment.expect(y, "out", { counts: values.map((_, i) => visible[Math.floor(i / (queries * width))] ?? 0) });
  return experiment;
}

function decoupled(archive: NumpyArchive, heads: number): Experiment {
  const experiment = new Experiment(archive);
  const at = (name: string): Tensor => experiment.constant(`decouple.${name}`);
  const [query, position, key, keyPosition] = [at("query"), at("query_pos"), at("key"), at("key_pos")];
  const channels = query.at(2);
  const attention = decoupledAttention(channels, heads);
  const shared = { fc_before: projection(channels, 2 * channels), fc_after: projection(2 * channels, channels) };
  experiment.weights(attention, "decouple.weights.");
  experiment.weight(shared.fc_before.weight, "decouple.fc_before");
  experiment.weight(shared.fc_after.weight, "decouple.fc_after");
  const keys = decoupledKeys({ feature: key, position: keyPosition }, shared);
  const y = attention({ feature: query, position }, keys, at("key_padding_mask"), shared, INFERENCE);
  experiment.expect(y, "decouple.out_cross");
  experiment.cotangent(y, "decouple.cot");
  const wanted = new Map<Tensor | Variable, string>([
    [query, "query"],
    [position, "query_pos"],
    [key, "key"],
    [keyPosition, "key_pos"],
    [shared.fc_before.weight, "fb"],
    [shared.fc_after.weight, "fa"],
  ].map(([of, name]) => [of as Tensor | Variable, `decouple.grad_cross.${name as string}`]));
  experiment.treeGradients(attention, "decouple.grad_cross.", wanted);
  return experiment;
}

function decoupledSelf(archive: NumpyArchive, heads: number): Experiment {
  const experiment = new Experiment(archive);
  const [feature, position] = [experiment.constant("decouple.query"), experiment.constant("decouple.query_pos")];
  const channels = feature.at(2);
  const attention = decoupledAttention(channels, heads);
  const shared = { fc_before: projection(channels, 2 * channels), fc_after: projection(2 * channels, channels) };
  experiment.weights(attention, "decouple.weights.");
  experiment.weight(shared.fc_after.weight, "decouple.fc_after");
  const y = attention({ feature, position }, null, null, shared, INFERENCE);
  experiment.expect(y, "decouple.out_self");
  experiment.cotangent(y, "decouple.cot");
  const wanted = new Map<Tensor | Variable, string>([
    [feature, "decouple.grad_self.query"],
    [position, "decouple.grad_self.query_pos"],
    [shared.fc_after.weight, "decouple.grad_self.fa"],
  ]);
  experiment.treeGradients(attention, "decouple.grad_self.", wanted);
  return experiment;
}

function crossed(archive: NumpyArchive, heads: number): Experiment {
  const experiment = new Experiment(archive);
  const at = (name: string): Tensor => experiment.constant(name);
  const query = { feature: at("decouple.query"), position: at("decouple.query_pos") };
  const key = { feature: at("decouple.key"), position: at("decouple.key_pos") };
  const block = crossAttention(query.feature.at(2), heads);
  experiment.weights(block, "flash.weights.");
  const ignore = at("flash.key_padding_mask");
  experiment.expect(block(query, key, null, INFERENCE), "flash.no_mask");
  if (archive.has("flash.true_is_ignore")) experiment.expect(block(query, key, ignore, INFERENCE), "flash.true_is_ignore");
  if (archive.has("flash.true_is_valid_ascoded")) experiment.expect(block(query, key, sub(1, ignore), INFERENCE), "flash.true_is_valid_ascoded");
  return experiment;
}

function feedForward(archive: NumpyArchive): Experiment {
  const experiment = new Experiment(archive);
  const x = experiment.constant("ffn.x");
  const block = asymmetricFfn(x.at(2), archive.get("ffn.weights.layers.0.0.bias").shape[0] ?? 0);
  experiment.weights(block, "ffn.weights.");
  const y = block(x, INFERENCE);
  experiment.expect(y, "ffn.y");
  experiment.cotangent(y, "ffn.cot");
  experiment.treeGradients(block, "ffn.grad.", new Map([[x, "ffn.grad.x"]]));
  return experiment;
}

function transformer(archive: NumpyArchive, heads: number): Experiment {
  const experiment = new Experiment(archive);
  const source = experiment.constant("transformer.src");
  const layers = new Set(archive.names.flatMap((name) => /^transformer\.weights\.encoder\.layers\.(\d+)\./.exec(name)?.[1] ?? []));
  const tree = { encoder: transformerEncoder(source.at(2), heads, layers.size) };
  experiment.weights(tree, "transformer.weights.");
  const y = tree.encoder(source, experiment.constant("transformer.padding_mask"), INFERENCE);
  experiment.expect(y, "transformer.y");
  experiment.cotangent(y, "transformer.cot");
  experiment.treeGradients(tree, "transformer.grad.", new Map([[source, "transformer.grad.src"]]));
  return experiment;
}
