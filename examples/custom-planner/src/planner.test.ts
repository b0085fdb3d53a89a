import { INFERENCE } from "@distilldrive/nn";
import { Graph, initialValues, interpret, parametersOf, sizeOf, type Tensor, variablesOf } from "@distilldrive/tensor";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { modeQueryPlanner } from "./planner.js";
import { run } from "./run.js";

const CONFIG = { channels: 16, heads: 2, layers: 1 };
const ANCHORS = Float32Array.from({ length: 3 * 6 * 6 * 2 }, (_, i) => Math.sin(i) * (i % 12));

/** Plans of two samples; `change` alters an input by its name. */
function plan(change: Readonly<Record<string, (value: number) => number>> = {}): Float64Array {
  const graph = new Graph();
  const inputs: Record<string, number[]> = {};
  const input = (name: string, shape: number[], value: (i: number) => number, type: "f32" | "i32" = "f32"): Tensor => {
    inputs[name] = Array.from({ length: sizeOf(shape) }, (_, i) => (change[name] ?? ((x) => x))(value(i)));
    return graph.input(name, shape, type);
  };
  const wave = (i: number): number => Math.sin(1 + 2.3 * i) * 3;
  // The second of three agents and of two lines is padding.
  const planner = modeQueryPlanner(CONFIG, ANCHORS);
  const { logits, deltas, status } = planner(
    {
      agents: { displacement: input("past", [2, 3, 4, 2], wave), stepMask: input("stepMask", [2, 3, 4], () => 1), box: input("box", [2, 3, 9], wave), mask: input("agentMask", [2, 3], (i) => (i % 3 === 1 ? 0 : 1)) },
      map: { points: input("points", [2, 2, 20, 2], wave), label: input("label", [2, 2], (i) => i % 3, "i32"), mask: input("lineMask", [2, 2], (i) => 1 - (i % 2)) },
      ego: { status: input("status", [2, 10], wave), past: input("egoPast", [2, 4, 2], wave), pastMask: input("egoMask", [2, 4], () => 1) },
    },
    INFERENCE,
  );
  expect([logits.shape, deltas.shape, status.shape]).toEqual([[2, 18], [2, 18, 6, 2], [2, 18, 10]]);
  graph.output("logits", logits);
  const variables = new Map([...variablesOf(planner)].map(([name, variable]) => [variable, initialValues(variable.init, sizeOf(variable.shape), 3, name)]));
  expect(parametersOf(planner).size).toBeGreaterThan(50);
  return interpret(graph, { inputs, variables }).outputs.get("logits") ?? new Float64Array(0);
}

describe("a planner of one's own", () => {
  it.each(["past", "box", "points", "label", "status", "egoPast", "agentMask", "lineMask"])("sees %s", (name) => {
    const changed = plan({ [name]: (value) => (name === "label" ? (value + 1) % 3 : name.endsWith("Mask") ? 1 : 1.5 * value + 0.5) });
    expect(Math.max(...plan().map((logit, i) => Math.abs(logit - (changed[i] ?? NaN))))).toBeGreaterThan(1e-7);
  });

  it("learns on the synthetic town and is scored on scenes it has not seen [gpu]", async () => {
    const { losses, scores } = await run({ config: CONFIG, scenes: 4, steps: 80, learningRate: 3e-3 });
    expect(losses).toHaveLength(80);
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(losses.slice(-5))).toBeLessThan(0.85 * mean(losses.slice(0, 5)));
    const [simple, own] = [scores["constant velocity"], scores["mode queries"]];
    expect([own?.samples, (own?.samples ?? 0) > 30]).toEqual([simple?.samples, true]);
    expect(own?.cumulative.l2.average).toBeLessThan(5);
  });

  it("is what its README shows", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const source = await readFile(new URL("planner.ts", import.meta.url), "utf8");
    const shown = /```ts no-run\n([\s\S]*?)```/.exec(readme)?.[1]?.trim().split("\n") ?? [];
    expect(shown.length).toBeGreaterThan(5);
    for (const line of shown) expect(source).toContain(line.trim());
  });
});
