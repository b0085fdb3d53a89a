import { Graph, interpret, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { constant, expectClose, expectGolden, goldenArchive, variableValues } from "../golden.fixture.js";
import { crossAttention, decoupledAttention, decoupledKeys, multiheadAttention } from "./attention.js";
import { INFERENCE } from "./block.js";
import { asymmetricFfn } from "./feed-forward.js";
import { projection } from "./linear.js";
import { transformerEncoder } from "./transformer-encoder.js";

const golden = goldenArchive("unit_mha.npz");

describe.skipIf(!golden)("attention blocks against the published ones", () => {
  it("multiheadAttention; a sample without any visible key gets the output bias instead of NaN", () => {
    if (!golden) return;
    const graph = new Graph();
    const block = multiheadAttention(32, 4);
    const mask = constant(graph, golden, "key_padding_mask");
    graph.output("y", block(constant(graph, golden, "q"), constant(graph, golden, "k"), constant(graph, golden, "v"), mask, INFERENCE));
    const { outputs } = interpret(graph, { variables: variableValues(block, golden, "weights.") });
    const y = outputs.get("y") ?? new Float64Array(0);
    expectClose(y.subarray(0, 320), golden.get("out").numbers().subarray(0, 320), 1e-5, "visible samples");
    const bias = golden.get("weights.out_proj.bias").numbers();
    expectClose(y.subarray(320), Float64Array.from({ length: 160 }, (_, i) => bias[i % 32] ?? 0), 1e-6, "hidden sample");
  });

  it("decoupledAttention to other instances, forward and backward", () => {
    if (!golden) return;
    const graph = new Graph();
    const tree = { attn: decoupledAttention(32, 4), fc_before: projection(32, 64), fc_after: projection(64, 32) };
    const at = (name: string) => constant(graph, golden, `decouple.${name}`);
    const [query, query_pos, key, key_pos] = [at("query"), at("query_pos"), at("key"), at("key_pos")];
    const keys = decoupledKeys({ feature: key, position: key_pos }, tree);
    const y = tree.attn({ feature: query, position: query_pos }, keys, at("key_padding_mask"), tree, INFERENCE);
    const variables = variableValues(tree.attn, golden, "decouple.weights.");
    variables.set(tree.fc_before.weight, golden.get("decouple.fc_before").numbers());
    variables.set(tree.fc_after.weight, golden.get("decouple.fc_after").numbers());
    const grads = new Map<Tensor | Variable, string>([
      [query, "decouple.grad_cross.query"],
      [query_pos, "decouple.grad_cross.query_pos"],
      [key, "decouple.grad_cross.key"],
      [key_pos, "decouple.grad_cross.key_pos"],
      [tree.fc_before.weight, "decouple.grad_cross.fb"],
      [tree.fc_after.weight, "decouple.grad_cross.fa"],
    ]);
    for (const [name, variable] of variablesOf(tree.attn)) grads.set(variable, `decouple.grad_cross.${name}`);
    expectGolden(y, golden, { y: "decouple.out_cross", cotangent: "decouple.cot" }, grads, variables);
  });

  it("decoupledAttention among the queries themselves, without fc_before", () => {
    if (!golden) return;
    const graph = new Graph();
    const tree = { attn: decoupledAttention(32, 4), fc_before: projection(32, 64), fc_after: projection(64, 32) };
    const [feature, position] = [constant(graph, golden, "decouple.query"), constant(graph, golden, "decouple.query_pos")];
    const variables = variableValues(tree.attn, golden, "decouple.weights.");
    variables.set(tree.fc_after.weight, golden.get("decouple.fc_after").numbers());
    const y = tree.attn({ feature, position }, null, null, tree, INFERENCE);
    expectGolden(
      y,
      golden,
      { y: "decouple.out_self", cotangent: "decouple.cot" },
      new Map<Tensor | Variable, string>([
        [feature, "decouple.grad_self.query"],
        [position, "decouple.grad_self.query_pos"],
      ]),
      variables,
    );
  });

  it("crossAttention, mask as intended", () => {
    if (!golden) return;
    const graph = new Graph();
    const block = crossAttention(32, 4);
    const at = (name: string) => constant(graph, golden, `decouple.${name}`);
    const [query, key] = [
      { feature: at("query"), position: at("query_pos") },
      { feature: at("key"), position: at("key_pos") },
    ];
    graph.output("free", block(query, key, null, INFERENCE));
    graph.output("masked", block(query, key, constant(graph, golden, "flash.key_padding_mask"), INFERENCE));
    const { outputs } = interpret(graph, { variables: variableValues(block, golden, "flash.weights.") });
    expectClose(outputs.get("free"), golden.get("flash.no_mask").numbers(), 1e-5, "no mask");
    expectClose(outputs.get("masked"), golden.get("flash.true_is_ignore").numbers(), 1e-5, "masked");
  });
});

describe.skipIf(!golden)("feed-forward and transformer against the published ones", () => {
  it("asymmetricFfn, forward and backward", () => {
    if (!golden) return;
    const graph = new Graph();
    const block = asymmetricFfn(32, 64);
    const x = constant(graph, golden, "ffn.x");
    const grads = new Map<Tensor | Variable, string>([[x, "ffn.grad.x"]]);
    for (const [name, variable] of variablesOf(block)) grads.set(variable, `ffn.grad.${name}`);
    expectGolden(block(x, INFERENCE), golden, { y: "ffn.y", cotangent: "ffn.cot" }, grads, variableValues(block, golden, "ffn.weights."));
  });

  it("transformerEncoder, forward and backward; onlyFirst gives the first token", () => {
    if (!golden) return;
    const graph = new Graph();
    const encoder = transformerEncoder(32, 8, 2);
    const source = constant(graph, golden, "transformer.src");
    const mask = constant(graph, golden, "transformer.padding_mask");
    const variables = variableValues({ encoder }, golden, "transformer.weights.");
    const grads = new Map<Tensor | Variable, string>([[source, "transformer.grad.src"]]);
    for (const [name, variable] of variablesOf({ encoder })) grads.set(variable, `transformer.grad.${name}`);
    const all = encoder(source, mask, INFERENCE);
    expectGolden(all, golden, { y: "transformer.y", cotangent: "transformer.cot" }, grads, variables);
    const first = encoder(source, mask, INFERENCE, { onlyFirst: true });
    const result = interpret(graph, { variables }, [first]);
    expect(first.shape).toEqual([3, 1, 32]);
    const rows = golden.get("transformer.y").numbers();
    expectClose(result.valueOf(first).subarray(0, 32), rows.subarray(0, 32), 1e-5, "first token");
  });
});
