import { gradients, Graph, mean, planProgram, portableTarget, slice, square, type Plan, type Tensor, parametersOf } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { INFERENCE } from "../layers/block.js";
import { transformerEncoder } from "../layers/transformer-encoder.js";
import { agentEncoder } from "./agent-encoder.js";

const [LANES, AGENTS, STEPS, CHANNELS] = [2, 5, 12, 32];

/** The plan of a training step (forward and backward) for a tensor. */
function planOf(build: (graph: Graph) => { readonly model: unknown; readonly result: Tensor }): Plan {
  const graph = new Graph();
  const { model, result } = build(graph);
  const loss = mean(square(result));
  graph.output("loss", loss);
  const parameters = [...parametersOf(model)];
  gradients(loss, parameters.map(([, variable]) => variable)).forEach((gradient, i) => {
    graph.output(`gradient ${parameters[i]?.[0] ?? ""}`, gradient);
  });
  return planProgram(graph, portableTarget);
}

/** Queries per agent of every attention of a plan: elements of the given binding per agent and channel. */
function queriesOf(plan: Plan, label: string, binding: string): number[] {
  return plan.launches.filter((launch) => launch.label === label).flatMap(({ kernel }) =>
    kernel.bindings.filter(({ name }) => name === binding).map(({ length }) => length / (LANES * AGENTS * CHANNELS)));
}

describe("the agent encoder", () => {
  it("computes one query per agent in its last layer, forward and backward", () => {
    const plan = planOf((graph) => {
      const model = agentEncoder({ channels: CHANNELS, heads: 4, layers: 2, steps: STEPS });
      const tracks = { displacement: graph.input("displacement", [LANES, AGENTS, STEPS, 2]), mask: graph.input("mask", [LANES, AGENTS, STEPS]), box: graph.input("box", [LANES, AGENTS, 9]) };
      return { model, result: model(tracks, null, INFERENCE).feature };
    });
    expect(queriesOf(plan, "attention", "out")).toEqual([STEPS, 1]);
    expect(new Set(queriesOf(plan, "attentionBackward", "dout"))).toEqual(new Set([STEPS, 1]));
  });

  it("needs no help for that: reading token 0 of a whole transformer costs the same", () => {
    const encode = (read: (tokens: Tensor, encoder: ReturnType<typeof transformerEncoder>) => Tensor): Plan =>
      planOf((graph) => {
        const model = transformerEncoder(CHANNELS, 4, 2);
        return { model, result: read(graph.input("tokens", [LANES * AGENTS, STEPS, CHANNELS]), model) };
      });
    const explicit = encode((tokens, encoder) => encoder(tokens, null, INFERENCE, { onlyFirst: true }));
    const pushed = encode((tokens, encoder) => slice(encoder(tokens, null, INFERENCE), 1, 0, 1));
    const whole = encode((tokens, encoder) => encoder(tokens, null, INFERENCE));
    expect(queriesOf(pushed, "attention", "out")).toEqual([STEPS, 1]);
    expect(new Set(queriesOf(pushed, "attentionBackward", "dout"))).toEqual(new Set([STEPS, 1]));
    expect(pushed.flops).toBeLessThan(1.01 * explicit.flops);
    expect(whole.flops).toBeGreaterThan(1.4 * pushed.flops);
  });
});
