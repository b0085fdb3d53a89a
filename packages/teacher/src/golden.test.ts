import { imitation, PUBLISHED_LABELS } from "@distilldrive/losses";
import { plannerMemory } from "@distilldrive/nn";
import { compile, createStore, Graph, interpret, type StoredTensor, variablesOf, wrapDevice } from "@distilldrive/tensor";
import { openTestDevice } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { plannerConfigOf } from "./config.js";
import { GOLDEN, GOLDEN_CONFIG, goldenArchive, goldenFrames, relativeError, variableValues } from "./golden.fixture.js";
import { teacherInputs, teacherTargets } from "./inputs.js";
import { createTeacher, type Teacher } from "./teacher.js";

/** Graph outputs and the golden arrays they must equal. */
const RESULTS = {
  logits: "planning.classification.0",
  deltas: "planning.prediction.0",
  status: "planning.status.0",
  feature: "planning.feature.0",
  encoderFeature: "planning.encoder_feature",
  motionLogits: "motion.classification.0",
  motionDeltas: "motion.prediction.0",
} as const;
const LOSSES = {
  planRegression: "planning_loss_reg_0",
  planStatus: "planning_loss_status_0",
  planClassification: "planning_loss_cls_0",
  motionClassification: "motion_loss_cls_0",
  motionRegression: "motion_loss_reg_0",
} as const;

const weights = goldenArchive("teacher64_weights.npz");
const inputs = goldenArchive("teacher64_inputs.npz");
const outputs = goldenArchive("teacher64_outputs_maskfix.npz");
const training = goldenArchive("teacher64_trainbn_maskfix.npz");

function goldenTeacher(): { teacher: Teacher; memory: ReturnType<typeof plannerMemory> } {
  const anchors = { plan: weights?.get("plan_anchor").numbers() ?? [], motion: weights?.get("motion_anchor").numbers() ?? [] };
  // As published, a gap does not empty the agents' queue (fact T15).
  const memory = plannerMemory(plannerConfigOf(GOLDEN_CONFIG), GOLDEN.lanes, GOLDEN.agents, { agentMaxGap: 1e9 });
  return { teacher: createTeacher(GOLDEN_CONFIG, anchors), memory };
}

function trace(teacher: Teacher, memory: ReturnType<typeof plannerMemory>, trainingMode: boolean): Graph {
  const graph = new Graph();
  const made = teacher.forward(teacherInputs(graph, GOLDEN_CONFIG, GOLDEN.lanes), { memory, context: { training: trainingMode, dropout: null } });
  const loss = imitation({ regression: 2, status: 2, classification: 0.5, softLabels: PUBLISHED_LABELS, normaliser: "all" });
  const { terms } = loss(made, teacherTargets(graph, GOLDEN_CONFIG, GOLDEN.lanes));
  for (const [name, term] of Object.entries(terms)) graph.output(name, term);
  const { plan, motion } = made;
  graph.output("logits", plan.logits);
  graph.output("deltas", plan.deltas);
  graph.output("status", plan.status);
  graph.output("feature", plan.feature);
  graph.output("encoderFeature", plan.encoderFeature);
  if (motion) {
    graph.output("motionLogits", motion.logits);
    graph.output("motionDeltas", motion.deltas);
  }
  return graph;
}

describe.skipIf(!weights || !inputs || !outputs || !training)("the published teacher", () => {
  it("has every published parameter, with its shape", () => {
    const mine = variablesOf(goldenTeacher().teacher);
    const missing = (weights?.names ?? []).filter((name) => !mine.has(name) && !/^dqn_model|pc_range$|num_batches_tracked$/.test(name));
    expect(missing).toEqual([]);
    for (const [name, variable] of mine) expect(weights?.get(name).shape, name).toEqual([...variable.shape]);
  });

  it("gives the published outputs and losses over three frames, in float64", () => {
    if (!weights || !inputs || !outputs) return;
    const { teacher, memory } = goldenTeacher();
    const graph = trace(teacher, memory, false);
    const variables = variableValues(teacher, 1, weights);
    for (const [variable, value] of variableValues(memory, 1)) variables.set(variable, value);
    // The second frame follows after 3 s in one lane: its ego memory starts anew.
    goldenFrames(inputs, 3).forEach((fields, frame) => {
      const result = interpret(graph, { inputs: fields, variables });
      for (const [output, name] of Object.entries(RESULTS)) {
        expect(relativeError(result.outputs.get(output) ?? [], outputs.get(`frame${frame}.${name}`).numbers()), `frame ${frame} ${name}`).toBeLessThan(1.2e-5);
      }
      for (const [term, name] of Object.entries(LOSSES)) {
        expect(relativeError(result.outputs.get(term) ?? [], outputs.get(`frame${frame}.loss.${name}`).numbers()), `frame ${frame} ${name}`).toBeLessThan(2e-6);
      }
      for (const [variable, value] of result.assigned) variables.set(variable, value);
    });
  });

  it("trains batch norm as published", () => {
    if (!weights || !inputs || !training) return;
    const { teacher, memory } = goldenTeacher();
    const graph = trace(teacher, memory, true);
    const variables = variableValues(teacher, 1, weights);
    for (const [variable, value] of variableValues(memory, 1)) variables.set(variable, value);
    goldenFrames(inputs, 2).forEach((fields, frame) => {
      const result = interpret(graph, { inputs: fields, variables });
      for (const [variable, value] of result.assigned) variables.set(variable, value);
      const { deltas } = RESULTS;
      const expected = `frame${frame}.${deltas}`;
      if (training.has(expected)) expect(relativeError(result.outputs.get("deltas") ?? [], training.get(expected).numbers())).toBeLessThan(1.2e-5);
    });
    for (const [name, variable] of variablesOf(teacher)) {
      if (/running_(mean|var)$/.test(name)) {
        expect(relativeError(variables.get(variable) ?? [], training.get(`running_after_frame1.${name}`).numbers()), name).toBeLessThan(1e-5);
      }
    }
  });

  it("gives them over six frames on the GPU [gpu]", async () => {
    const gpu = await openTestDevice();
    if (!gpu || !weights || !inputs || !outputs) return;
    const device = wrapDevice(gpu);
    const { teacher, memory } = goldenTeacher();
    const graph = trace(teacher, memory, false);
    const store = createStore(device, variablesOf({ teacher, memory }), { seed: 1 });
    const loaded = new Map<string, StoredTensor>();
    for (const [name, variable] of variablesOf(teacher)) {
      loaded.set(`teacher.${name}`, { shape: variable.shape, dtype: "f32", data: Float32Array.from(weights.get(name).numbers()) });
    }
    store.load(loaded);
    const program = await compile(device, graph, { store });
    const used = new Set(program.plan.inputs.map(({ name }) => name));
    for (const [frame, fields] of goldenFrames(inputs, 6).entries()) {
      program.run(Object.fromEntries(Object.entries(fields).filter(([name]) => used.has(name))));
      const results = await program.readAll([...Object.keys(RESULTS), ...Object.keys(LOSSES)]);
      for (const [output, name] of Object.entries(RESULTS)) {
        expect(relativeError(results.get(output) ?? [], outputs.get(`frame${frame}.${name}`).numbers()), `frame ${frame} ${name}`).toBeLessThan(5e-5);
      }
      for (const [term, name] of Object.entries(LOSSES)) {
        expect(relativeError(results.get(term) ?? [], outputs.get(`frame${frame}.loss.${name}`).numbers()), `frame ${frame} ${name}`).toBeLessThan(1e-5);
      }
    }
    program.destroy();
    device.close();
  });
});
