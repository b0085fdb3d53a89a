import { PAPER_REWARDS } from "@distilldrive/losses";
import { buildAnchors, createStreams, generateTown, streamBatches } from "@distilldrive/datasets";
import { decodeSafetensors, type Device, openDevice } from "@distilldrive/tensor";
import { fit, type FitOptions, latestCheckpoint, optimizerSchema, type Task } from "@distilldrive/training";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TEACHER_PRESETS, type TeacherConfig } from "./config.js";
import { teacherFeatures, teacherTask } from "./task.js";

const STEPS = 7;
const CONFIG: TeacherConfig = { ...TEACHER_PRESETS.tiny, channels: 16, heads: 2, maxAgents: 4, maxLines: 3, memoryFrames: 3, rewards: PAPER_REWARDS };

describe("a streaming training with reinforcement [gpu]", () => {
  let device: Device;
  let scratch: string;
  const scenes = [...generateTown({ scenes: 2, seed: 5, duration: 6 })];
  const anchors = buildAnchors(scenes, { mirror: true, seed: 0 });

  /** A task whose batch source stands at the beginning. */
  const task = (): Task =>
    teacherTask({
      config: CONFIG,
      anchors,
      batches: streamBatches(createStreams(scenes, { mirror: true, parts: 2 }), { batch: 2, seed: 3, features: teacherFeatures(CONFIG) }),
      lanes: 2,
      loss: { regression: 2, status: 3, classification: 0.5 },
      dropout: 0.1,
      augmentation: { scale: 0.1, agentDropout: 0.2, lineDropout: 0.2, blindness: 0 },
    });
  const options = (name: string, more: Partial<FitOptions> = {}): FitOptions => ({
    device, task: task(), out: path.join(scratch, name), steps: STEPS, seed: 3, optimizer: optimizerSchema.parse({ warmupSteps: 1 }),
    checkpointEvery: 100, keep: 1, logEvery: 1, run: {}, resume: false, ...more,
  });
  const saved = async (name: string): Promise<{ bytes: Buffer; log: string }> => {
    const file = await latestCheckpoint(path.join(scratch, name));
    return { bytes: await readFile((file ?? "").replace(/json$/, "safetensors")), log: await readFile(path.join(scratch, name, "metrics.jsonl"), "utf8") };
  };

  beforeAll(async () => {
    device = await openDevice();
    scratch = await mkdtemp(path.join(tmpdir(), "distilldrive-teacher-"));
  });
  afterAll(async () => {
    device.close();
    await rm(scratch, { recursive: true, force: true });
  });

  it("stopped in the middle of the drives and resumed, ends with the same bits: memory, target network, reward weights, log", async () => {
    await fit(options("whole"));
    const stop = new AbortController();
    const progress = { start: () => undefined, stop: () => undefined, update: ({ step }: { step: number }): void => { if (step >= 3) stop.abort(); } };
    const first = await fit(options("stopped", { signal: stop.signal, progress }));
    expect(first.interrupted).toBe(true);
    const halfway = decodeSafetensors(new Uint8Array((await saved("stopped")).bytes), "stopped").tensors;
    const { step } = await fit(options("stopped", { resume: true }));
    expect(step).toBe(STEPS);

    const [whole, resumed] = [await saved("whole"), await saved("stopped")];
    expect(resumed.log).toBe(whole.log);
    expect(resumed.bytes.equals(whole.bytes)).toBe(true);

    // The state that was carried over is there, holds something, and went on changing.
    const end = decodeSafetensors(new Uint8Array(whole.bytes), "whole").tensors;
    const moved = (pattern: RegExp): boolean => [...end].some(([name, { data }]) => pattern.test(name) && Array.from(data).some((value, i) => value !== 0 && value !== halfway.get(name)?.data[i]));
    expect([/^memory\./, /^model\.dqn_model\.target_model\./, /^model\.dqn_model\.reward_weight$/].map(moved)).toEqual([true, true, true]);

    const lines = whole.log.trim().split("\n").map((line) => JSON.parse(line) as Readonly<Record<string, number>>);
    expect(lines).toHaveLength(STEPS);
    for (const line of lines) {
      for (const name of ["errorStatus", "rewardStatus", "rewardCollision", "weightCollision", "valueChosen", "valueBest", "valueTarget"]) expect(line[name], name).toSatisfy(Number.isFinite);
      expect(line["rewardCollision"]).toBeGreaterThanOrEqual(0);
      expect(line["rewardCollision"]).toBeLessThanOrEqual(1);
    }
  });
});
