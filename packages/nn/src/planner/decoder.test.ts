import { Graph, interpret, variablesOf } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { expectClose, variableValues } from "../golden.fixture.js";
import { decoupledKeys } from "../layers/attention.js";
import { projection } from "../layers/linear.js";
import { decoderLayers, type DecoderOperation, PUBLISHED_DECODER } from "./decoder.js";

const SIZES = { channels: 8, heads: 2, feedForwardChannels: 16, groups: 1 } as const;

/** Decodes 3 instances of 2 samples; the dropout key, if any, is an input. */
function decode(operations: readonly DecoderOperation[], rate = 0, key: readonly number[] = [1, 2, 3, 4]): Float64Array {
  const graph = new Graph();
  const tree = { decoder: decoderLayers({ ...SIZES, operations }), fc_before: projection(8, 16), fc_after: projection(16, 8) };
  const values = (seed: number, shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return graph.constant(Float64Array.from({ length: size }, (_, i) => Math.sin(seed + i * 1.7)), shape);
  };
  const memory = decoupledKeys({ feature: values(1, [6, 2, 8]), position: values(2, [6, 2, 8]) }, tree);
  const groups = tree.decoder.decode(
    { feature: values(3, [2, 3, 8]), position: values(4, [2, 3, 8]) },
    {
      memory,
      memoryPadding: graph.constant([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [6, 2]),
      instancePadding: graph.constant([0, 0, 1, 0, 0, 0], [2, 3]),
      map: { feature: values(5, [2, 4, 8]), position: values(6, [2, 4, 8]) },
      mapPadding: null,
    },
    tree,
    { training: rate > 0, dropout: rate > 0 ? { rate, key: graph.input("key", [4], "u32") } : null },
  );
  const last = groups.at(-1);
  if (last) graph.output("last", last);
  return interpret(graph, { inputs: { key }, variables: variableValues(tree) }).outputs.get("last") ?? new Float64Array(0);
}

describe("decoderLayers", () => {
  it("numbers its layers like the published list of operations", () => {
    const { layers } = decoderLayers({ ...SIZES, operations: PUBLISHED_DECODER, groups: 2 });
    const names = [...variablesOf({ layers }).keys()];
    expect(layers).toHaveLength(14);
    for (const name of ["layers.0.attn.in_proj_weight", "layers.3.attn.out_proj.bias", "layers.5.layers.0.0.weight", "layers.13.weight"]) expect(names).toContain(name);
  });

  it.each(["temporal", "agent", "map", "ffn"] as const)("is composed of its operations: %s changes the result", (operation) => {
    const without = PUBLISHED_DECODER.filter((other) => other !== operation);
    expect(() => expectClose(decode(without), decode(PUBLISHED_DECODER), 1e-3, operation)).toThrow();
  });

  it("refuses to decode with nothing", () => {
    expect(() => decoderLayers({ ...SIZES, operations: [] })).toThrow(/at least one operation/);
  });

  it("drops out by key: same key, same result", () => {
    const once = decode(PUBLISHED_DECODER, 0.3, [1, 2, 3, 4]);
    expect([...decode(PUBLISHED_DECODER, 0.3, [1, 2, 3, 4])]).toEqual([...once]);
    expect(() => expectClose(decode(PUBLISHED_DECODER, 0.3, [1, 2, 3, 5]), once, 1e-3, "another key")).toThrow();
    expect(() => expectClose(decode(PUBLISHED_DECODER), once, 1e-3, "no dropout")).toThrow();
  });
});
