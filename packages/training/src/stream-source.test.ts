import { augmentSchema, createStreams, generateScene, type StreamBatches, streamBatches } from "@distilldrive/datasets";
import { describe, expect, test } from "vitest";
import { batchInputs, streamSource } from "./stream-source.js";

const streams = createStreams([generateScene(3, { duration: 8 })], { phases: [0, 1], parts: 2 });
const walk = (seed = 5): StreamBatches => streamBatches(streams, { batch: 3, seed, features: { maxAgents: 6, maxLines: 6 } });
const augmentation = augmentSchema.parse({});

describe("streamSource", () => {
  test("hands the arrays of a batch on by name, and what is added to it", async () => {
    const expected = batchInputs(walk().next());
    expect(Object.keys(expected)).toEqual(expect.arrayContaining(["egoStatus", "egoFuture", "command", "boxes", "reset"]));
    const batch = await streamSource(walk(), { more: ({ laneMask }) => Promise.resolve({ images: laneMask.map((_, lane) => lane) }) }).next();
    expect(batch.samples).toBe(3);
    expect(batch.inputs).toEqual({ ...expected, images: Float32Array.of(0, 1, 2) });
  });

  test("resumed anywhere, even over the end of an epoch, the augmented batches are the same", async () => {
    const steps = 2 * Math.ceil(walk().framesPerEpoch / 3);
    const source = streamSource(walk(), { augmentation });
    const [states, batches] = [[] as string[], [] as unknown[]];
    for (let step = 0; step < steps; step++) {
      states.push(JSON.stringify(source.state()));
      batches.push(await source.next());
    }
    expect((JSON.parse(states.at(-1) ?? "{}") as { epoch: number }).epoch).toBeGreaterThan(0);
    for (const step of [0, 1, Math.floor(steps / 2), steps - 2]) {
      const resumed = streamSource(walk(), { augmentation });
      resumed.restore(JSON.parse(states[step] ?? ""));
      expect(await resumed.next()).toEqual(batches[step]);
      if (step + 1 < steps) expect(await resumed.next()).toEqual(batches[step + 1]);
    }
  });

  test("augmentation changes what is seen, another way in every step", async () => {
    const [plain, changed] = [streamSource(walk()), streamSource(walk(), { augmentation: { ...augmentation, scale: 0, agentDropout: 0.5 } })];
    const hidden: string[] = [];
    for (let step = 0; step < 6; step++) {
      const [before, after] = [(await plain.next()).inputs, (await changed.next()).inputs];
      expect(after["egoFuture"]).toEqual(before["egoFuture"]);
      hidden.push(Array.from(after["agentMask"] ?? [], (kept, slot) => kept - (before["agentMask"]?.[slot] ?? 0)).join());
    }
    expect(new Set(hidden).size).toBeGreaterThan(4);
  });
});
