import { Graph, gradients, interpret, sum, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import type { EgoState } from "../encoders/ego-status-encoder.js";
import { expectClose, variableValues } from "../golden.fixture.js";
import { constantTurnRate } from "./constant-turn-rate.js";
import { fadingMotion } from "./fading-motion.js";
import { planReference, type PlanReferenceKind } from "./plan-reference.js";

const [lanes, commands, steps, pastSteps] = [2, 3, 6, 4];
const STATUS = [0.5, 0, 9.8, 0, 0, 0.2, 8, 0.1, 0, 0.05, -1, 0, 9.8, 0, 0, -0.4, 3, 0, 0, -0.1];
const PAST = Array.from({ length: lanes * pastSteps * 2 }, (_, i) => (i % 2 === 0 ? 0.1 * i : 3 + 0.05 * i));

function egoOf(graph: Graph): EgoState {
  return { status: graph.constant(STATUS, [lanes, 10]), past: graph.constant(PAST, [lanes, pastSteps, 2]), pastMask: graph.constant([0, 1, 1, 1, 1, 1, 1, 1], [lanes, pastSteps]) };
}

function trace(kind: PlanReferenceKind): { graph: Graph; path: Tensor | null; reference: ReturnType<typeof planReference> } {
  const graph = new Graph();
  const reference = planReference({ kind, commands, steps, pastSteps });
  return { graph, reference, path: reference(egoOf(graph)) };
}

/** A roll-out once per command. */
function rollOut(of: (graph: Graph) => Tensor): number[] {
  const graph = new Graph();
  graph.output("path", of(graph));
  const path = [...(interpret(graph).outputs.get("path") ?? [])];
  return Array.from({ length: lanes }, (_, lane) => Array.from({ length: commands }, () => path.slice(12 * lane, 12 * lane + 12)).flat()).flat();
}

describe("planReference", () => {
  it("none: no path and nothing to learn", () => {
    const { path, reference } = trace("none");
    expect(path).toBeNull();
    expect(variablesOf(reference).size).toBe(0);
  });

  it("constantTurnRate: the same roll-out for every command, nothing to learn", () => {
    const { graph, path, reference } = trace("constantTurnRate");
    expect(path?.shape).toEqual([lanes, commands, steps, 2]);
    if (path) graph.output("path", path);
    const turning = rollOut((own) => constantTurnRate(own.constant([8, 3], [2]), own.constant([0.2, -0.4], [2]), { steps }));
    expectClose(interpret(graph).outputs.get("path"), turning, 1e-6, "path");
    expect(variablesOf(reference).size).toBe(0);
  });

  it("egoMotion: roll-out plus an MLP of the ego state and the command, by plain loops", () => {
    const { graph, path, reference } = trace("egoMotion");
    if (!path) throw new Error("a learned reference has a path");
    graph.output("path", path);
    const variables = variableValues(reference);
    const layers = [...variablesOf(reference).values()];
    const scales = [3, 3, 3, 0.3, 0.3, 0.3, 10, 10, 10, 0.3];
    const expected = rollOut((own) => fadingMotion(egoOf(own), { steps }));
    for (let lane = 0; lane < lanes; lane++) {
      const mask = lane === 0 ? [0, 1, 1, 1] : [1, 1, 1, 1];
      const state = [
        ...scales.map((scale, i) => (STATUS[10 * lane + i] ?? 0) / scale),
        ...Array.from({ length: 8 }, (_, i) => ((PAST[8 * lane + i] ?? 0) * (mask[i >> 1] ?? 0)) / 5),
        ...mask,
      ];
      for (let command = 0; command < commands; command++) {
        let row = [...state, ...Array.from({ length: commands }, (_, other) => Number(other === command))];
        for (let layer = 0; layer < 3; layer++) {
          const next = dense(row, layers[2 * layer], layers[2 * layer + 1], variables);
          row = layer < 2 ? next.map((value) => Math.max(value, 0)) : next;
        }
        row.forEach((value, i) => {
          const at = (lane * commands + command) * 12 + i;
          expected[at] = (expected[at] ?? 0) + value;
        });
      }
    }
    expectClose(interpret(graph, { variables }).outputs.get("path"), expected, 1e-6, "path");
  });

  it("egoMotion: starts near the roll-out, and every layer learns", () => {
    const { graph, path, reference } = trace("egoMotion");
    if (!path) throw new Error("a learned reference has a path");
    graph.output("path", path);
    const named = [...variablesOf(reference)];
    gradients(sum(path), named.map(([, variable]) => variable)).forEach((gradient, i) => {
      graph.output(`d ${named[i]?.[0] ?? ""}`, gradient);
    });
    const { outputs } = interpret(graph, { variables: variableValues(reference) });
    const start = rollOut((own) => fadingMotion(egoOf(own), { steps }));
    outputs.get("path")?.forEach((value, i) => {
      expect(Math.abs(value - (start[i] ?? 0))).toBeLessThan(0.3);
    });
    expect(named).toHaveLength(6);
    for (const [name] of named) expect(outputs.get(`d ${name}`)?.some((slope) => slope !== 0), name).toBe(true);
  });
});

/** weight [out, in] times a row, plus bias. */
function dense(row: readonly number[], weight: Variable | undefined, bias: Variable | undefined, variables: ReadonlyMap<Variable, ArrayLike<number>>): number[] {
  const values = (variable: Variable | undefined): ArrayLike<number> => (variable && variables.get(variable)) ?? [];
  expect(weight?.shape[1]).toBe(row.length);
  return Array.from(values(bias), (start, out) => row.reduce((total, x, i) => total + x * (values(weight)[out * row.length + i] ?? 0), start));
}
