import { asymmetricFfn, crossAttention, decoupledAttention, decoupledKeys, INFERENCE, multiheadAttention, projection, transformerEncoder } from "@distilldrive/nn";
import { sub, type Tensor, type Variable } from "@distilldrive/tensor";
import type { NumpyArchive } from "@distilldrive/training";
import { Experiment } from "../experiment.js";

/** Heads of the published unit's modules; the archive does not say. */
const HEADS = 4;
const TRANSFORMER_HEADS = 8;

/** `unit_mha`: attention, the decoupled and the masked one, feed-forward and transformer. */
export function attentionUnit(archive: NumpyArchive): Experiment[] {
  return [plain(archive), decoupled(archive), decoupledSelf(archive), crossed(archive), feedForward(archive), transformer(archive)];
}

/** A sample without a visible key is NaN as published (fact S13); ours gives the output bias, and is not compared. */
function plain(archive: NumpyArchive): Experiment {
  const experiment = new Experiment(archive);
  const block = multiheadAttention(archive.get("q").shape[2] ?? 0, HEADS);
  experiment.weights(block, "weights.");
  const y = block(experiment.constant("q"), experiment.constant("k"), experiment.constant("v"), experiment.constant("key_padding_mask"), INFERENCE);
  experiment.expect(y, "out", { counts: archive.get("out").values.map((value) => (Number.isFinite(value) ? 1 : 0)) });
  return experiment;
}

function decoupled(archive: NumpyArchive): Experiment {
  const experiment = new Experiment(archive);
  const at = (name: string): Tensor => experiment.constant(`decouple.${name}`);
  const [query, position, key, keyPosition] = [at("query"), at("query_pos"), at("key"), at("key_pos")];
  const channels = query.at(2);
  const attention = decoupledAttention(channels, HEADS);
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

function decoupledSelf(archive: NumpyArchive): Experiment {
  const experiment = new Experiment(archive);
  const [feature, position] = [experiment.constant("decouple.query"), experiment.constant("decouple.query_pos")];
  const channels = feature.at(2);
  const attention = decoupledAttention(channels, HEADS);
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

function crossed(archive: NumpyArchive): Experiment {
  const experiment = new Experiment(archive);
  const at = (name: string): Tensor => experiment.constant(name);
  const query = { feature: at("decouple.query"), position: at("decouple.query_pos") };
  const key = { feature: at("decouple.key"), position: at("decouple.key_pos") };
  const block = crossAttention(query.feature.at(2), HEADS);
  experiment.weights(block, "flash.weights.");
  const ignore = at("flash.key_padding_mask");
  experiment.expect(block(query, key, null, INFERENCE), "flash.no_mask");
  experiment.expect(block(query, key, ignore, INFERENCE), "flash.true_is_ignore");
  experiment.expect(block(query, key, sub(1, ignore), INFERENCE), "flash.true_is_valid_ascoded");
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

function transformer(archive: NumpyArchive): Experiment {
  const experiment = new Experiment(archive);
  const source = experiment.constant("transformer.src");
  const layers = new Set(archive.names.flatMap((name) => /^transformer\.weights\.encoder\.layers\.(\d+)\./.exec(name)?.[1] ?? []));
  const tree = { encoder: transformerEncoder(source.at(2), TRANSFORMER_HEADS, layers.size) };
  experiment.weights(tree, "transformer.weights.");
  const y = tree.encoder(source, experiment.constant("transformer.padding_mask"), INFERENCE);
  experiment.expect(y, "transformer.y");
  experiment.cotangent(y, "transformer.cot");
  experiment.treeGradients(tree, "transformer.grad.", new Map([[source, "transformer.grad.src"]]));
  return experiment;
}
