import { Graph, interpret, reshape, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { constant, expectClose, expectGolden, goldenArchive, variableValues } from "../golden.fixture.js";
import { sinusoidTable } from "../layers/positional-encoding.js";
import { INFERENCE } from "../layers/block.js";
import { anchorFromBox, moveAnchors } from "./anchor.js";
import { anchorEncoder } from "./anchor-encoder.js";
import { agentEncoder } from "./agent-encoder.js";
import { egoMotionEncoder } from "./ego-motion-encoder.js";
import { mapEncoder } from "./map-encoder.js";
import { pointsEncoder } from "./points-encoder.js";

const points = goldenArchive("unit_points.npz");
const anchors = goldenArchive("unit_anchor.npz");
const sine = goldenArchive("unit_sine.npz");

describe.skipIf(!points)("pointsEncoder against the published one", () => {
  for (const [mode, training] of [
    ["eval", false],
    ["train", true],
  ] as const) {
    it(`${mode}: outputs, gradients and running statistics`, () => {
      if (!points) return;
      const graph = new Graph();
      const encoder = pointsEncoder(6, 256);
      const x = reshape(constant(graph, points, "x"), [1, 9, 19, 6]);
      const y = reshape(encoder(x, reshape(constant(graph, points, "mask"), [1, 9, 19]), { training, dropout: null }), [9, 256]);
      const grads = new Map<Tensor | Variable, string>([[x, `${mode}.grad.x`]]);
      // Biases in front of a norm over the batch have no gradient; what the published run gives there is rounding.
      const noise = training ? /^(first_mlp\.[03]|second_mlp\.0)\.bias$/ : /^$/;
      for (const [name, variable] of variablesOf(encoder)) {
        if (variable.role === "parameter" && !noise.test(name)) grads.set(variable, `${mode}.grad.${name}`);
      }
      const assigned = expectGolden(y, points, { y: `${mode}.y`, cotangent: "cot" }, grads, variableValues(encoder, points, "weights."));
      expect(assigned.size).toBe(training ? 4 : 0);
      for (const [name, variable] of variablesOf(encoder)) {
        const value = assigned.get(variable);
        if (value) expectClose(value, points.get(`train.running_after.${name}`).numbers(), 1e-5, name);
      }
    });
  }
});

describe.skipIf(!anchors)("anchors against the published ones", () => {
  it("moveAnchors", () => {
    if (!anchors) return;
    const graph = new Graph();
    graph.output("moved", moveAnchors(anchorFromBox(constant(graph, anchors, "anchor9")), constant(graph, anchors, "T_src2dst")));
    graph.output("expected", anchorFromBox(constant(graph, anchors, "anchor9_proj")));
    const { outputs } = interpret(graph);
    expectClose(outputs.get("moved"), outputs.get("expected") ?? [], 1e-6, "anchors");
  });

  it("anchorEncoder", () => {
    if (!anchors) return;
    const graph = new Graph();
    const encoder = anchorEncoder(64);
    graph.output("y", encoder(anchorFromBox(constant(graph, anchors, "anchor9"))));
    const { outputs } = interpret(graph, { variables: variableValues(encoder, anchors, "light9.weights.") });
    expectClose(outputs.get("y"), anchors.get("light9.y").numbers(), 1e-5, "embedding");
  });
});

describe("scene encoders", () => {
  it("sinusoidTable is the published table", () => {
    if (sine) expectClose(sinusoidTable(12, 64), sine.get("posenc_64_12.pe").numbers(), 1e-6, "table");
    expect([...sinusoidTable(2, 4)].map((value) => Number(value.toFixed(6)))).toEqual([0, 1, 0, 1, 0.841471, 0.540302, 0.01, 0.99995]);
  });

  it("agentEncoder ignores what lies behind the mask", () => {
    const encoder = agentEncoder({ channels: 16, heads: 2, layers: 2, steps: 4 });
    const run = (garbage: number): ArrayLike<number> => {
      const graph = new Graph();
      const displacement = graph.constant([1, 2, 1, 2, garbage, garbage, 0.5, 1, garbage, 3, 7, garbage, garbage, 1, 1, garbage], [1, 2, 4, 2]);
      const mask = graph.constant([1, 1, 0, 1, 0, 0, 0, 0], [1, 2, 4]);
      const box = graph.constant(Array.from({ length: 18 }, (_, i) => (i < 9 ? i : garbage)), [1, 2, 9]);
      const { feature, position, padding } = encoder({ displacement, mask, box }, null, INFERENCE);
      graph.output("feature", feature);
      graph.output("position", position);
      graph.output("padding", padding);
      const { outputs } = interpret(graph, { variables: variableValues(encoder) });
      expect([...(outputs.get("padding") ?? [])]).toEqual([0, 1]);
      return [...(outputs.get("feature") ?? []), ...(outputs.get("position") ?? [])];
    };
    expectClose(run(100), run(-3), 1e-12, "features");
  });

  it("mapEncoder moves with its line only in the position", () => {
    const encoder = mapEncoder({ channels: 16, classes: 3 });
    const run = (shift: number): { feature: ArrayLike<number>; position: ArrayLike<number> } => {
      const graph = new Graph();
      const line = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? Math.sin(i / 9) : i / 2) + shift);
      const lines = { points: graph.constant(line, [1, 1, 20, 2]), label: graph.constant([1], [1, 1], "i32"), mask: graph.constant([1], [1, 1]) };
      const { feature, position } = encoder(lines, INFERENCE);
      graph.output("feature", feature);
      graph.output("position", position);
      const { outputs } = interpret(graph, { variables: variableValues(encoder) });
      return { feature: outputs.get("feature") ?? [], position: outputs.get("position") ?? [] };
    };
    const [here, there] = [run(0), run(3.3)];
    expectClose(there.feature, here.feature, 1e-6, "feature");
    expect(() => expectClose(there.position, here.position, 1e-2, "position")).toThrow();
  });

  it("egoMotionEncoder refuses anchors of another vocabulary", () => {
    expect(() => egoMotionEncoder(16, { commands: 3, modes: 6, steps: 6 }, new Float32Array(100))).toThrow(/expected 3 x 6 x 6 x 2 numbers, got 100/);
  });
});
