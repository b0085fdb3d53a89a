import { readNpz, sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { boxesMeet, type GroundBox } from "./boxes-meet.js";
import { choosePlan } from "./choose-plan.js";

/** 18 modes; the straight command's mode m drives m + 1 metres a step straight ahead. */
const deltas = Float64Array.from({ length: 18 * 6 * 2 }, (_, i) => (i % 2 === 1 ? (Math.floor(i / 12) % 6) + 1 : 0));

describe("choosePlan", () => {
  it("takes the best of the command's modes, not of all", () => {
    const logits = Float64Array.from({ length: 18 }, (_, i) => (i === 0 ? 9 : i === 15 ? 2 : i / 100));
    const chosen = choosePlan(2, { logits, deltas });
    expect([chosen.index, chosen.mode]).toEqual([15, 3]);
    expect([...chosen.positions]).toEqual([0, 4, 0, 8, 0, 12, 0, 16, 0, 20, 0, 24]);
    expect(() => choosePlan(3, { logits, deltas })).toThrow(/expected a whole number in \[0, 2\], got 3/);
  });

  const standing = (y: number, ignore: number) => ({
    boxes: [0, y, 0, 4.5, 1.9, 1.6, Math.PI / 2, 0, 0],
    ignore: [ignore],
    logits: [0, 1],
    // The less likely mode leaves at once, the likely one stays.
    deltas: Float64Array.from({ length: 2 * 12 * 2 }, (_, i) => (i < 24 ? 50 : 0)),
  });

  it("pushes modes down that hit an agent's most likely box", () => {
    const logits = Float64Array.from({ length: 18 }, (_, i) => i);
    // A car standing 20 m ahead: only modes that end short of it (1 and 2 m a step: 6 and 12 m) survive.
    const chosen = choosePlan(2, { logits, deltas }, { agents: standing(20, 0) });
    expect(chosen.mode).toBe(1);
    expect([...chosen.scores].map((score) => score < -900)).toEqual([false, false, true, true, true, true]);
    expect(choosePlan(2, { logits, deltas }, { agents: standing(20, 1) }).mode).toBe(5);
  });

  it("changes nothing when every mode collides", () => {
    const logits = Float64Array.from({ length: 18 }, (_, i) => i);
    expect(choosePlan(2, { logits, deltas }, { agents: standing(3, 0) }).mode).toBe(5);
  });
});

describe("boxesMeet", () => {
  const path = sharedPath("golden", "unit_rescore.npz");
  it.skipIf(path === null)("agrees with the published test on 400 pairs", () => {
    if (path === null) return;
    const golden = readNpz(path);
    const [first, second] = [golden.get("check_collision.boxes1").numbers(), golden.get("check_collision.boxes2").numbers()];
    const box = (boxes: Float64Array, row: number): GroundBox => {
      const [x = 0, y = 0, , length = 0, width = 0, , yaw = 0] = boxes.subarray(row * 7, row * 7 + 7);
      return { x, y, length, width, yaw };
    };
    const flags = Array.from({ length: 400 }, (_, row) => (boxesMeet(box(first, row), box(second, row)) ? 1 : 0));
    expect(flags).toEqual([...golden.get("check_collision.out").numbers()]);
  });
});
