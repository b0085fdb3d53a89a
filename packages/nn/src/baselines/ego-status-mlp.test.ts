import { abs, gradients, Graph, interpret, mean, parametersOf, sub, type Variable } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { variableValues } from "../golden.fixture.js";
import { egoStatusMlp } from "./ego-status-mlp.js";

describe("egoStatusMlp", () => {
  it("learns to keep the speed", () => {
    const model = egoStatusMlp({ hidden: 16 });
    const graph = new Graph();
    const speeds = [0, 2, 4, 6, 8, 10, 12, 3];
    const status = graph.constant(speeds.flatMap((speed) => [0, 0, 0, 0, 0, 0, speed, 0, 0, 0]), [8, 10]);
    const past = graph.constant(speeds.flatMap((speed) => [0, 1, 2, 3].flatMap(() => [0, speed / 2])), [8, 4, 2]);
    const pastMask = graph.constant(new Float32Array(32).fill(1), [8, 4]);
    const plan = model({ status, past, pastMask }, graph.constant([2, 2, 2, 2, 0, 1, 2, 2], [8], "i32"));
    expect(plan.shape).toEqual([8, 6, 2]);
    const target = graph.constant(speeds.flatMap((speed) => [1, 2, 3, 4, 5, 6].flatMap(() => [0, speed / 2])), [8, 6, 2]);
    const loss = mean(abs(sub(plan, target)));
    graph.output("loss", loss);
    const parameters = [...parametersOf(model).values()];
    gradients(loss, parameters).forEach((gradient, i) => graph.output(`gradient ${i}`, gradient));
    let variables: Map<Variable, ArrayLike<number>> = variableValues(model);
    const losses = Array.from({ length: 150 }, () => {
      const { outputs } = interpret(graph, { variables });
      variables = new Map(
        parameters.map((variable, i) => [
          variable,
          Array.from(variables.get(variable) ?? [], (value, k) => value - 0.1 * (outputs.get(`gradient ${i}`)?.[k] ?? 0)),
        ]),
      );
      return outputs.get("loss")?.[0] ?? Number.NaN;
    });
    expect(losses.at(-1)).toBeLessThan(0.35 * (losses[0] ?? 0));
  });
});
