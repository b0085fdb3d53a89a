import { buildAnchors, createStreams, generateTown, streamBatches } from "@distilldrive/datasets";
import { PUBLISHED_DECODER } from "@distilldrive/nn";
import { gradients, Graph, interpret, parametersOf, planProgram, portableTarget, variablesOf } from "@distilldrive/tensor";
import { loopSchema, type Task, traceTraining } from "@distilldrive/training";
import { describe, expect, it } from "vitest";
import { TEACHER_PRESETS, type TeacherConfig } from "./config.js";
import { variableValues } from "./golden.fixture.js";
import { teacherFeatures, teacherTask } from "./task.js";

const LANES = 2;
const CONFIG: TeacherConfig = { ...TEACHER_PRESETS.tiny, channels: 16, heads: 2, maxAgents: 4, maxLines: 3, rewards: ["status", "collision"] };
const streams = createStreams([...generateTown({ seed: 5, scenes: 1, duration: 5 })], { mirror: false });
const anchors = buildAnchors([]);

/** The `decoder` of the paper's table 2, and a scene with nobody in it. */
const without = (...operations: string[]): Partial<TeacherConfig> => ({ decoder: PUBLISHED_DECODER.filter((each) => !operations.includes(each)) });

interface Step {
  readonly task: Task;
  /** Names of the model's variables. */
  readonly variables: readonly string[];
  /** Floating point operations of a whole training step. */
  readonly flops: number;
  /** Inputs the device reads. */
  readonly reads: readonly string[];
}

/** What a training step of a teacher computes and reads. */
function step(change: Partial<TeacherConfig>): Step {
  const config = { ...CONFIG, ...change };
  const batches = streamBatches(streams, { batch: LANES, seed: 1, features: teacherFeatures(config) });
  const task = teacherTask({ config, anchors, batches, lanes: LANES, loss: { regression: 2, status: 3, classification: 0.5 }, dropout: 0 });
  const { graph } = traceTraining(task, loopSchema.parse({}).optimizer, 1);
  const { launches, inputs } = planProgram(graph, portableTarget);
  return {
    task,
    variables: [...variablesOf(task.model).keys()],
    flops: launches.reduce((total, { kernel }) => total + kernel.cost.flops, 0),
    reads: inputs.map(({ name }) => name),
  };
}

describe("a teacher without a part of the scene", () => {
  const whole = step({});
  const has = ({ variables }: { variables: readonly string[] }, prefix: string): boolean => variables.some((name) => name.startsWith(prefix));

  it.each([
    { name: "temporal decoder", change: without("temporal"), gone: ["memory."], unread: ["matchIndex", "timeGap", "reset", "currentFromPrevious"] },
    { name: "map decoder", change: without("map"), gone: ["model.map_encoder."], unread: ["lines", "lineLabels", "lineMask"] },
    { name: "agents", change: { maxAgents: 0 }, gone: ["model.agent_encoder.", "model.motion_anchor"], unread: ["boxes", "labels", "futureDisplacement", "futureMask"] },
  ])("has neither variables nor inputs nor work of the $name", ({ change, gone, unread }) => {
    const part = step(change);
    for (const prefix of gone) expect([has(whole, prefix), has(part, prefix)], prefix).toEqual([true, false]);
    expect(whole.reads).toEqual(expect.arrayContaining(unread));
    expect(part.reads.filter((name) => unread.includes(name))).toEqual([]);
    expect(part.flops).toBeLessThan(0.95 * whole.flops);
  });

  it.each([without("temporal"), without("agent"), without("map"), { maxAgents: 0 }, { maxAgents: 0, ...without("temporal", "agent", "map") }])("learns all the same: %j", async (change) => {
    const { task } = step(change);
    const graph = new Graph();
    const { loss, terms } = task.trace(graph, graph.input("key", [4], "u32"), {});
    expect(Object.keys(terms).includes("motionRegression")).toBe(change.maxAgents !== 0);
    const heads = [...parametersOf(task.model)].filter(([name]) => /plan_(cls|reg|status)_branch\.0\.weight$/.test(name));
    gradients(loss, heads.map(([, variable]) => variable)).forEach((gradient, i) => graph.output(`gradient ${i}`, gradient));
    const { inputs } = await task.batches.next();
    const { outputs } = interpret(graph, { inputs, variables: variableValues(task.model, 3) });
    expect(outputs.size).toBe(3);
    for (const [name, gradient] of outputs) expect(gradient.reduce((most, x) => Math.max(most, Math.abs(x)), 0), name).toBeGreaterThan(1e-6);
  });
});
