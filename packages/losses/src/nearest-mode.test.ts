import { Graph, interpret } from "@distilldrive/tensor";
import { readNpz } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { fileURLToPath } from "node:url";
import { nearestMode, PAPER_LABELS, PUBLISHED_LABELS, softLabels, type SoftLabelOptions } from "./nearest-mode.js";

const golden = readNpz(fileURLToPath(new URL("../test-data/unit_topk.npz", import.meta.url)));

describe("nearestMode and softLabels against the published targets", () => {
  for (const name of ["case0", "case1", "case2", "case3", "case4"]) {
    it(name, () => {
      const [rows = 0, , modes = 0, steps = 0] = golden.get(`${name}.reg_preds`).shape;
      const graph = new Graph();
      const target = graph.input("target", [rows, steps, 2]);
      const near = nearestMode(graph.input("deltas", [rows, modes, steps, 2]), target, graph.input("mask", [rows, steps]));
      graph.output("distance", near.distance);
      graph.output("best", near.best);
      const topk = golden.get(`${name}.topk`).numbers()[0] ?? 0;
      graph.output("labels", softLabels(near.distance, { ...PUBLISHED_LABELS, neighbours: topk - 1 }));
      const weight = golden.get(`${name}.reg_weight`).numbers();
      const { outputs } = interpret(graph, {
        inputs: { deltas: golden.get(`${name}.reg_preds`).numbers(), target: golden.get(`${name}.reg_target`).numbers(), mask: weight },
      });
      const out = (key: string): number[] => [...(outputs.get(key) ?? [])];
      close(out("distance"), golden.get(`${name}.dist`).numbers(), 1e-5);
      const labels = golden.get(`${name}.cls_target_topk`).numbers();
      for (let row = 0; row < rows; row++) {
        // With nothing known all distances are equal and the published order is arbitrary.
        if (weight.slice(row * steps, (row + 1) * steps).every((w) => w === 0)) continue;
        const part = <T>(all: ArrayLike<T>, size: number): T[] => Array.from(all).slice(row * size, (row + 1) * size);
        close(part(out("labels"), modes), part(labels, modes), 1e-6);
        close(part(out("best"), steps * 2), part(golden.get(`${name}.best_reg`).numbers(), steps * 2), 1e-6);
      }
    });
  }
});

describe("softLabels", () => {
  it("ranks equal distances by index, so that labels always sum to one", () => {
    const graph = new Graph();
    graph.output("labels", softLabels(graph.constant([3, 1, 1, 1, 2, 5], [1, 6]), PAPER_LABELS));
    close([...(interpret(graph).outputs.get("labels") ?? [])], [0, 0.8, 0.1, 0.1, 0, 0], 1e-9);
  });

  it("gives a single mode all the probability", () => {
    const graph = new Graph();
    graph.output("labels", softLabels(graph.constant([3], [1, 1]), PAPER_LABELS));
    close([...(interpret(graph).outputs.get("labels") ?? [])], [1], 1e-9);
  });
});

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  Array.from(expected).forEach((value, i) => expect(Math.abs((actual[i] ?? Number.NaN) - value)).toBeLessThanOrEqual(tolerance));
}

describe("softLabels of other numbers of neighbours", () => {
  const labels = (options: SoftLabelOptions): number[] => {
    const graph = new Graph();
    graph.output("labels", softLabels(graph.constant([3, 1, 4, 2, 6, 5], [1, 6]), options));
    return [...(interpret(graph).outputs.get("labels") ?? [])].map((label) => Math.round(label * 1000) / 1000);
  };

  it("gives any number of nearest modes a share", () => {
    expect(labels({ neighbours: 0, share: 0.1, floor: 0.001 })).toEqual([0.001, 1, 0.001, 0.001, 0.001, 0.001]);
    expect(labels({ neighbours: 1, share: 0.2, floor: 0.001 })).toEqual([0.001, 0.8, 0.001, 0.2, 0.001, 0.001]);
    expect(labels({ neighbours: 4, share: 0.05, floor: 0.001 })).toEqual([0.05, 0.8, 0.05, 0.05, 0.001, 0.05]);
  });

  it("refuses shares that leave nothing for the nearest mode", () => {
    expect(() => labels({ neighbours: 2, share: 0.5, floor: 0.001 })).toThrow(/nearest mode, expected neighbours \* share below 1, got 2 \* 0.5/);
  });
});
