import { add, gradients, Graph, interpret, matmul, type Tensor } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { imitation } from "./imitation.js";
import { reinforcement, watchReinforcement } from "./reinforcement.js";
import type { RewardScene } from "./reward-scene.js";
import { consistencyReward, endReward, meanReward, PAPER_REWARDS, PUBLISHED_REWARDS, speedReward, startReward, statusReward } from "./rewards.js";

const B = 3;
const T = 6;
const numbers = (seed: number, length: number, scale = 1): number[] => Array.from({ length }, (_, i) => Math.sin(seed * 12.9 + i * 4.1) * scale);

const status = numbers(1, B * 10);
const expertStatus = numbers(2, B * 10).map((value, i) => (i >= 20 ? 0 : value));
const path = numbers(3, B * T * 2);
const expertPath = numbers(4, B * T * 2);
const command = [2, 0, 1];

const row = (values: readonly number[], lane: number): readonly number[] => values.slice((lane * values.length) / B, ((lane + 1) * values.length) / B);
const apart = (a: readonly number[], b: readonly number[]): number => Math.exp(-a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length);
const ends = (steps: readonly number[]): number[] => [0, 1].map((axis) => steps.filter((_, i) => i % 2 === axis).reduce((a, b) => a + b));

/** The published rewards of fact T18, and the collision reward of an empty road. */
const PLAIN: Readonly<Record<string, (lane: number) => number>> = {
  status: (lane) => apart(row(status, lane), row(expertStatus, lane)),
  consistency: (lane) => Math.exp(-Math.abs((row(path, lane)[1] ?? 0) - 0.5 * (row(status, lane)[6] ?? 0))),
  speed: (lane) => ((row(status, lane)[6] ?? 0) > 0 && (row(status, lane)[6] ?? 0) < 20 ? 1 : 0),
  mean: (lane) => apart(row(path, lane), row(expertPath, lane)),
  start: (lane) => apart(row(path, lane).slice(0, 2), row(expertPath, lane).slice(0, 2)),
  end: (lane) => apart(ends(row(path, lane)), ends(row(expertPath, lane))),
  collision: () => 1,
};

/** Two linear maps in place of the networks. */
const OWN = numbers(5, 30);
const EXPERT = numbers(6, 30);
const WEIGHTS = numbers(7, 7, 2);

function trace(discount?: number) {
  const graph = new Graph();
  const scene: RewardScene = {
    status: graph.constant(status, [B, 10]),
    expertStatus: graph.constant(expertStatus, [B, 10]),
    path: graph.constant(path, [B, T, 2]),
    expertPath: graph.constant(expertPath, [B, T, 2]),
    agents: null,
  };
  const [own, expert, weights] = [graph.constant(OWN, [10, 3]), graph.constant(EXPERT, [10, 3]), graph.constant(WEIGHTS, [7])];
  const values = { model: (x: Tensor) => matmul(x, own), target_model: (x: Tensor) => matmul(x, expert) };
  const made = reinforcement(values, weights, scene, graph.constant(command, [B], "i32"), { terms: PAPER_REWARDS, ...(discount === undefined ? {} : { discount }) });
  return { graph, scene, made, own, expert, weights };
}

const times = (x: readonly number[], matrix: readonly number[]): number[] => [0, 1, 2].map((action) => x.reduce((sum, value, i) => sum + value * (matrix[i * 3 + action] ?? 0), 0));

/** Loss, targets and chosen values by plain loops (S-eqs. 12, 13; fact T18). */
function plain(discount: number): { loss: number; target: number[]; chosen: number[] } {
  let loss = 0;
  const lanes = [0, 1, 2].map((lane) => {
    const reward = PAPER_REWARDS.reduce((sum, name, i) => sum + (WEIGHTS[i] ?? 0) * (PLAIN[name]?.(lane) ?? NaN), 0);
    const best = times(row(expertStatus, lane), EXPERT);
    const target = reward + discount * Math.max(...best);
    const chosen = times(row(status, lane), OWN)[command[lane] ?? 0] ?? NaN;
    // The last sample has no status.
    if (lane < 2) loss += (Math.abs(chosen - target) + best.reduce((sum, value, action) => sum + Math.abs(value - (action === command[lane] ? 1 : 0)), 0) / 3) / 2;
    return { target, chosen };
  });
  return { loss, target: lanes.map(({ target }) => target), chosen: lanes.map(({ chosen }) => chosen) };
}

