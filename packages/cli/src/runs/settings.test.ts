import { PUBLISHED_REWARDS } from "@distilldrive/losses";
import { TEACHER_COMPAT, TEACHER_PRESETS } from "@distilldrive/teacher";
import { learningRateAt } from "@distilldrive/training";
import { describe, expect, it } from "vitest";
import { resolveSettings } from "./settings.js";

/** Resolved settings of a teacher. */
function teacher(content: object, flags: Parameters<typeof resolveSettings>[2] = {}): Extract<ReturnType<typeof resolveSettings>, { task: "teacher" }> {
  const resolved = resolveSettings("teacher", content, flags);
  if (resolved.task !== "teacher") throw new Error("no teacher");
  return resolved;
}

describe("preset published", () => {
  const { settings, model } = teacher({}, { preset: "published" });

  it("has the published teacher: sizes of the method, behaviour of the code", () => {
    expect(model).toMatchObject({
      channels: 256, heads: 8, agentEncoderLayers: 4, decoderGroups: 2, memoryFrames: 4, maxAgents: 150, maxLines: 50,
      decoder: ["temporal", "agent", "norm", "map", "norm", "ffn", "norm"],
      // The planner sees no ego state, and its regressions are plain displacements (T13).
      egoInput: "none", planReference: "none", motionReference: "none", agentInput: "future",
      // T14, T10, T11, T1, T15, T2, T19, T18
      status: "perMode", velocityInterval: 0.1, directionOffset: 1, mapSlots: "padding", agentMaxGap: 1e9, egoVelocity: "zero", rescoring: "published", rewards: PUBLISHED_REWARDS,
    });
    expect(model.rewards).toEqual(["status", "consistency", "speed", "mean", "start", "end"]);
  });

  it("trains as stage 0: SOAP, cosine to 1 %, clipping, precision, batch and epochs", () => {
    const { optimizer } = settings;
    expect(optimizer).toMatchObject({ kind: "soap", learningRate: 6e-4, beta1: 0.95, beta2: 0.95, weightDecay: 1e-3, clipNorm: 25, accumulate: 1, emaDecay: 0 });
    expect([learningRateAt(optimizer, 0, 1000), learningRateAt(optimizer, 500, 1000), learningRateAt(optimizer, 1000, 1000)].map((rate) => Number(rate.toPrecision(6)))).toEqual([6e-4, 3.03e-4, 6e-6]);
    expect(settings.precision).toMatchObject({ storage: "mixed", lossScale: 32 });
    expect(settings.batch).toBeGreaterThanOrEqual(48);
    expect(settings.batch).toBeLessThanOrEqual(64);
    expect([settings.epochs, settings.steps, settings.dropout]).toEqual([30, undefined, 0.1]);
  });

  it("walks drives in order, each in two parts, and nothing else", () => {
    expect([settings.parts, settings.mirror, settings.town.scenes, settings.reference.steps]).toEqual([2, false, 0, 0]);
    expect(settings.augmentation).toEqual({ scale: 0, agentDropout: 0, lineDropout: 0, blindness: 0 });
  });

  it("weighs the losses as T16 to T18 say", () => {
    expect(settings.loss).toMatchObject({
      regression: 2, status: 2, classification: 0.5, motionClassification: 0.2, motionRegression: 0.2, reinforcement: 1,
      labels: "soft", softLabels: { neighbours: 2, share: 0.05, floor: 1e-10 }, normaliser: "all",
    });
  });

  it("is what a file, and then flags, are put over, field by field", () => {
    const { settings: changed, model: smaller } = teacher({ preset: "published", optimizer: { learningRate: 1e-4 }, loss: { status: 3 }, model: { maxAgents: 20, mapSlots: "lines" } }, { epochs: 2 });
    expect(changed.optimizer).toEqual({ ...settings.optimizer, learningRate: 1e-4 });
    expect(changed.loss).toEqual({ ...settings.loss, status: 3 });
    expect([changed.epochs, changed.batch]).toEqual([2, 48]);
    expect(smaller).toEqual({ ...model, maxAgents: 20, mapSlots: "lines" });
  });

  it("comes back the same from what a run keeps of it", () => {
    expect(teacher(JSON.parse(JSON.stringify(settings)) as object)).toEqual({ task: "teacher", settings, model });
  });
});

describe("the other presets", () => {
  it.each(["tiny", "small", "full"] as const)("%s is a size, with our settings of training", (preset) => {
    const { settings, model } = teacher({}, { preset });
    expect(model).toEqual(TEACHER_PRESETS[preset]);
    expect(settings.optimizer.kind).toBe("adamw");
    expect(settings.loss.softLabels).toEqual({ neighbours: 2, share: 0.1, floor: 1e-10 });
  });

  it("take the behaviour of the published code, or of the paper, by compat; fields of the model win", () => {
    expect(teacher({ compat: "published" }).model).toEqual({ ...TEACHER_PRESETS.tiny, ...TEACHER_COMPAT.published });
    expect(teacher({ model: { agentMaxGap: 1 } }, { compat: "published" }).model).toEqual({ ...TEACHER_PRESETS.tiny, ...TEACHER_COMPAT.published, agentMaxGap: 1 });
    const intended = teacher({}, { preset: "published", compat: "intended" }).model;
    expect(intended).toMatchObject({ channels: 256, egoInput: "none", mapSlots: "lines", velocityInterval: 0.5, directionOffset: 0, agentMaxGap: 2 });
  });

  it("are trained with reinforcement by one setting, over compat and under a list of the model's own", () => {
    expect(teacher({ rewards: "paper" }).model.rewards).toEqual(["status", "consistency", "speed", "mean", "start", "end", "collision"]);
    expect(teacher({}, { rewards: "published" }).model).toEqual({ ...TEACHER_PRESETS.tiny, rewards: PUBLISHED_REWARDS });
    expect(teacher({ rewards: "none" }, { compat: "published" }).model.rewards).toEqual([]);
    expect(teacher({ model: { rewards: ["speed"] } }, { rewards: "paper" }).model.rewards).toEqual(["speed"]);
    expect(() => teacher({ rewards: "all" })).toThrow(/config.*rewards/s);
    expect(() => teacher({ buckets: { agents: [48, 24] } })).toThrow(/config.*buckets\.agents.*ascending/s);
    expect(() => teacher({ buckets: { lines: [0] } })).toThrow(/config.*buckets\.lines/s);
    expect(() => teacher({ buckets: { agent: [8] } })).toThrow(/agents/);
  });

  it("students have no published one yet", () => {
    expect(() => resolveSettings("student", {}, { preset: "published" })).toThrow('config: unknown preset "published", expected one of tiny, small, full.');
    expect(() => resolveSettings("student", {}, { compat: "published" })).toThrow('unknown key "compat"');
  });

  it("reach every part of the optimiser and of the precision", () => {
    const optimizer = {
      kind: "soap", learningRate: 2e-3, warmupSteps: 500, warmupFrom: 1 / 3, schedule: "cosine", finalFraction: 0.001, clipNorm: 5, accumulate: 2, emaDecay: 0.999,
      groups: [{ match: "map_encoder.*", learningRateFactor: 0.1 }, { match: "dqn_model.*", frozen: true }], soap: { preconditionFrequency: 5, maxPreconditionDim: 512, shampooBeta: 0.9 },
    };
    const { settings } = teacher({ optimizer, precision: { storage: "mixed", lossScale: "dynamic" } });
    expect(settings.optimizer).toMatchObject(optimizer);
    expect(settings.precision).toEqual({ storage: "mixed", lossScale: "dynamic", growthSteps: 500 });
  });
});
