import { Graph, interpret } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { traceProblem } from "../libraries/distilldrive.js";
import { maxRelativeError } from "../measure.js";
import { definitionOf, referenceOf, valuesOf, workOf } from "./index.js";
import type { Problem } from "./problem.js";

const problems: readonly Problem[] = [
  ...(["NN", "NT", "TN"] as const).map((form) => ({ op: "matmul", form, m: 5, n: 7, k: 3 }) as const),
  { op: "attention", batch: 2, queries: 5, keys: 3, heads: 2, dim: 4 },
  { op: "attention", batch: 3, queries: 1, keys: 4, heads: 1, dim: 3 },
  { op: "conv1d", batch: 2, channels: 3, length: 6, outChannels: 4, kernel: 1 },
  { op: "conv1d", batch: 2, channels: 3, length: 6, outChannels: 4, kernel: 3 },
  { op: "conv2d", batch: 2, channels: 3, height: 4, width: 5, outChannels: 2, kernel: 3 },
  ...(["softmax", "layerNorm", "klDivergence", "chain"] as const).map((op) => ({ op, rows: 4, width: 6 }) as const),
];

describe("the references of bench agree with the tensor core's own, which were written separately", () => {
  it.each(problems.map((problem) => [JSON.stringify(problem), problem] as const))("%s", (_, problem) => {
    const definition = definitionOf(problem);
    const values = valuesOf(definition);
    const graph = new Graph();
    const { variables, names } = traceProblem(graph, problem, "forward+backward", values);
    const given = new Map([...variables].map(([name, variable]) => [variable, values[name] ?? []]));
    const { outputs } = interpret(graph, { variables: given });
    const got = Object.fromEntries(names.map((name) => [name, Float32Array.from(outputs.get(name) ?? [])]));
    const reference = referenceOf(definition, "forward+backward", values);
    expect(Object.keys(reference).sort()).toEqual([...names].sort());
    expect(maxRelativeError(got, reference)).toBeLessThan(1e-6);
  });
});

describe("values and work", () => {
  it("are the same every time, and probabilities sum to one", () => {
    const definition = definitionOf({ op: "klDivergence", rows: 3, width: 5 });
    const values = valuesOf(definition);
    expect(valuesOf(definition)).toEqual(values);
    for (let row = 0; row < 3; row++) expect(values["target"]?.slice(row * 5, row * 5 + 5).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
  });

  it("count a matmul's products and its matrices once", () => {
    const definition = definitionOf({ op: "matmul", form: "NN", m: 2, n: 3, k: 4 });
    expect(workOf(definition, "forward")).toEqual({ flops: 48, bytes: 4 * (8 + 12 + 6) });
    expect(workOf(definition, "forward+backward")).toEqual({ flops: 144, bytes: 4 * (26 + 6 + 20 + 20) });
  });
});