function run(graph: Graph, outputs: Readonly<Record<string, Tensor | null | undefined>>): (name: string) => number[] {
  for (const [name, tensor] of Object.entries(outputs)) if (tensor) graph.output(name, tensor);
  const made = interpret(graph).outputs;
  return (name) => [...(made.get(name) ?? [])];
}

function expectClose(actual: readonly number[], expected: readonly number[], what: string): void {
  expect(actual.length, what).toBe(expected.length);
  actual.forEach((value, i) => expect(value, `${what} ${i}`).toBeCloseTo(expected[i] ?? NaN, 6));
}

describe("rewards", () => {
  it("are each a function of its own, the error's exponential or a flag", () => {
    const { graph, scene } = trace();
    const terms = { status: statusReward, consistency: consistencyReward, speed: speedReward, mean: meanReward, start: startReward, end: endReward };
    expect(Object.keys(terms)).toEqual([...PUBLISHED_REWARDS]);
    const value = run(graph, Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, term(scene)])));
    for (const name of PUBLISHED_REWARDS) expectClose(value(name), [0, 1, 2].map((lane) => PLAIN[name]?.(lane) ?? NaN), name);
  });

  it("give speed within 0 and 20 m/s, both excluded, and 1 for a perfect prediction", () => {
    const graph = new Graph();
    const speeds = [0, 0.1, 19.9, 20, -1];
    const made = graph.constant(speeds.flatMap((speed) => [0, 0, 0, 0, 0, 0, speed, 0, 0, 0]), [5, 10]);
    const still = graph.constant(new Float32Array(5 * T * 2), [5, T, 2]);
    const scene = { status: made, expertStatus: made, path: still, expertPath: still, agents: null };
    const value = run(graph, { speed: speedReward(scene), status: statusReward(scene), end: endReward(scene) });
    expect(value("speed")).toEqual([0, 1, 1, 0, 0]);
    expect([...value("status"), ...value("end")]).toEqual(Array(10).fill(1));
  });
});

describe("reinforcement", () => {
  it("equals plain loops, with gamma 0.95 or another", () => {
    for (const discount of [undefined, 0.5]) {
      const { graph, made } = trace(discount);
      const value = run(graph, { loss: made.loss, target: made.target, chosen: made.chosen });
      const expected = plain(discount ?? 0.95);
      expectClose(value("loss"), [expected.loss], "loss");
      expectClose(value("target"), expected.target, "target");
      expectClose(value("chosen"), expected.chosen, "chosen");
    }
  });

  it("sends gradient to the status, both networks and the weights of the rewards, never to the path", () => {
    const { graph, scene, made, own, expert, weights } = trace();
    const [status_, path_, own_, expert_, weights_] = gradients(made.loss, [scene.status, scene.path, own, expert, weights]);
    const value = run(graph, { status: status_, path: path_, own: own_, expert: expert_, weights: weights_ });
    expect(value("path").every((slope) => slope === 0)).toBe(true);
    const { target, chosen } = plain(0.95);
    const sign = [0, 1, 2].map((lane) => (lane < 2 ? Math.sign((chosen[lane] ?? 0) - (target[lane] ?? 0)) / 2 : 0));
    // |chosen - target|: the networks' own gradients; the rewards' own gradients are cut off.
    expectClose(value("status"), sign.flatMap((slope, lane) => Array.from({ length: 10 }, (_, i) => slope * (OWN[i * 3 + (command[lane] ?? 0)] ?? NaN))), "status");
    expectClose(value("weights"), PAPER_REWARDS.map((name) => -sign.reduce((sum, slope, lane) => sum + slope * (PLAIN[name]?.(lane) ?? NaN), 0)), "weights");
    expect(value("own").some((slope) => slope !== 0) && value("expert").some((slope) => slope !== 0)).toBe(true);
  });

  it("is 0 with finite gradients when no sample has a status", () => {
    const graph = new Graph();
    const [zeros, still, matrix] = [graph.constant(new Float32Array(10), [1, 10]), graph.constant(new Float32Array(12), [1, T, 2]), graph.constant(OWN, [10, 3])];
    const network = (x: Tensor): Tensor => matmul(x, matrix);
    const { loss } = reinforcement({ model: network, target_model: network }, graph.constant([1], [1]), { status: graph.constant(numbers(1, 10), [1, 10]), expertStatus: zeros, path: still, expertPath: still, agents: null }, graph.constant([1], [1], "i32"), { terms: ["speed"] });
    const [gradient] = gradients(loss, [matrix]);
    const value = run(graph, { loss, gradient });
    expect(value("loss")).toEqual([0]);
    expect(value("gradient").every((slope) => slope === 0)).toBe(true);
  });
});

