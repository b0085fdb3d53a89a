import { imitation } from "@distilldrive/losses";
import { compile, createStore, gradients, Graph, interpret, parametersOf, variablesOf, wrapDevice } from "@distilldrive/tensor";
import { openTestDevice } from "@distilldrive/testkit";
import { beforeAll, describe, expect, it } from "vitest";
import { TEACHER_PRESETS, type TeacherConfig } from "./config.js";
import { relativeError, variableValues } from "./golden.fixture.js";
import { teacherInputs, teacherTargets } from "./inputs.js";
import { createTeacher, teacherMemory } from "./teacher.js";

const B = 2;
const CONFIG: TeacherConfig = { ...TEACHER_PRESETS.tiny, channels: 32, maxAgents: 5, maxLines: 4, memoryFrames: 2 };
const ANCHORS = {
  plan: Float32Array.from({ length: 3 * 6 * 12 }, (_, i) => (i % 2 === 0 ? Math.sin(i) : (((i % 12) + 1) / 2) * (1 + Math.floor(i / 12) % 6))),
  motion: Float32Array.from({ length: 10 * 6 * 24 }, (_, i) => Math.cos(i) * (i % 24)),
};

type Fields = Record<string, number[]>;

/** A batch with 3 agents and 2 lines a sample; the slots behind them hold `garbage` under masks of 0. */
function batch(garbage = 0): Fields {
  const { maxAgents: N, maxLines: L } = CONFIG;
  const noise = (seed: number, length: number, scale = 2): number[] => Array.from({ length }, (_, i) => Math.sin(seed * 31.7 + i * 2.3) * scale);
  const slots = (width: number, count: number, used: number, values: number[]): number[] =>
    Array.from({ length: B * count * width }, (_, i) => (Math.floor(i / width) % count < used ? (values[i] ?? 0) : garbage));
  const mask = (width: number, count: number, used: number): number[] =>
    Array.from({ length: B * count * width }, (_, i) => (Math.floor(i / width) % count < used ? 1 : 0));
  return {
    boxes: slots(9, N, 3, noise(1, B * N * 9, 4)),
    labels: slots(1, N, 3, Array.from({ length: B * N }, (_, i) => i % 10)).map((label) => Math.max(0, Math.min(9, label))),
    agentMask: mask(1, N, 3),
    futureDisplacement: slots(24, N, 3, noise(2, B * N * 24)),
    futureMask: mask(12, N, 3),
    pastDisplacement: slots(8, N, 3, noise(3, B * N * 8)),
    pastMask: mask(4, N, 3),
    lines: slots(40, L, 2, noise(4, B * L * 40, 10)),
    lineLabels: slots(1, L, 2, Array.from({ length: B * L }, (_, i) => i % 3)).map((label) => Math.max(0, Math.min(2, label))),
    lineMask: mask(1, L, 2),
    egoStatus: noise(5, B * 10),
    egoPast: noise(6, B * 8),
    egoPastMask: [1, 1, 1, 1, 0, 0, 1, 1],
    command: [0, 2],
    egoFuture: noise(7, B * 12),
    egoFutureMask: Array.from({ length: B * 6 }, () => 1),
    reset: [0, 0],
    timeGap: [0.5, 0.5],
    currentFromPrevious: [1, 0, 0, 0, 0, 1, 0, -4, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, -4, 0, 0, 1, 0, 0, 0, 0, 1],
    matchIndex: [0, 1, 2, -1, -1, 2, 1, 0, -1, -1],
  };
}

/** Plan and motion of a teacher for a batch, in float64. */
function plan(fields: Fields, config: TeacherConfig = CONFIG): { plan: Float64Array; motion: Float64Array } {
  const teacher = createTeacher(config, ANCHORS);
  const graph = new Graph();
  const made = teacher.forward(teacherInputs(graph, config, B, { stream: false }));
  graph.output("plan", made.plan.deltas);
  if (made.motion) graph.output("motion", made.motion.deltas);
  const { outputs } = interpret(graph, { inputs: fields, variables: variableValues(teacher, 3) });
  return { plan: outputs.get("plan") ?? new Float64Array(0), motion: outputs.get("motion") ?? new Float64Array(0) };
}

/** Reorders the slots of a field. */
function permute(values: number[], slots: number, order: number[]): number[] {
  const width = values.length / (B * slots);
  return Array.from({ length: B }, (_, lane) => order.map((from) => values.slice((lane * slots + from) * width, (lane * slots + from + 1) * width))).flat(2);
}

