import { createStreams, generateScene, type StreamBatches, streamBatches } from "@distilldrive/datasets";
import { constantTurnRate } from "@distilldrive/metrics";
import { Graph, interpret, parametersOf, sizeOf } from "@distilldrive/tensor";
import { describe, expect, test } from "vitest";
import { EGO_STATUS_FEATURES, egoStatusTask, referenceTask } from "./ego-status.js";
import type { Task } from "./fit.js";
import { optimizerSchema } from "./schedule.js";
import { batchInputs } from "./stream-source.js";
import { traceTraining } from "./training-graph.js";

const lanes = 3;
const streams = createStreams([generateScene(3, { duration: 8 })], { phases: [0, 1] });
const walk = (): StreamBatches => streamBatches(streams, { batch: lanes, features: EGO_STATUS_FEATURES });

/** Loss of the first batch with every parameter 0. */
function lossAtZero(task: Task): number {
  const graph = new Graph();
  graph.output("loss", task.trace(graph, graph.input("key", [4], "u32"), {}).loss);
  const variables = new Map([...parametersOf(task.model).values()].map((variable) => [variable, new Float32Array(sizeOf(variable.shape))]));
  return interpret(graph, { inputs: { ...batchInputs(walk().next()), key: [1, 2, 3, 4] }, variables }).outputs.get("loss")?.[0] ?? Number.NaN;
}

/** Mean absolute error of displacements made from each sample's ego status. */
function errorOf(positions: (egoStatus: Float32Array) => ArrayLike<number>): number {
  const { egoStatus, egoFuture, egoFutureMask } = walk().next();
  expect([...egoFutureMask]).toEqual(new Array(6 * lanes).fill(1));
  let error = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const path = positions(egoStatus.subarray(10 * lane, 10 * lane + 10));
    for (let i = 0; i < 12; i++) error += Math.abs((path[i] ?? 0) - (i < 2 ? 0 : (path[i - 2] ?? 0)) - (egoFuture[12 * lane + i] ?? 0));
  }
  return error / (12 * lanes);
}

describe("egoStatusTask", () => {
  test("without weights it plans to stand still", () => {
    expect(lossAtZero(egoStatusTask({ batches: walk(), lanes }))).toBeCloseTo(errorOf(() => new Float32Array(12)), 5);
  });
});

describe("referenceTask", () => {
  test("without weights it is the constant-turn-rate baseline", () => {
    expect(lossAtZero(referenceTask({ batches: walk(), lanes }))).toBeCloseTo(errorOf((egoStatus) => constantTurnRate({ egoStatus: egoStatus.map((value, i) => (i === 7 ? 0 : value)) })), 4);
  });

  test("its variables carry the names they have in a planner, and all of them are trained", () => {
    const { optimizer, variables } = traceTraining(referenceTask({ batches: walk(), lanes }), optimizerSchema.parse({}), 5);
    const own = [...variables].filter(([name]) => name.startsWith("model."));
    expect(own).toHaveLength(6);
    const trained = new Set(optimizer.units.flatMap(({ parameters }) => parameters));
    for (const [name, variable] of own) {
      expect(name).toMatch(/^model\.plan_reference\.net\./);
      expect(trained.has(variable), name).toBe(true);
    }
  });
});
