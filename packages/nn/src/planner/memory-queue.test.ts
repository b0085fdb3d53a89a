import { Graph, interpret, type Variable } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { expectClose, variableValues } from "../golden.fixture.js";
import { memoryQueue } from "./memory-queue.js";

const SIZES = { lanes: 2, slots: 3, frames: 3, channels: 2 } as const;

/** One instance of the hand computation: its past, newest last, as feature, position and heading in the present frame. */
interface Past {
  feature: number[];
  x: number;
  y: number;
  yaw: number;
}

/** A step of the stream. */
interface Step {
  readonly reset: readonly number[];
  readonly timeGap: readonly number[];
  /** Per lane: turn (rad) and shift (m) of the frame's change. */
  readonly motion: readonly { readonly turn: number; readonly x: number; readonly y: number }[];
  readonly match: readonly (readonly number[])[];
}

const STEPS: readonly Step[] = [
  { reset: [1, 1], timeGap: [0, 0], motion: still(), match: [[-1, -1, -1], [-1, -1, -1]] },
  { reset: [0, 0], timeGap: [0.5, 0.5], motion: [{ turn: 0.3, x: 1, y: -2 }, { turn: -0.1, x: 0, y: -4 }], match: [[2, 0, -1], [0, 1, 2]] },
  { reset: [0, 0], timeGap: [0.5, 2.5], motion: [{ turn: -0.2, x: 0.5, y: -3 }, { turn: 0, x: 0, y: -9 }], match: [[0, 1, 2], [0, 1, 2]] },
  { reset: [0, 0], timeGap: [0.5, 0.5], motion: [{ turn: 0.1, x: 0, y: -1 }, { turn: 0.5, x: 2, y: 0 }], match: [[1, -1, 0], [2, 0, -1]] },
  { reset: [1, 0], timeGap: [0.5, 0.5], motion: [{ turn: 0, x: 0, y: 0 }, { turn: 0, x: 1, y: 1 }], match: [[0, 1, 2], [0, 1, 2]] },
];

describe("memoryQueue", () => {
  it("aligns, moves, ages and clears like a list per instance does", () => {
    const queue = memoryQueue(SIZES);
    const graph = new Graph();
    const link = { reset: graph.input("reset", [2]), timeGap: graph.input("timeGap", [2]), currentFromPrevious: graph.input("transform", [2, 4, 4]) };
    const feature = graph.input("feature", [2, 3, 2]);
    const anchor = graph.input("anchor", [2, 3, 10]);
    const memory = queue.align(link, graph.input("match", [2, 3], "i32"));
    const keys = queue.keys(memory, feature, anchor);
    queue.store(memory, feature, anchor);
    graph.output("features", keys.features);
    graph.output("anchors", keys.anchors);
    graph.output("padding", keys.padding);

    let variables: Map<Variable, ArrayLike<number>> = variableValues(queue);
    let past: Past[][][] = [[[], [], []], [[], [], []]];
    STEPS.forEach((step, index) => {
      const present = Array.from({ length: 6 }, (_, i) => instance(index * 10 + i));
      const result = interpret(graph, {
        inputs: {
          reset: step.reset,
          timeGap: step.timeGap,
          transform: step.motion.flatMap(matrix),
          match: step.match.flat(),
          feature: present.flatMap((one) => one.feature),
          anchor: present.flatMap((one) => [one.x, one.y, -1, 4, 2, 1.5, Math.cos(one.yaw), Math.sin(one.yaw), 3, 0]),
        },
        variables,
      });

      past = past.map((lane, b) => {
        const goesOn = step.reset[b] === 0 && (step.timeGap[b] ?? 0) <= 2;
        const moved = lane.map((entries) => entries.map((entry) => move(entry, step.motion[b] ?? { turn: 0, x: 0, y: 0 })));
        return [0, 1, 2].map((slot) => {
          const from = step.match[b]?.[slot] ?? -1;
          const now = present[b * 3 + slot] ?? instance(0);
          return [...(goesOn && from >= 0 ? (moved[from] ?? []) : []), now].slice(-SIZES.frames);
        });
      });
      past.flat().forEach((entries, row) => {
        for (let t = 0; t < SIZES.frames; t++) {
          const entry = entries[t - (SIZES.frames - entries.length)];
          const at = row * SIZES.frames + t;
          expect(result.outputs.get("padding")?.[at], `step ${index} row ${row} key ${t}`).toBe(entry ? 0 : 1);
          if (!entry) continue;
          expectClose(result.outputs.get("features")?.subarray(at * 2, at * 2 + 2), entry.feature, 1e-12, "feature");
          const stored = result.outputs.get("anchors")?.subarray(at * 10, at * 10 + 10) ?? [];
          expectClose([0, 1, 6, 7].map((k) => stored[k] ?? 0), [entry.x, entry.y, Math.cos(entry.yaw), Math.sin(entry.yaw)], 1e-12, "anchor");
        }
      });
      variables = new Map([...variables, ...result.assigned]);
    });
  });
});

function still(): Step["motion"] {
  return [
    { turn: 0, x: 0, y: 0 },
    { turn: 0, x: 0, y: 0 },
  ];
}

function instance(seed: number): Past {
  const value = (k: number): number => Math.sin(seed * 7.1 + k * 3.3) * 5;
  return { feature: [value(0), value(1)], x: value(2), y: value(3), yaw: value(4) };
}

function move(entry: Past, { turn, x, y }: Step["motion"][number]): Past {
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  return { feature: entry.feature, x: c * entry.x - s * entry.y + x, y: s * entry.x + c * entry.y + y, yaw: entry.yaw + turn };
}

function matrix({ turn, x, y }: Step["motion"][number]): number[] {
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  return [c, -s, 0, x, s, c, 0, y, 0, 0, 1, 0, 0, 0, 0, 1];
}
