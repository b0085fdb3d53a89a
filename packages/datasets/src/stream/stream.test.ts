import { sharedPath } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { counterRandom, shuffledOrder } from "../counter-random.js";
import { sampleFeatures } from "../features/build.js";
import { loadScenes } from "../load.js";
import { fixtureScene } from "../scene.fixture.js";
import type { StreamBatch } from "./batch.js";
import { createStreams } from "./streams.js";
import { evaluationStream, streamBatches, type StreamBatches } from "./walk.js";

const scenes = [fixtureScene({ id: "a" }), fixtureScene({ id: "b", frames: 75, curvature: -0.02 }), fixtureScene({ id: "c", jumps: [52] })];
const features = { maxAgents: 5, maxLines: 6 };
const take = (batches: StreamBatches, count: number): StreamBatch[] => Array.from({ length: count }, () => batches.next());

describe("createStreams", () => {
  it("walks every usable frame of every phase once, plain and mirrored, never across a jump", () => {
    const streams = createStreams(scenes);
    const frames = streams.flatMap((stream) => stream.frames.map((frame) => `${stream.scene.id} ${stream.mirror} ${frame}`));
    // 120 - 30, 75 - 30, and 52 - 30 with 68 - 30 frames around the jump.
    expect(new Set(frames).size).toBe(frames.length);
    expect(frames.length).toBe(2 * (90 + 45 + 22 + 38));
    for (const { frames: list, scene } of streams) {
      list.forEach((frame, i) => i > 0 && expect(frame - (list[i - 1] ?? 0)).toBe(5));
      for (const jump of scene.jumps) expect((list[0] ?? 0) >= jump || (list.at(-1) ?? 0) + 30 < jump).toBe(true);
    }
    expect(createStreams(scenes, { phases: [0], mirror: false }).map((s) => s.frames.length)).toEqual([18, 9, 5, 7]);
    expect(createStreams(scenes, { phases: [0], mirror: false, parts: 2 }).map((s) => s.frames.length)).toEqual([9, 9, 5, 4, 3, 2, 4, 3]);
    expect(() => createStreams([fixtureScene({ frames: 20 })])).toThrow("nothing to walk");
  });
});

describe("streamBatches", () => {
  const streams = createStreams(scenes);

  it("walks each lane's stream in order and resets where a new one begins", () => {
    const batches = streamBatches(streams, { batch: 3, seed: 1, features });
    let before: StreamBatch | null = null;
    for (let step = 0; step < 60; step++) {
      const batch = batches.next();
      for (let b = 0; b < 3; b++) {
        const sample = batch.samples[b];
        const last = before?.samples[b];
        if (sample === null || sample === undefined) throw new Error("a lane is empty");
        expect(Array.from(batch.boxes.subarray(45 * b, 45 * b + 45))).toEqual(Array.from(sample.boxes));
        if (batch.reset[b] === 1) {
          expect(Array.from(batch.matchIndex.subarray(5 * b, 5 * b + 5))).toEqual([-1, -1, -1, -1, -1]);
          expect(Array.from(batch.currentFromPrevious.subarray(16 * b, 16 * b + 16))).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
          expect(batch.timeGap[b]).toBe(0);
          continue;
        }
        if (last === null || last === undefined) throw new Error("no sample before");
        expect([sample.scene, sample.mirrored, sample.frame]).toEqual([last.scene, last.mirrored, last.frame + 5]);
        expect(batch.timeGap[b]).toBeCloseTo(0.5, 6);
        for (let n = 0; n < 5; n++) {
          const match = batch.matchIndex[5 * b + n] ?? NaN;
          const id = sample.instanceIds[n] ?? NaN;
          expect(match).toBe(id < 0 ? -1 : last.instanceIds.indexOf(id));
          // The cone stands still: its last place moved into the present frame is its present place.
          if (id !== 3 || match < 0) continue;
          const [x, y, z] = last.boxes.subarray(9 * match);
          for (const [row, now] of [0, 1, 2].map((r) => [r, sample.boxes[9 * n + r]] as const)) {
            const m = batch.currentFromPrevious.subarray(16 * b + 4 * row);
            expect((m[0] ?? 0) * (x ?? 0) + (m[1] ?? 0) * (y ?? 0) + (m[2] ?? 0) * (z ?? 0) + (m[3] ?? 0)).toBeCloseTo(now ?? NaN, 4);
          }
        }
      }
      before = batch;
    }
  });

  it("shows every frame once an epoch and shuffles anew", () => {
    const batches = streamBatches(streams, { batch: 1, seed: 2, features });
    const name = (batch: StreamBatch): string => `${batch.samples[0]?.scene} ${batch.samples[0]?.mirrored} ${batch.samples[0]?.frame}`;
    const [first, second] = [0, 1].map(() => take(batches, batches.framesPerEpoch).map(name));
    expect(new Set(first).size).toBe(batches.framesPerEpoch);
    expect([...(second ?? [])].sort()).toEqual([...(first ?? [])].sort());
    expect(second).not.toEqual(first);
    expect(batches.state().epoch).toBe(1);
  });

  it("goes on after a restore bit for bit, wherever it stopped", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 1e9 }), (steps, batch, seed) => {
        const options = { batch, seed, features };
        const whole = streamBatches(streams, options);
        take(whole, steps);
        const resumed = streamBatches(streams, options);
        resumed.restore(JSON.parse(JSON.stringify(whole.state())));
        expect(take(resumed, 12)).toEqual(take(whole, 12));
        expect(resumed.state()).toEqual(whole.state());
      }),
      { numRuns: 15, seed: 11 },
    );
  });

  it("refuses states of other runs and bad options", () => {
    const batches = streamBatches(streams, { batch: 2, features });
    batches.next();
    const state = batches.state();
    expect(() => batches.restore({ ...state, seed: 5 })).toThrow("the state has other seed, expected 0, got 5");
    expect(() => streamBatches(streams, { batch: 3 }).restore(state)).toThrow("other lanes, expected 3, got 2");
    expect(() => streamBatches(streams.slice(1), { batch: 2 }).restore(state)).toThrow("other streams");
    expect(() => batches.restore({ ...state, epoch: -1 })).toThrow("restore: epoch");
    expect(() => batches.restore(null)).toThrow("Give what state() returned");
    expect(() => streamBatches(streams, { batch: 0 })).toThrow("expected a whole number of lanes, 1 or more, got 0");
    expect(() => streamBatches([], { batch: 1 })).toThrow("no streams");
  });
});

