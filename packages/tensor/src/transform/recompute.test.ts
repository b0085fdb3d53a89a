import { portableTarget } from "@distilldrive/kernels";
import { compare, exact } from "@distilldrive/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../autodiff.js";
import { Graph, type Tensor } from "../graph.js";
import { layerNorm } from "../ops/layer-norm.js";
import { matmul } from "../ops/matmul.js";
import { mean } from "../ops/reduce.js";
import { square } from "../ops/elementwise.js";
import { type Device, openDevice } from "../run/device.js";
import { planProgram } from "../run/plan.js";
import { compile } from "../run/program.js";
import { createStore } from "../run/store.js";
import { benchmarkBlock, blockInputs, blockStep } from "../testing/block.js";
import { optimize } from "./optimize.js";

describe("recomputation", () => {
  test("lowers the peak of the benchmark's block, for little work", () => {
    const { graph } = blockStep(benchmarkBlock);
    const kept = planProgram(graph, portableTarget, { recomputeAbove: Infinity });
    const recomputed = planProgram(graph, portableTarget, { recomputeAbove: 0 });
    expect(recomputed.peakBytes).toBeLessThan(0.9 * kept.peakBytes);
    expect(recomputed.flops).toBeLessThan(1.01 * kept.flops);
    expect(recomputed.peakBytes).toBeLessThanOrEqual(1.15 * recomputed.lowerBoundBytes);
    // Far below the default limit nothing is recomputed.
    expect(planProgram(graph, portableTarget).launches.length).toBe(kept.launches.length);
  });

  test("leaves results that are read from outside, and what it cannot make from what is alive", () => {
    const chain = (keepFirst: boolean): { graph: Graph; norms: () => number } => {
      const graph = new Graph();
      const [w, g, b] = [graph.input("w", [16, 16]), graph.input("g", [16]), graph.input("b", [16])];
      let x: Tensor = graph.input("x", [64, 16]);
      for (let i = 0; i < 3; i++) {
        x = layerNorm(x, g, b);
        if (keepFirst) graph.output(`norm ${i}`, x);
        x = matmul(x, w);
      }
      const loss = mean(square(x));
      graph.output("loss", loss);
      gradients(loss, [w]).forEach((gradient) => {
        graph.output("dw", gradient);
      });
      const norms = (): number => optimize(graph, { keep: [], assign: true, transform: true, recomputations: 1 }).graph.nodes.filter(({ op }) => op?.name === "layerNorm").length;
      return { graph, norms };
    };
    expect(chain(false).norms()).toBeGreaterThan(3);
    expect(chain(true).norms()).toBe(3);
  });
});

describe("recomputation [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("gives the same bits", async () => {
    const sizes = { batch: 2, tokens: 24, width: 16, heads: 2, hidden: 32 };
    const states = [];
    for (const recomputeAbove of [0, Infinity]) {
      const { graph, variables } = blockStep(sizes);
      const store = createStore(device, variables, { seed: 1 });
      const program = await compile(device, graph, { store, recomputeAbove });
      for (let step = 0; step < 3; step++) program.run(blockInputs(sizes, step));
      states.push({ values: await store.snapshot(), loss: await program.read("loss"), launches: program.plan.launches.length });
      program.destroy();
      store.destroy();
    }
    const [recomputed, kept] = states;
    expect(recomputed?.launches).toBeGreaterThan(kept?.launches ?? 0);
    compare(recomputed?.loss ?? [], Float64Array.from(kept?.loss ?? []), exact, { op: "loss" });
    for (const [name, { data }] of recomputed?.values ?? []) compare(data, Float64Array.from(kept?.values.get(name)?.data ?? []), exact, { op: name });
  });
});
