import { imitation } from "@distilldrive/losses";
import { compile, createStore, gradients, Graph, initialValues, interpret, parametersOf, sizeOf, type Variable, variablesOf, wrapDevice } from "@distilldrive/tensor";
import { openTestDevice } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { STUDENT_PRESETS, type StudentConfig } from "./config.js";
import { type RigCamera, tokenRays } from "./image-position.js";
import { studentInputs, studentTargets } from "./inputs.js";
import { createStudent, studentMemory } from "./student.js";

const B = 2;
const CONFIG: StudentConfig = {
  ...STUDENT_PRESETS.tiny,
  channels: 32,
  cameras: 2,
  image: { height: 16, width: 24 },
  imageChannels: [4, 8, 32],
  queries: 4,
  memoryFrames: 2,
  teacherChannels: 16,
};
const ANCHORS = { plan: Float32Array.from({ length: 3 * 6 * 12 }, (_, i) => Math.sin(i) * 5) };

/** A level camera 1.5 m above the rear axle that looks along a yaw (rad, 0 ahead). */
function camera(yaw: number): RigCamera {
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  return { intrinsics: [20, 0, 12, 0, 20, 8, 0, 0, 1], cameraFromEgo: [s, -c, 0, 0, 0, 0, -1, 1.5, c, s, 0, 0, 0, 0, 0, 1] };
}
const RIG = [camera(0), camera(Math.PI / 2)];

const noise = (seed: number, length: number, scale = 1): number[] => Array.from({ length }, (_, i) => Math.sin(seed * 31.7 + i * 2.3) * scale);
const identity = [1, 0, 0, 0, 0, 1, 0, -4, 0, 0, 1, 0, 0, 0, 0, 1];
const FIELDS: Record<string, number[]> = {
  images: noise(1, B * 2 * 16 * 24 * 3).map((x) => 0.5 + 0.5 * x),
  egoStatus: noise(2, B * 10, 3),
  egoPast: noise(3, B * 8, 3),
  egoPastMask: [1, 1, 1, 1, 0, 1, 1, 1],
  reset: [0, 0],
  timeGap: [0.5, 0.5],
  currentFromPrevious: [...identity, ...identity],
  command: [1, 2],
  egoFuture: noise(4, B * 12, 3),
  egoFutureMask: Array.from({ length: B * 6 }, () => 1),
};

function firstValues(tree: unknown): Map<Variable, ArrayLike<number>> {
  return new Map([...variablesOf(tree)].map(([name, variable]) => [variable, initialValues(variable.init, sizeOf(variable.shape), 5, name)]));
}

