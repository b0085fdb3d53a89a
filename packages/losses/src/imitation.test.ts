import { gradients, Graph, interpret, type Tensor } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { distillation } from "./distillation.js";
import { imitation, type ImitationWeights } from "./imitation.js";

const B = 3;
const N = 2;
const value = (seed: number) => (i: number): number => Math.sin(seed * 12.9 + i * 4.1) * 2;
const numbers = (seed: number, length: number): number[] => Array.from({ length }, (_, i) => value(seed)(i));

const data = {
  logits: numbers(1, B * 18),
  deltas: numbers(2, B * 18 * 12),
  status: numbers(3, B * 18 * 10),
  motionLogits: numbers(4, B * N * 6),
  motionDeltas: numbers(5, B * N * 6 * 24),
  command: [2, 0, 1],
  egoFuture: numbers(6, B * 12),
  egoFutureMask: [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  egoStatus: numbers(7, B * 10),
  future: numbers(8, B * N * 24),
  futureMask: Array.from({ length: B * N * 12 }, (_, i) => (Math.floor(i / 12) === 1 || i % 12 > 8 ? 0 : 1)),
};

function trace(weights: ImitationWeights): { graph: Graph; total: Tensor; terms: Readonly<Record<string, Tensor>>; deltas: Tensor } {
  const graph = new Graph();
  const deltas = graph.constant(data.deltas, [B, 18, 6, 2]);
  const made = {
    plan: { logits: graph.constant(data.logits, [B, 18]), deltas, status: graph.constant(data.status, [B, 18, 10]) },
    motion: { logits: graph.constant(data.motionLogits, [B, N, 6]), deltas: graph.constant(data.motionDeltas, [B, N, 6, 12, 2]) },
  };
  const { total, terms } = imitation(weights)(made, {
    command: graph.constant(data.command, [B], "i32"),
    egoFuture: graph.constant(data.egoFuture, [B, 6, 2]),
    egoFutureMask: graph.constant(data.egoFutureMask, [B, 6]),
    egoStatus: graph.constant(data.egoStatus, [B, 10]),
    futureDisplacement: graph.constant(data.future, [B, N, 12, 2]),
    futureMask: graph.constant(data.futureMask, [B, N, 12]),
  });
  return { graph, total, terms, deltas };
}

/** Nearest mode by plain loops: [index, distances]. */
function nearest(deltas: number[], offset: number, modes: number, target: number[], mask: number[], steps: number): [number, number[]] {
  const distances = Array.from({ length: modes }, (_, mode) => {
    let [x, y, total] = [0, 0, 0];
    for (let t = 0; t < steps; t++) {
      const at = offset + (mode * steps + t) * 2;
      x += (deltas[at] ?? 0) - (target[t * 2] ?? 0);
      y += (deltas[at + 1] ?? 0) - (target[t * 2 + 1] ?? 0);
      total += Math.hypot(x, y) * (mask[t] ?? 0);
    }
    return total / steps;
  });
  return [distances.indexOf(Math.min(...distances)), distances];
}

function plainTerms(): Record<string, number> {
  let [absolute, known, status, divergence, counted] = [0, 0, 0, 0, 0];
  for (let b = 0; b < B; b++) {
    const first = b * 18 + (data.command[b] ?? 0) * 6;
    const target = data.egoFuture.slice(b * 12, b * 12 + 12);
    const mask = data.egoFutureMask.slice(b * 6, b * 6 + 6);
    const [mode, distances] = nearest(data.deltas, first * 12, 6, target, mask, 6);
    target.forEach((truth, i) => {
      const weight = mask[Math.floor(i / 2)] ?? 0;
      absolute += weight * Math.abs((data.deltas[(first + mode) * 12 + i] ?? 0) - truth);
      known += weight;
    });
    for (let k = 0; k < 10; k++) status += Math.abs((data.status[(first + mode) * 10 + k] ?? 0) - (data.egoStatus[b * 10 + k] ?? 0)) / (B * 10);
    if (!mask.some(Boolean)) continue;
    counted++;
    const order = distances.map((_, i) => i).sort((i, j) => (distances[i] ?? 0) - (distances[j] ?? 0));
    const logits = data.logits.slice(first, first + 6);
    const normaliser = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
    order.forEach((i, rank) => {
      const label = rank === 0 ? 0.8 : rank < 3 ? 0.1 : 1e-10;
      divergence += label * (Math.log(label) - ((logits[i] ?? 0) - normaliser));
    });
  }
  let [focal, apart, agents] = [0, 0, 0];
  for (let row = 0; row < B * N; row++) {
    const mask = data.futureMask.slice(row * 12, row * 12 + 12);
    if (!mask.some(Boolean)) continue;
    agents++;
    const target = data.future.slice(row * 24, row * 24 + 24);
    const [mode] = nearest(data.motionDeltas, row * 144, 6, target, mask, 12);
    for (let m = 0; m < 6; m++) {
      const p = 1 / (1 + Math.exp(-(data.motionLogits[row * 6 + m] ?? 0)));
      focal += m === mode ? -0.25 * (1 - p) ** 2 * Math.log(p) : -0.75 * p ** 2 * Math.log(1 - p);
    }
    let [x, y] = [0, 0];
    for (let t = 0; t < 12; t++) {
      x += (data.motionDeltas[row * 144 + mode * 24 + t * 2] ?? 0) - (target[t * 2] ?? 0);
      y += (data.motionDeltas[row * 144 + mode * 24 + t * 2 + 1] ?? 0) - (target[t * 2 + 1] ?? 0);
      apart += (mask[t] ?? 0) * (Math.abs(x) + Math.abs(y));
    }
  }
  return {
    planRegression: (2 * absolute) / known,
    planStatus: 3 * status,
    planClassification: (0.5 * divergence) / counted,
    motionClassification: (0.2 * focal) / agents,
    motionRegression: (0.2 * apart) / agents,
  };
}

describe("imitation", () => {
  const weights = { regression: 2, status: 3, classification: 0.5 };

  it("equals plain loops, term by term", () => {
    const { graph, total, terms } = trace(weights);
    for (const [name, term] of Object.entries(terms)) graph.output(name, term);
    graph.output("total", total);
    const { outputs } = interpret(graph);
    const expected = plainTerms();
    expect(Object.keys(terms)).toEqual(Object.keys(expected));
    for (const [name, number] of Object.entries(expected)) expect(outputs.get(name)?.[0], name).toBeCloseTo(number, 6);
    expect(outputs.get("total")?.[0]).toBeCloseTo(Object.values(expected).reduce((a, b) => a + b), 6);
  });

  it("pulls only the nearest mode of the true command", () => {
    const { graph, total, deltas } = trace({ ...weights, status: 0, classification: 0, motionClassification: 0, motionRegression: 0 });
    const [gradient] = gradients(total, [deltas]);
    if (gradient) graph.output("gradient", gradient);
    const slopes = interpret(graph).outputs.get("gradient") ?? new Float64Array(0);
    const pulled = Array.from({ length: B * 18 }, (_, mode) => (slopes.subarray(mode * 12, mode * 12 + 12).some((slope) => slope !== 0) ? mode : -1)).filter((mode) => mode >= 0);
    // The last sample knows nothing of its future.
    expect(pulled.map((mode) => Math.floor(mode / 6))).toEqual([2, 3]);
  });

  it("pulls the true command's learned reference path to the known truth, by its own weight or that of the regression", () => {
    const path = numbers(9, B * 3 * 12);
    for (const [reference, weight] of [[undefined, 2], [0.7, 0.7]] as const) {
      const graph = new Graph();
      const traced = graph.constant(path, [B, 3, 6, 2]);
      const plan = { logits: graph.constant(data.logits, [B, 18]), deltas: graph.constant(data.deltas, [B, 18, 6, 2]), status: graph.constant(data.status, [B, 18, 10]), reference: traced };
      const { terms } = imitation({ ...weights, ...(reference === undefined ? {} : { reference }) })({ plan, motion: null }, {
        command: graph.constant(data.command, [B], "i32"),
        egoFuture: graph.constant(data.egoFuture, [B, 6, 2]),
        egoFutureMask: graph.constant(data.egoFutureMask, [B, 6]),
        egoStatus: graph.constant(data.egoStatus, [B, 10]),
      });
      const term = terms["planReference"];
      if (!term) throw new Error("no reference term");
      graph.output("term", term);
      gradients(term, [traced]).forEach((gradient) => { graph.output("gradient", gradient); });
      const { outputs } = interpret(graph);

      // Nine steps are known, of two coordinates each; the gradient of their mean distance is a sign over 18.
      let expected = 0;
      const slopes = new Array<number>(path.length).fill(0);
      data.egoFuture.forEach((truth, i) => {
        if (data.egoFutureMask[i >> 1] !== 1) return;
        const at = (Math.floor(i / 12) * 3 + (data.command[Math.floor(i / 12)] ?? 0)) * 12 + (i % 12);
        const apart = (path[at] ?? 0) - truth;
        expected += (weight * Math.abs(apart)) / 18;
        slopes[at] = (weight * Math.sign(apart)) / 18;
      });
      expect(outputs.get("term")?.[0]).toBeCloseTo(expected, 6);
      outputs.get("gradient")?.forEach((slope, i) => { expect(slope).toBeCloseTo(slopes[i] ?? Number.NaN, 9); });
    }
  });

  it("leaves out terms of weight 0 and refuses to have none", () => {
    expect(Object.keys(trace({ ...weights, status: 0, motionRegression: 0 }).terms)).toEqual(["planRegression", "planClassification", "motionClassification"]);
    expect(() => trace({ regression: 0, status: 0, classification: 0, motionClassification: 0, motionRegression: 0 })).toThrow(/every weight is 0/);
  });
});

describe("distillation", () => {
  const side = (graph: Graph, seed: number) => ({
    logits: graph.constant(numbers(seed, B * 18), [B, 18]),
    deltas: graph.constant(numbers(seed + 1, B * 18 * 12), [B, 18, 6, 2]),
    feature: graph.constant(numbers(seed + 2, B * 18 * 4), [B, 18, 4]),
    encoderFeature: graph.constant(numbers(seed + 3, B * 18 * 4), [B, 18, 4]),
  });

  it("equals plain loops; each term can be switched on alone", () => {
    const one = { encoderFeature: 0, decoderFeature: 0, classification: 0, regression: 0 };
    const mean = (of: (a: number, b: number) => number, seed: number, length: number): number =>
      numbers(seed, length).reduce((total, a, i) => total + of(a, value(seed + 20)(i)), 0) / length;
    let divergence = 0;
    for (let b = 0; b < B; b++) {
      const softmax = (seed: number): number[] => {
        const powers = numbers(seed, B * 18).slice(b * 18, b * 18 + 18).map(Math.exp);
        const total = powers.reduce((x, y) => x + y);
        return powers.map((power) => power / total);
      };
      const [student, teacher] = [softmax(30), softmax(50)];
      teacher.forEach((p, i) => (divergence += (p * Math.log(p / (student[i] ?? 1))) / B));
    }
    const expected = {
      encoderFeature: mean((a, b) => (a - b) ** 2, 33, B * 18 * 4),
      decoderFeature: mean((a, b) => (a - b) ** 2, 32, B * 18 * 4),
      classification: divergence,
      regression: mean((a, b) => Math.abs(a - b), 31, B * 18 * 12),
    };
    for (const [name, number] of Object.entries(expected)) {
      const graph = new Graph();
      const { total, terms } = distillation(side(graph, 30), side(graph, 50), { ...one, [name]: 0.5 });
      graph.output("total", total);
      expect(Object.keys(terms)).toHaveLength(1);
      expect(interpret(graph).outputs.get("total")?.[0], name).toBeCloseTo(0.5 * number, 6);
    }
  });
});
