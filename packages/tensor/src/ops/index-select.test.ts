import { lawRuns, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gradients } from "../autodiff.js";
import { Graph } from "../graph.js";
import { interpret } from "../interpret.js";
import { mul } from "./elementwise.js";
import { embedding, indexSelect } from "./index-select.js";
import { sum } from "./reduce.js";
import { segmentSum } from "./segment-sum.js";

describe("indexSelect", () => {
  it("takes slices along any axis and adds their gradients up", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), fc.nat(), fc.array(fc.integer({ min: -1, max: 4 }), { maxLength: 5 }), fc.nat(), (shape, where, picks, seed) => {
        const axis = where % shape.length;
        const [outer, n, inner] = [shape.slice(0, axis), shape.slice(axis, axis + 1), shape.slice(axis + 1)].map((part) => part.reduce((a, b) => a * b, 1));
        const [rows = 1, size = 1, width = 1] = [outer, n, inner];
        const graph = new Graph();
        const x = graph.input("x", shape);
        const y = indexSelect(x, graph.constant(picks, [picks.length], "i32"), axis - (seed % 2) * shape.length);
        expect(y.shape).toEqual(shape.map((extent, i) => (i === axis ? picks.length : extent)));
        const weights = Float64Array.from(uniformData(rows * picks.length * width, seed));
        graph.output("y", y);
        const [dx] = gradients(sum(mul(y, graph.constant(weights, y.shape))), [x]);
        if (dx) graph.output("dx", dx);
        const values = Float64Array.from(uniformData(rows * size * width, seed + 1));
        const { outputs } = interpret(graph, { inputs: { x: values } });
        const expected = new Float64Array(weights.length);
        const slope = new Float64Array(values.length);
        for (let o = 0; o < rows; o++) {
          picks.forEach((pick, k) => {
            if (pick < 0 || pick >= size) return;
            for (let i = 0; i < width; i++) {
              const [to, from] = [(o * picks.length + k) * width + i, (o * size + pick) * width + i];
              expected[to] = values[from] ?? 0;
              slope[from] = (slope[from] ?? 0) + (weights[to] ?? 0);
            }
          });
        }
        expect(outputs.get("y")).toEqual(expected);
        outputs.get("dx")?.forEach((value, i) => {
          expect(value).toBeCloseTo(slope[i] ?? 0, 12);
        });
      }),
      lawRuns({ runs: 100, name: "indexSelect" }),
    );
  });

  it("refuses indices with more than one axis, and tables that are not tables", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3, 4]);
    const indices = graph.input("i", [2, 2], "i32");
    expect(() => indexSelect(x, indices, 1)).toThrow(/expected i32\[K\], got i32\[2, 2\]/);
    expect(() => embedding(x, indices)).toThrow(/expected \[R, W\], got f32\[2, 3, 4\]/);
  });
});

describe("embedding and segmentSum", () => {
  it("are each other's gradients", () => {
    const graph = new Graph();
    const ids = graph.constant([0, 2, 2, -1], [4], "i32");
    const table = graph.input("table", [3, 2]);
    const weights = graph.constant([1, 2, 3, 4, 5, 6, 7, 8], [4, 2]);
    const [gradient] = gradients(sum(mul(embedding(table, ids), weights)), [table]);
    if (gradient) graph.output("gradient", gradient);
    graph.output("sums", segmentSum(weights, ids, 3));
    graph.output("sorted", segmentSum(graph.constant([1, 2, 3, 4], [4, 1]), graph.constant([0, 0, 2, 3], [4], "i32"), 3, { sorted: true }));
    const { outputs } = interpret(graph, { inputs: { table: new Float64Array(6) } });
    expect(outputs.get("gradient")).toEqual(outputs.get("sums"));
    expect([...(outputs.get("sums") ?? [])]).toEqual([1, 2, 0, 0, 8, 10]);
    expect([...(outputs.get("sorted") ?? [])]).toEqual([3, 0, 3]);
  });
});
