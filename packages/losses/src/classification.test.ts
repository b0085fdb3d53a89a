import { gradients, Graph, interpret, mul, reshape, sigmoidFocalLoss, type Tensor } from "@distilldrive/tensor";
import { readNpz } from "@distilldrive/testkit";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { softLabelLoss } from "./classification.js";
import { F32_EPSILON, maskedL1, meanSquaredError } from "./regression.js";

const archive = (name: string) => readNpz(fileURLToPath(new URL(`../test-data/${name}.npz`, import.meta.url)));

/** Value and gradient of a loss of the golden `pred`, times its weight, against the golden ones. */
function expectGolden(golden: ReturnType<typeof archive>, name: string, loss: (prediction: Tensor) => Tensor): void {
  const graph = new Graph();
  const prediction = graph.input("pred", golden.get(`${name}.pred`).shape);
  const weight = golden.has(`${name}.loss_weight`) ? (golden.get(`${name}.loss_weight`).numbers()[0] ?? 1) : 1;
  const value = mul(loss(prediction), weight);
  graph.output("loss", value);
  const [gradient] = gradients(value, [prediction]);
  if (gradient) graph.output("gradient", gradient);
  const { outputs } = interpret(graph, { inputs: { pred: golden.get(`${name}.pred`).numbers() } });
  const expected = golden.get(`${name}.loss`).numbers()[0] ?? Number.NaN;
  expect(Math.abs((outputs.get("loss")?.[0] ?? Number.NaN) - expected), `${name} loss`).toBeLessThanOrEqual(2e-6 * Math.max(1, Math.abs(expected)));
  const slopes = golden.get(`${name}.grad.pred`).numbers();
  const largest = slopes.reduce((most, slope) => Math.max(most, Math.abs(slope)), 1e-9);
  slopes.forEach((slope, i) => expect(Math.abs((outputs.get("gradient")?.[i] ?? Number.NaN) - slope), `${name} gradient ${i}`).toBeLessThan(1e-5 * largest));
}

describe("softLabelLoss against the published KL loss", () => {
  const golden = archive("unit_klloss");
  for (const name of golden.names.filter((key) => key.endsWith(".pred") && !key.includes("grad")).map((key) => key.slice(0, -5))) {
    it(name, () => {
      const numbers = (key: string): Float64Array => golden.get(`${name}.${key}`).numbers();
      const { shape } = golden.get(`${name}.target`);
      expectGolden(golden, name, (prediction) => {
        const { graph } = prediction;
        return softLabelLoss(prediction, graph.constant(numbers("target"), shape), graph.constant(numbers("weight"), shape.slice(0, 1)));
      });
    });
  }
});

describe("sigmoidFocalLoss against the published one", () => {
  const golden = archive("unit_focal");
  for (const name of ["case0_avg", "case0_mean", "case1_avg", "case2_avg", "case2_mean"]) {
    it(name, () => {
      const [rows = 0] = golden.get(`${name}.pred`).shape;
      expectGolden(golden, name, (prediction) => {
        const { graph } = prediction;
        const weight = graph.constant(golden.get(`${name}.weight`).numbers(), [rows]);
        const labels = graph.constant(golden.get(`${name}.target`).numbers(), [rows], "i32");
        return sigmoidFocalLoss(prediction, labels, name.endsWith("avg") ? { weight, divisor: 5 + F32_EPSILON } : { weight });
      });
    });
  }

  it("stays finite for extreme logits", () => {
    const graph = new Graph();
    graph.output("loss", sigmoidFocalLoss(graph.constant([80, -80, 0], [1, 3]), graph.constant([1], [1], "i32"), { weight: graph.constant([1, 1, 0], [1, 3]), divisor: 1 }));
    expect(interpret(graph).outputs.get("loss")?.[0]).toBeCloseTo(80, 6);
  });
});

describe("regression losses against the published ones", () => {
  const golden = archive("unit_focal");
  it("maskedL1 divided by all elements", () => {
    const { shape } = golden.get("l1_mean.pred");
    const rows = golden.get("l1_mean.pred").numbers().length / 2;
    const weight = golden.get("l1_mean.weight").numbers();
    const perRow = Float64Array.from({ length: rows }, (_, i) => weight[Math.floor((i * weight.length) / rows)] ?? 0);
    expectGolden(golden, "l1_mean", (prediction) => {
      const { graph } = prediction;
      const target = graph.constant(golden.get("l1_mean.target").numbers(), shape);
      return maskedL1(reshape(prediction, [rows, 1, 2]), reshape(target, [rows, 1, 2]), graph.constant(perRow, [rows, 1]), "all");
    });
  });

  it("maskedL1 divided by what is known ignores the rest", () => {
    const graph = new Graph();
    const prediction = graph.constant([1, 2, 3, 4, 5, 6], [1, 3, 2]);
    const target = graph.constant([0, 0, 3, 5, 900, -900], [1, 3, 2]);
    graph.output("some", maskedL1(prediction, target, graph.constant([1, 1, 0], [1, 3])));
    graph.output("none", maskedL1(prediction, target, graph.constant([0, 0, 0], [1, 3])));
    const { outputs } = interpret(graph);
    expect(outputs.get("some")?.[0]).toBe(1);
    expect(outputs.get("none")?.[0]).toBe(0);
  });

  it("meanSquaredError", () => {
    const graph = new Graph();
    graph.output("loss", meanSquaredError(graph.constant([1, 2, 3], [3]), graph.constant([1, 0, 6], [3])));
    expect(interpret(graph).outputs.get("loss")?.[0]).toBeCloseTo(13 / 3, 12);
  });
});