describe("evaluationStream", () => {
  it("gives the same samples in every number of lanes, padding lanes that have run out", () => {
    const names = (batch: number): string[] => {
      const walk = evaluationStream(scenes, { batch, features });
      const seen: string[] = [];
      for (let step = walk.next(); step !== null; step = walk.next()) {
        step.samples.forEach((sample, b) => {
          expect(step?.laneMask[b]).toBe(sample === null ? 0 : 1);
          if (sample === null) expect(step?.agentMask.subarray(5 * b, 5 * b + 5).some((v) => v !== 0)).toBe(false);
          else seen.push(`${sample.scene} ${sample.frame} ${step?.reset[b]}`);
        });
      }
      expect(seen.length).toBe(walk.frames);
      return seen;
    };
    const one = names(1);
    expect(one.slice(0, 3)).toEqual(["a 0 1", "a 5 0", "a 10 0"]);
    for (const batch of [2, 3, 7]) expect(names(batch).sort()).toEqual([...one].sort());
  });
});

describe("counterRandom", () => {
  it("is uniform, and different for every counter and seed", () => {
    const values = Array.from({ length: 4000 }, (_, i) => counterRandom(i % 4, Math.floor(i / 4), i));
    expect(values.reduce((a, b) => a + b) / values.length).toBeCloseTo(0.5, 1);
    expect(new Set(values).size).toBeGreaterThan(3990);
    expect(values.every((v) => v >= 0 && v < 1)).toBe(true);
    expect(counterRandom(2 ** 40, 0, 0)).not.toBe(counterRandom(0, 0, 0));
    expect([...shuffledOrder(9, 3, 1)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    // Each place holds each number about equally often.
    const firsts = Array.from({ length: 600 }, (_, round) => shuffledOrder(6, 5, round)[0]);
    for (let n = 0; n < 6; n++) expect(firsts.filter((first) => first === n).length).toBeGreaterThan(60);
  });
});

const data = sharedPath("data", "scenarionet");
describe.skipIf(data === null)("speed on a real scene", () => {
  it("gives at least 300 samples a second", async () => {
    const [scene] = await loadScenes(data ?? "", { only: ["0061"] });
    if (scene === undefined) throw new Error("no scene");
    const batches = streamBatches(createStreams([scene]), { batch: 4, features: { maxAgents: 64, maxLines: 32 } });
    take(batches, 10);
    // Processor time: other work on the machine does not count.
    const start = process.cpuUsage().user;
    take(batches, 60);
    const rate = 240 / ((process.cpuUsage().user - start) / 1e6);
    process.stdout.write(`features: ${rate.toFixed(0)} samples/s (scene-0061, 225 agents)\n`);
    expect(rate).toBeGreaterThan(300);
    expect(sampleFeatures(scene, 0).agentMask.reduce((a, b) => a + b)).toBeGreaterThan(20);
  });
});
