import { buildAnchors, createStreams, generateTown, streamBatches } from "@distilldrive/datasets";
import { type Device, Graph, openDevice, variablesOf } from "@distilldrive/tensor";
import { compare, countCalls, f32Reduce } from "@distilldrive/testkit";
import { type BatchSource, fit, type FitOptions, type FitResult, latestCheckpoint, optimizerSchema, type Task } from "@distilldrive/training";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TEACHER_PRESETS, type TeacherConfig } from "./config.js";
import { bucketedSource, type SlotBuckets, slotCombinations } from "./slots.js";
import { teacherFeatures, teacherTask, trainedTeacher } from "./task.js";
import { createTeacher } from "./teacher.js";

const STEPS = 10;
const CONFIG: TeacherConfig = { ...TEACHER_PRESETS.tiny, channels: 16, heads: 2, maxAgents: 32, maxLines: 10, memoryFrames: 3 };
/** The town's batches need 16 to 24 agents and 4 to 8 lines. */
const BUCKETS: SlotBuckets = { agents: [17, 20, 22], lines: [5] };
const WHOLE: SlotBuckets = { agents: [], lines: [] };

const scenes = [...generateTown({ scenes: 3, seed: 5, duration: 6 })];
const anchors = buildAnchors(scenes, { mirror: true, seed: 0 });

/** A task whose batch source stands at the beginning. */
const task = (buckets: SlotBuckets): Task =>
  teacherTask({
    config: CONFIG,
    anchors,
    batches: streamBatches(createStreams(scenes, { mirror: true, parts: 2 }), { batch: 2, seed: 3, features: teacherFeatures(CONFIG) }),
    lanes: 2,
    loss: { regression: 2, status: 3, classification: 0.5 },
    dropout: 0,
    augmentation: { scale: 0.1, agentDropout: 0.3, lineDropout: 0.3, blindness: 0 },
    buckets,
  });

describe("the slots of a batch", () => {
  const source = (buckets: SlotBuckets, config = CONFIG): BatchSource => bucketedSource(
    { next: () => ({ inputs: { instanceIds: Int32Array.of(7, -1, 3, -1, -1, 2, -1, -1, -1, -1), boxes: Float32Array.from({ length: 90 }, (_, i) => i), lineMask: Float32Array.of(0, 0, 1, 0, 0, 0, 0, 0) }, samples: 2 }), state: () => 0, restore: () => undefined },
    { ...config, maxAgents: 5, maxLines: 4 }, 2, buckets,
  );

  it("are cut to the smallest bucket that holds the last used one of any lane", async () => {
    const { inputs, slots } = await source({ agents: [2, 3, 9], lines: [1, 3] }).next();
    expect(slots).toEqual({ agents: 3, lines: 3 });
    expect([...(inputs["instanceIds"] as Int32Array)]).toEqual([7, -1, 3, 2, -1, -1]);
    expect([...(inputs["boxes"] as Float32Array)]).toEqual([...Array(27).keys(), ...[...Array(27).keys()].map((i) => 45 + i)]);
    expect([...(inputs["lineMask"] as Float32Array)]).toEqual([0, 0, 1, 0, 0, 0]);
  });

  it("stay whole where no bucket below the maximum holds them, and lines where the planner looks at the empty ones", async () => {
    expect((await source({ agents: [2], lines: [1] }).next()).slots).toEqual({});
    expect((await source({ agents: [3], lines: [3] }, { ...CONFIG, mapSlots: "padding" }).next()).slots).toEqual({ agents: 3 });
    expect((await source({ agents: [5, 8], lines: [] }).next()).slots).toBeUndefined();
  });

  it("come in every combination, of preset tiny in one only", () => {
    expect(slotCombinations({ ...CONFIG, maxAgents: 5, maxLines: 4 }, { agents: [3], lines: [2] })).toEqual([{ agents: 3, lines: 2 }, { agents: 3 }, { lines: 2 }]);
    expect(slotCombinations(TEACHER_PRESETS.tiny)).toEqual([]);
    expect(slotCombinations(TEACHER_PRESETS.full)).toHaveLength(11);
  });
});

describe("a trained teacher", () => {
  const slots = (maxAgents: number): (number | undefined)[] => {
    const { features, model, trace, memory } = trainedTeacher({ ...CONFIG, maxAgents }, anchors, new Map());
    const { motion } = trace(new Graph(), 1, memory(1));
    // The weights are those of the run, whatever the slots.
    expect([...variablesOf(model).keys()]).toEqual([...variablesOf(createTeacher({ ...CONFIG, maxAgents }, anchors)).keys()]);
    return [features.maxAgents, motion?.logits.at(1)];
  };

  it("plans with the published slots, or with none where it was trained without agents", () => {
    expect(slots(4)).toEqual([150, 150]);
    expect(slots(200)).toEqual([200, 200]);
    expect(slots(0)).toEqual([0, undefined]);
  });
});

