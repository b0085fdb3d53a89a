import { readNpz, sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { gradients } from "../autodiff.js";
import { Graph } from "../graph.js";
import { interpret } from "../interpret.js";
import { boxCorners, projectPoints } from "./geometry.js";
import { sum } from "./reduce.js";

describe("boxCorners", () => {
  it("gives the published corners", (context) => {
    const path = sharedPath("golden", "unit_anchor.npz");
    if (path === null) return context.skip();
    const golden = readNpz(path);
    const boxes = golden.get("box3d_to_corners.box").numbers();
    const corners = golden.get("box3d_to_corners.corners").numbers();
    const graph = new Graph();
    graph.output("corners", boxCorners(graph.constant(Float64Array.from({ length: 30 }, (_, i) => boxes[Math.floor(i / 5) * 7 + ([0, 1, 3, 4, 6][i % 5] ?? 0)] ?? 0), [6, 5])));
    const { outputs } = interpret(graph, {});
    // Of the eight corners of a box, those on the ground, in its own order.
    const published = Array.from({ length: 48 }, (_, i) => corners[Math.floor(i / 8) * 24 + ([0, 3, 7, 4][Math.floor(i / 2) % 4] ?? 0) * 3 + (i % 2)] ?? 0);
    outputs.get("corners")?.forEach((value, i) => {
      expect(Math.abs(value - (published[i] ?? 0))).toBeLessThan(1e-5);
    });
    expect(outputs.get("corners")?.length).toBe(48);
  });

  it("carries gradients to all five numbers", () => {
    const graph = new Graph();
    const boxes = graph.input("boxes", [2, 3, 5]);
    const [gradient] = gradients(sum(boxCorners(boxes)), [boxes]);
    if (gradient) graph.output("gradient", gradient);
    const { outputs } = interpret(graph, { inputs: { boxes: Float64Array.from({ length: 30 }, (_, i) => 1 + (i % 7)) } });
    // The corners' sum is four times the centre, whatever the size and heading.
    outputs.get("gradient")?.forEach((value, i) => {
      expect(value).toBeCloseTo(i % 5 < 2 ? 4 : 0, 10);
    });
  });

  it("refuses other boxes", () => {
    const graph = new Graph();
    expect(() => boxCorners(graph.input("boxes", [2, 7]))).toThrow(/expected \[\.\.\., 5\], got f32\[2, 7\]/);
  });
});

describe("projectPoints", () => {
  it("says that cameras have no gradient", () => {
    const graph = new Graph();
    const cameras = graph.input("cameras", [1, 2, 4, 4]);
    const location = projectPoints(graph.input("points", [1, 5, 13, 3]), cameras, graph.input("size", [1, 2, 2]));
    expect(location.shape).toEqual([1, 5, 13, 2, 2]);
    expect(() => gradients(sum(location), [cameras])).toThrow(/no gradient to cameras/);
  });
});