describe("the teacher's plan", () => {
  let reference: ReturnType<typeof plan>;
  beforeAll(() => {
    reference = plan(batch());
  });

  it("does not depend on what is in padded slots", () => {
    expect(relativeError(plan(batch(7.5)).plan, reference.plan)).toBeLessThan(1e-12);
  });

  it("does not depend on the order of agents and lines; predictions move with the agents", () => {
    const fields = batch();
    const order = [2, 4, 0, 1, 3];
    for (const name of ["boxes", "labels", "agentMask", "futureDisplacement", "futureMask"]) fields[name] = permute(fields[name] ?? [], 5, order);
    for (const name of ["lines", "lineLabels", "lineMask"]) fields[name] = permute(fields[name] ?? [], 4, [3, 1, 0, 2]);
    const moved = plan(fields);
    expect(relativeError(moved.plan, reference.plan)).toBeLessThan(1e-10);
    expect(relativeError(moved.motion.subarray(2 * 144, 3 * 144), reference.motion.subarray(0, 144))).toBeLessThan(1e-10);
  });

  it.each(["lines", "lineLabels", "boxes", "futureDisplacement", "egoStatus", "egoPast"])("sees %s", (name) => {
    const fields = batch();
    fields[name] = (fields[name] ?? []).map((value, i) => (name === "lineLabels" ? (value + 1) % 3 : value + Math.cos(i)));
    expect(relativeError(plan(fields).plan, reference.plan)).toBeGreaterThan(1e-5);
  });

  it("with agentInput history sees the past and not the future", () => {
    const config: TeacherConfig = { ...CONFIG, agentInput: "history" };
    const before = plan(batch(), config).plan;
    const futures = batch();
    futures["futureDisplacement"] = (futures["futureDisplacement"] ?? []).map((x) => x + 1);
    expect(relativeError(plan(futures, config).plan, before)).toBe(0);
    const pasts = batch();
    pasts["pastDisplacement"] = (pasts["pastDisplacement"] ?? []).map((x) => x + 1);
    expect(relativeError(plan(pasts, config).plan, before)).toBeGreaterThan(1e-5);
  });

  it("with motionReference constantVelocity begins with agents that drive on, in every mode", () => {
    const fields = batch();
    const beginnings = (motionReference: TeacherConfig["motionReference"]): number[] => {
      const { motion } = plan(fields, { ...CONFIG, motionReference });
      const boxes = fields["boxes"] ?? [];
      return [0, 1, 2].map((agent) => Math.max(...Array.from(motion.subarray(agent * 144, (agent + 1) * 144), (delta, i) => Math.abs(delta - (boxes[agent * 9 + 7 + (i % 2)] ?? 0) / 2))));
    };
    for (const farthest of beginnings("constantVelocity")) expect(farthest).toBeLessThan(0.3);
    for (const farthest of beginnings("none")) expect(farthest).toBeGreaterThan(0.5);
  });

  it("with egoInput and planReference none does not see the ego state, as published", () => {
    const config: TeacherConfig = { ...CONFIG, egoInput: "none", planReference: "none" };
    const fields = batch();
    fields["egoStatus"] = (fields["egoStatus"] ?? []).map((x) => x + 1);
    expect(relativeError(plan(fields, config).plan, plan(batch(), config).plan)).toBe(0);
  });

  it("starts close to going on as before", () => {
    const fields = batch();
    fields["egoPast"] = Array.from({ length: 2 * 8 }, (_, i) => (i % 2 === 0 ? 0 : i < 8 ? 4 : 1));
    fields["egoStatus"] = [0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
    const deltas = plan(fields).plan;
    for (let i = 0; i < deltas.length; i++) {
      const ahead = i < deltas.length / 2 ? 4 : 1;
      expect(Math.abs((deltas[i] ?? 0) - (i % 2 === 0 ? 0 : ahead))).toBeLessThan(0.3);
    }
  });
});

describe("training the teacher [gpu]", () => {
  it("gives every parameter a gradient, and the same as in float64", async () => {
    const gpu = await openTestDevice();
    if (!gpu) return;
    const device = wrapDevice(gpu);
    const teacher = createTeacher(CONFIG, ANCHORS);
    const memory = teacherMemory(CONFIG, B);
    const graph = new Graph();
    const made = teacher.forward(teacherInputs(graph, CONFIG, B), { memory, context: { training: true, dropout: null } });
    const { total } = imitation({ regression: 2, status: 3, classification: 0.5 })(made, teacherTargets(graph, CONFIG, B));
    const parameters = [...parametersOf(teacher)];
    gradients(total, parameters.map(([, variable]) => variable)).forEach((gradient, i) => graph.output(`gradient ${i}`, gradient));
    graph.output("loss", total);

    const model = { teacher, memory };
    const store = createStore(device, variablesOf(model), { seed: 3 });
    const program = await compile(device, graph, { store });
    const used = new Set(program.plan.inputs.map(({ name }) => name));
    const fields = Object.fromEntries(Object.entries(batch()).filter(([name]) => used.has(name)));
    // Only the second frame has a past to attend to.
    program.run(fields);
    program.run(fields);
    const names = parameters.map((_, i) => `gradient ${i}`);
    const onGpu = await program.readAll([...names, "loss"]);
    const variables = variableValues(model, 3);
    const first = interpret(graph, { inputs: fields, variables });
    const exact = interpret(graph, { inputs: fields, variables: new Map([...variables, ...first.assigned]) }).outputs;
    expect(relativeError(onGpu.get("loss") ?? [], exact.get("loss") ?? [])).toBeLessThan(1e-5);
    parameters.forEach(([name], i) => {
      const expected = exact.get(`gradient ${i}`) ?? new Float64Array(0);
      const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      // No gradient: biases in front of a norm over the batch, and those that shift all scores of a softmax alike.
      if (/polygon_encoder\.(first_mlp\.[03]|second_mlp\.0)\.bias$|map_pos_embed\.2\.bias$|plan_cls_branch\.[56]\.bias$/.test(name)) return;
      expect(largest, `gradient of ${name}`).toBeGreaterThan(1e-9);
      const difference = expected.reduce((most, x, k) => Math.max(most, Math.abs(x - (onGpu.get(`gradient ${i}`)?.[k] ?? Number.NaN))), 0);
      expect(difference, `gradient of ${name}`).toBeLessThan(2e-3 * largest + 1e-5);
    });
    program.destroy();
    device.close();
  });
});