describe("the student", () => {
  it("returns what the teacher returns, with one status, and sees images and ego state", () => {
    const student = createStudent(CONFIG, ANCHORS, RIG);
    const graph = new Graph();
    const { plan, motion } = student.forward(studentInputs(graph, CONFIG, B, { stream: false }));
    expect([plan.logits.shape, plan.deltas.shape, plan.status.shape, plan.feature.shape, plan.encoderFeature.shape]).toEqual([
      [B, 18],
      [B, 18, 6, 2],
      [B, 1, 10],
      [B, 18, 32],
      [B, 18, 32],
    ]);
    expect(motion).toBeNull();
    expect(student.feature_adapter(plan.feature).shape).toEqual([B, 18, 16]);
    graph.output("feature", plan.feature);
    const run = (fields: Record<string, number[]>): Float64Array => interpret(graph, { inputs: fields, variables: firstValues(student) }).outputs.get("feature") ?? new Float64Array(0);
    const reference = run(FIELDS);
    for (const name of ["images", "egoStatus", "egoPast"]) {
      const changed = run({ ...FIELDS, [name]: (FIELDS[name] ?? []).map((x, i) => (i < (FIELDS[name]?.length ?? 0) / B ? x + 0.3 : x)) });
      const difference = (lane: number): number =>
        reference.subarray(lane * 18 * 32, (lane + 1) * 18 * 32).reduce((most, x, i) => Math.max(most, Math.abs(x - (changed[lane * 18 * 32 + i] ?? 0))), 0);
      expect(difference(0), name).toBeGreaterThan(1e-5);
      expect(difference(1), `${name} of the other sample`).toBeLessThan(1e-12);
    }
  });

  it("names the planner's variables as published", () => {
    const names = [...variablesOf(createStudent({ ...CONFIG, decoderGroups: 3 }, ANCHORS, RIG)).keys()];
    for (const name of ["plan_anchor", "fc_before.weight", "layers.7.attn.in_proj_weight", "layers.19.identity_fc.bias", "layers.21.plan_reg_branch.4.weight", "feature_adapter.2.bias", "plan_instance_encoder.3.weight"]) {
      expect(names).toContain(name);
    }
  });

  it("refuses a rig or an image encoder that does not fit", () => {
    expect(() => createStudent(CONFIG, ANCHORS, RIG.slice(1))).toThrow(/expected 2 cameras, got 1/);
    expect(() => createStudent({ ...CONFIG, imageChannels: [4, 8] }, ANCHORS, RIG)).toThrow(/expected 32 channels, got 8/);
  });

  it("gives every parameter a gradient, the same as in float64 [gpu]", async () => {
    const gpu = await openTestDevice();
    if (!gpu) return;
    const device = wrapDevice(gpu);
    const student = createStudent(CONFIG, ANCHORS, RIG);
    const memory = studentMemory(CONFIG, B);
    const graph = new Graph();
    const made = student.forward(studentInputs(graph, CONFIG, B), { memory, context: { training: true, dropout: null } });
    const { total } = imitation({ regression: 2, status: 3, classification: 0.5 })(made, studentTargets(graph, B));
    const parameters = [...parametersOf(student)].filter(([name]) => !name.startsWith("feature_adapter"));
    gradients(total, parameters.map(([, variable]) => variable)).forEach((gradient, i) => graph.output(`gradient ${i}`, gradient));
    const model = { student, memory };
    const program = await compile(device, graph, { store: createStore(device, variablesOf(model), { seed: 5 }) });
    const used = new Set(program.plan.inputs.map(({ name }) => name));
    const fields = Object.fromEntries(Object.entries(FIELDS).filter(([name]) => used.has(name)));
    // Only the second frame has a past to attend to.
    program.run(fields);
    program.run(fields);
    const onGpu = await program.readAll(parameters.map((_, i) => `gradient ${i}`));
    const variables = new Map([...variablesOf(model)].map(([name, variable]) => [variable, initialValues(variable.init, sizeOf(variable.shape), 5, name)]));
    const first = interpret(graph, { inputs: fields, variables });
    const exact = interpret(graph, { inputs: fields, variables: new Map([...variables, ...first.assigned]) }).outputs;
    parameters.forEach(([name], i) => {
      // Biases that shift all scores of a softmax alike have none, nor the weights of the learned anchors' velocity, 0 at first.
      if (/plan_cls_branch\.[56]\.bias$|ray_mlp\.2\.bias$|vel_fc\.0\.weight$/.test(name)) return;
      const expected = exact.get(`gradient ${i}`) ?? new Float64Array(0);
      const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expect(largest, `gradient of ${name}`).toBeGreaterThan(1e-9);
      const difference = expected.reduce((most, x, k) => Math.max(most, Math.abs(x - (onGpu.get(`gradient ${i}`)?.[k] ?? Number.NaN))), 0);
      expect(difference, `gradient of ${name}`).toBeLessThan(2e-3 * largest + 1e-5);
    });
    program.destroy();
    device.close();
  });
});

describe("tokenRays", () => {
  it("looks where the camera looks, in model axes, and finds the ground", () => {
    // One token in the middle of each image, one row below the horizon.
    const rays = tokenRays(RIG, { height: 16, width: 24 }, { height: 2, width: 1 });
    const ray = (index: number): number[] => [...rays.subarray(index * 6, index * 6 + 6)];
    const down = Math.hypot(1, 4 / 20);
    const expectRay = (index: number, values: number[]): void => values.forEach((value, k) => expect(ray(index)[k]).toBeCloseTo(value, 5));
    // Pixel row 12 is 4 px below the principal row: 1.5 m of height are reached 7.5 m away.
    expectRay(0, [0, 1 / down, 0.2 / down, 0, 0, 0]);
    expectRay(1, [0, 1 / down, -0.2 / down, 0, 7.5 / 60, 1]);
    expectRay(3, [-1 / down, 0, -0.2 / down, -7.5 / 60, 0, 1]);
  });
});
