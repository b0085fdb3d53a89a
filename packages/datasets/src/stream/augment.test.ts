import { expect, test } from "vitest";
import { generateScene } from "../town/index.js";
import { augmentBatch, augmentSchema, NO_AUGMENTATION } from "./augment.js";
import { createStreams } from "./streams.js";
import { streamBatches } from "./walk.js";

const batches = streamBatches(createStreams([generateScene(3)], { phases: [0] }), { batch: 2, seed: 5, features: { maxAgents: 12, maxLines: 12 } });
batches.next();
const batch = batches.next();
const drives = [4, 9];

test("without any change the batch stays as it is", () => {
  const same = augmentBatch(batch, NO_AUGMENTATION, 1, drives, 7);
  for (const [name, value] of Object.entries(batch)) expect(same[name as keyof typeof batch]).toEqual(value);
});

test("a resized drive keeps its shape: every length and speed has the same factor, angles and times none", () => {
  const resized = augmentBatch(batch, { ...NO_AUGMENTATION, scale: 0.5 }, 1, drives, 7);
  const perLane = batch.egoFuture.length / 2;
  for (const lane of [0, 1]) {
    const at = lane * perLane + perLane - 1;
    const factor = (resized.egoFuture[at] ?? 0) / (batch.egoFuture[at] ?? 1);
    expect(factor).toBeGreaterThanOrEqual(Math.exp(-0.5));
    expect(factor).toBeLessThanOrEqual(Math.exp(0.5));
    expect(Math.abs(factor - 1)).toBeGreaterThan(1e-3);
    const status = (array: typeof batch): number[] => [...array.egoStatus.slice(10 * lane, 10 * lane + 10)];
    status(resized).forEach((value, i) => {
      const scaled = [0, 1, 2, 6, 7, 8].includes(i) ? factor : 1;
      expect(value).toBeCloseTo((status(batch)[i] ?? 0) * scaled, 4);
    });
    expect(resized.boxes[108 * lane + 6]).toBe(batch.boxes[108 * lane + 6]);
    expect(resized.boxes[108 * lane]).toBeCloseTo((batch.boxes[108 * lane] ?? 0) * factor, 4);
    expect(resized.lines[480 * lane]).toBeCloseTo((batch.lines[480 * lane] ?? 0) * factor, 4);
    expect(resized.currentFromPrevious[16 * lane + 7]).toBeCloseTo((batch.currentFromPrevious[16 * lane + 7] ?? 0) * factor, 4);
    expect(resized.currentFromPrevious[16 * lane]).toBe(batch.currentFromPrevious[16 * lane]);
  }
  expect(resized.timeGap).toEqual(batch.timeGap);
});

test("hidden agents and lines lose their masks; the same draw hides the same ones", () => {
  const options = { ...NO_AUGMENTATION, agentDropout: 0.5, lineDropout: 0.5 };
  const first = augmentBatch(batch, options, 1, drives, 7);
  expect(augmentBatch(batch, options, 1, drives, 7)).toEqual(first);
  const count = (mask: Float32Array): number => mask.reduce((sum, value) => sum + value, 0);
  expect(count(first.lineMask)).toBeLessThan(count(batch.lineMask));
  expect(augmentBatch(batch, options, 1, drives, 8).lineMask).not.toEqual(first.lineMask);
  first.agentMask.forEach((kept, slot) => {
    if (kept === 0) expect(first.futureMask.slice(12 * slot, 12 * slot + 12).every((value) => value === 0)).toBe(true);
  });
  const blind = augmentBatch(batch, { ...NO_AUGMENTATION, blindness: 0.999 }, 1, drives, 7);
  expect(count(blind.agentMask) + count(blind.lineMask)).toBe(0);
});

test("unknown settings are refused", () => {
  expect(augmentSchema.safeParse({ scales: 1 }).success).toBe(false);
  expect(augmentSchema.parse({}).scale).toBe(0.35);
});