describe("training with bucketed slots [gpu]", () => {
  let device: Device;
  let scratch: string;
  beforeAll(async () => {
    device = await openDevice();
    scratch = await mkdtemp(path.join(tmpdir(), "distilldrive-slots-"));
  });
  afterAll(async () => {
    device.close();
    await rm(scratch, { recursive: true, force: true });
  });
  const train = (name: string, buckets: SlotBuckets, more: Partial<FitOptions> = {}): Promise<FitResult> => fit({
    device, task: task(buckets), out: path.join(scratch, name), steps: STEPS, seed: 3, optimizer: optimizerSchema.parse({ warmupSteps: 1, learningRate: 1e-4 }),
    checkpointEvery: 100, keep: 1, logEvery: 1, run: {}, resume: false, ...more,
  });
  const logOf = (name: string): Promise<string> => readFile(path.join(scratch, name, "metrics.jsonl"), "utf8");
  const rows = async (name: string): Promise<Record<string, number>[]> => (await logOf(name)).trim().split("\n").map((line) => JSON.parse(line) as Record<string, number>);
  const weightsOf = async (name: string): Promise<Buffer> => readFile(((await latestCheckpoint(path.join(scratch, name))) ?? "").replace(/json$/, "safetensors"));

  it("gives the losses and gradients of all slots, over a memory whose frames differ in slots, for less work", async () => {
    const whole = await train("whole", WHOLE, { profile: true });
    const notes: string[] = [];
    const cut = await train("cut", BUCKETS, { profile: true, progress: { start: () => undefined, stop: () => undefined, update: () => undefined, note: (text) => notes.push(text) } });
    const [expected, actual] = [await rows("whole"), await rows("cut")];
    expect(actual).toHaveLength(STEPS);
    for (const [i, row] of actual.entries()) compare(Object.values(row), Object.values(expected[i] ?? {}), f32Reduce(20_000), { op: `step ${i + 1}: ${Object.keys(row).join(", ")}` });

    expect(whole.programs).toEqual([{ slots: {}, batches: STEPS, flops: whole.wholeFlops }]);
    expect(cut.wholeFlops).toBe(whole.wholeFlops);
    expect(cut.programs.length).toBeGreaterThanOrEqual(4);
    expect(cut.programs.reduce((sum, { batches }) => sum + batches, 0)).toBe(STEPS);
    for (const { slots, flops } of cut.programs) if (Object.keys(slots).length > 0) expect(flops).toBeLessThan(whole.wholeFlops ?? 0);
    expect(notes).toHaveLength(cut.programs.length - 1);
    expect(notes[0]).toMatch(/^compiling the step for batches with (agents \d+|lines \d+|all slots)/);
  });

  it("stopped between two buckets and resumed, ends with the same bits", async () => {
    const stop = new AbortController();
    const progress = { start: () => undefined, stop: () => undefined, update: ({ step }: { step: number }): void => { if (step >= 3) stop.abort(); } };
    const first = await train("stopped", BUCKETS, { signal: stop.signal, progress });
    expect(first.interrupted).toBe(true);
    const second = await train("stopped", BUCKETS, { resume: true });
    expect(second.step).toBe(STEPS);
    expect(second.programs[0]?.slots).not.toEqual(first.programs[0]?.slots);
    expect(await logOf("stopped")).toBe(await logOf("cut"));
    expect((await weightsOf("stopped")).equals(await weightsOf("cut"))).toBe(true);
  });

  it("makes no new buffer once every combination was seen, and its programs share one arena", async () => {
    const counts = countCalls(device.gpu);
    const seen: { slots: string; buffers: number }[] = [];
    const own = task(BUCKETS);
    const batches: BatchSource = { ...own.batches, next: async () => {
      const batch = await own.batches.next();
      seen.push({ slots: JSON.stringify(batch.slots), buffers: counts.buffers });
      return batch;
    } };
    const result = await train("counted", BUCKETS, { task: { ...own, batches }, steps: 24, logEvery: 100 });
    const lastNew = Math.max(...seen.map(({ slots }) => seen.findIndex((other) => other.slots === slots)));
    // An entry counts the buffers before its own program was compiled.
    const after = seen.slice(lastNew + 1).map(({ buffers }) => buffers);
    expect(after.length).toBeGreaterThan(4);
    expect(new Set(after).size).toBe(1);
    const alone = await train("alone", WHOLE, { steps: 1 });
    expect(result.gpuBytes).toBeLessThan(2 * alone.gpuBytes);
  });
});
