import { createStreams, generateScene, type StreamBatches, streamBatches } from "@distilldrive/datasets";
import { fadingMotion } from "@distilldrive/nn";
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

/** Mean absolute error of the first batch's displacements. @param made [lanes, 6, 2] m */
function errorOf(made: ArrayLike<number>): number {
  const { egoFuture, egoFutureMask } = walk().next();
  expect([...egoFutureMask]).toEqual(new Array(6 * lanes).fill(1));
  return egoFuture.reduce((error, driven, i) => error + Math.abs((made[i] ?? 0) - driven), 0) / egoFuture.length;
}

describe("egoStatusTask", () => {
  test("without weights it plans to stand still", () => {
    expect(lossAtZero(egoStatusTask({ batches: walk(), lanes }))).toBeCloseTo(errorOf(new Float32Array(12 * lanes)), 5);
  });
});

describe("referenceTask", () => {
  test("without weights the car's motion goes on and fades", () => {
    const { egoStatus, egoPast, egoPastMask } = walk().next();
    const graph = new Graph();
    const ego = { status: graph.constant(egoStatus, [lanes, 10]), past: graph.constant(egoPast, [lanes, 4, 2]), pastMask: graph.constant(egoPastMask, [lanes, 4]) };
    graph.output("path", fadingMotion(ego, { steps: 6 }));
    expect(lossAtZero(referenceTask({ batches: walk(), lanes }))).toBeCloseTo(errorOf(interpret(graph).outputs.get("path") ?? []), 5);
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