describe("watchReinforcement", () => {
  it("means over the samples with a status, and the weights as they are", () => {
    const { graph, made, weights } = trace();
    const watched = watchReinforcement(made, weights, PAPER_REWARDS);
    const value = run(graph, watched);
    const { target, chosen } = plain(0.95);
    const mean = (values: readonly (number | undefined)[]): number[] => [((values[0] ?? NaN) + (values[1] ?? NaN)) / 2];
    for (const [i, name] of PAPER_REWARDS.entries()) {
      const word = name.slice(0, 1).toUpperCase() + name.slice(1);
      expectClose(value(`reward${word}`), mean([0, 1].map((lane) => PLAIN[name]?.(lane))), name);
      expectClose(value(`weight${word}`), [WEIGHTS[i] ?? NaN], name);
    }
    expectClose(value("valueTarget"), mean(target), "target");
    expectClose(value("valueChosen"), mean(chosen), "chosen");
    expectClose(value("valueBest"), mean([0, 1].map((lane) => Math.max(...times(row(expertStatus, lane), EXPERT)))), "best");
  });

  it("comes with the imitation loss, where the planner has action values and the term has a weight", () => {
    const watch = (reinforced: number | null): string[] => {
      const graph = new Graph();
      const plan = { logits: graph.constant(numbers(8, B * 18), [B, 18]), deltas: graph.constant(numbers(9, B * 18 * T * 2), [B, 18, T, 2]), status: graph.constant(numbers(10, B * 180), [B, 18, 10]) };
      const matrix = graph.constant(OWN, [10, 3]);
      const network = (x: Tensor): Tensor => add(matmul(x, matrix), 0);
      const actionValues = reinforced === null ? null : { model: network, target_model: network, reward_weight: graph.constant([1, 1], [2]), terms: ["status", "speed"] as const };
      const { watched } = imitation({ regression: 2, status: 0, classification: 0.5, reinforcement: reinforced ?? 1 })({ plan, motion: null, actionValues }, {
        command: graph.constant(command, [B], "i32"),
        egoFuture: graph.constant(expertPath, [B, T, 2]),
        egoFutureMask: graph.constant(new Float32Array(B * T).fill(1), [B, T]),
        egoStatus: graph.constant(expertStatus, [B, 10]),
      });
      return Object.keys(watched);
    };
    expect(watch(null)).toEqual(["errorStatus"]);
    expect(watch(0)).toEqual(["errorStatus"]);
    expect(watch(1)).toEqual(["errorStatus", "rewardStatus", "rewardSpeed", "weightStatus", "weightSpeed", "valueReward", "valueChosen", "valueBest", "valueTarget"]);
  });
});
