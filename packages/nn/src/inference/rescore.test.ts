import { readNpz, sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { predictedBoxes } from "./predicted-boxes.js";
import { PUBLISHED_RESCORING, rescore } from "./rescore.js";

const path = sharedPath("golden", "unit_rescore.npz");

describe.skipIf(path === null)("rescore as published", () => {
  const golden = readNpz(path ?? "");
  const read = (name: string): Float64Array => golden.get(name).numbers();
  const plans = (of: string, lane: number): Float64Array[] => Array.from({ length: 6 }, (_, mode) => read(`${of}plan_reg`).subarray((lane * 6 + mode) * 12, (lane * 6 + mode + 1) * 12));
  const pushed = (before: ArrayLike<number>, after: ArrayLike<number>): number[] => Array.from(before, (value, i) => ((after[i] ?? 0) < value - 500 ? 1 : 0));

  const teacherCase = (i: number) => {
    const of = `ego.${i}.`;
    const boxes = new Float64Array(20 * 9);
    boxes.set(read(`${of}gt_target`));
    const agents = { boxes, ignore: read(`${of}motion_mask`).map((valid) => 1 - valid), logits: read(`${of}motion_cls`), deltas: read(`${of}motion_reg`) };
    return { logits: read(`${of}plan_cls`), candidates: plans(of, 0), agents, expected: read(`${of}out`) };
  };

  it("is the teacher's on 40 scenes; what is intended differs on most of them", () => {
    let differ = 0;
    for (let i = 0; i < 40; i++) {
      const { logits, candidates, agents, expected } = teacherCase(i);
      expect(pushed(logits, rescore(logits, candidates, agents, PUBLISHED_RESCORING.teacher)), `ego.${i}`).toEqual(pushed(logits, expected));
      if (pushed(logits, rescore(logits, candidates, agents)).join() !== pushed(logits, expected).join()) differ++;
    }
    expect(differ).toBeGreaterThan(20);
  });

  it("is the student's on 80 scenes", () => {
    for (let i = 0; i < 40; i++) {
      for (const lane of [0, 1]) {
        const of = `hier.${i}.`;
        const part = (name: string): Float64Array => read(`${of}${name}`).subarray((lane * read(`${of}${name}`).length) / 2, ((lane + 1) * read(`${of}${name}`).length) / 2);
        const encoded = part("det_anchors");
        const boxes = Array.from({ length: 20 }, (_, slot) => {
          const [x = 0, y = 0, z = 0, l = 0, w = 0, h = 0, sin = 0, cos = 0] = encoded.subarray(slot * 11);
          return [x, y, z, Math.exp(l), Math.exp(w), Math.exp(h), Math.atan2(sin, cos), 0, 0];
        }).flat();
        const agents = { boxes, ignore: part("det_confidence").map((p) => (p < 0.5 ? 1 : 0)), logits: part("motion_cls"), deltas: part("motion_reg") };
        const { shiftedAgainst, ...others } = PUBLISHED_RESCORING.student;
        const scores = rescore(part("plan_cls"), plans(of, lane), agents, { ...others, shiftedAgainst: lane === 0 ? shiftedAgainst : null });
        expect(pushed(part("plan_cls"), scores), `hier.${i}, lane ${lane}`).toEqual(pushed(part("plan_cls"), part("out")));
      }
    }
  });
});

/** One agent at (2, 10), looking along +y; its two modes go +x and +y by a metre a step. */
const agent = (logits: readonly [number, number], ignore = 0) => ({
  boxes: [2, 10, 0, 4, 2, 1.5, Math.PI / 2, 0, 0],
  ignore: [ignore],
  logits,
  deltas: Float64Array.from({ length: 2 * 6 * 2 }, (_, i) => (i < 12 ? 1 - (i % 2) : i % 2)),
});

describe("predictedBoxes", () => {
  const centres = (boxes: ReturnType<typeof predictedBoxes>): (readonly number[])[] => (boxes[0] ?? []).map(({ x, y, yaw }) => [x, y, yaw]);

  it("follows the most likely mode, heading where it goes", () => {
    const boxes = predictedBoxes(agent([1, 0]), 3, { standing: 0.5, path: "mostLikely" });
    expect(centres(boxes)).toEqual([[3, 10, 0], [4, 10, 0], [5, 10, 0]]);
  });

  it("as published stands where the first mode is after as many steps as the most likely mode's index", () => {
    const at = (logits: readonly [number, number]): (readonly number[])[] => centres(predictedBoxes(agent(logits), 2, { standing: 0.5, path: "modeAsStep" }));
    expect(at([1, 0])).toEqual([[2, 10, Math.PI / 2], [2, 10, Math.PI / 2]]);
    expect(at([0, 1])).toEqual([[3, 10, Math.PI / 2], [3, 10, Math.PI / 2]]);
    expect(predictedBoxes(agent([0, 1], 1), 2, { standing: 0.5, path: "modeAsStep" })).toEqual([null]);
  });
});

describe("the published shift of the first two ego boxes", () => {
  // Two modes that stand still beside an agent to their right: 0.95 m of ego vehicle, 1 m of agent, 0.04 m between them.
  const scene = { boxes: [1.99, 0, 0, 4, 2, 1.5, Math.PI / 2, 0, 0], ignore: [0], logits: [0], deltas: new Float64Array(12) };
  const candidates = [new Float64Array(12), new Float64Array(12).fill(-50)];

  it("moves and grows them against the agent it names only", () => {
    const score = (shiftedAgainst: "firstCounted" | "firstSlot" | null, ignored: boolean): number[] => {
      const agents = ignored ? { boxes: [...scene.boxes.map(() => 0), ...scene.boxes], ignore: [1, 0], logits: [0, 0], deltas: new Float64Array(24) } : scene;
      return [...rescore([0, 0], candidates, agents, { centreAhead: 0, shiftedAgainst })];
    };
    expect(score(null, false)).toEqual([0, 0]);
    expect(score("firstCounted", false)).toEqual([-999, 0]);
    expect(score("firstSlot", false)).toEqual([-999, 0]);
    expect(score("firstCounted", true)).toEqual([-999, 0]);
    expect(score("firstSlot", true)).toEqual([0, 0]);
  });
});
