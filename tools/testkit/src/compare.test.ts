import { describe, expect, it } from "vitest";
import { compare, ComparisonError } from "./compare.js";
import { exact, f32, f32Reduce } from "./tolerance.js";

describe("compare", () => {
  it("accepts what is within tolerance and refuses what is not", () => {
    compare([1 + 5e-6, 0], [1, 1e-6], f32, { op: "add" });
    expect(() => compare([1 + 5e-5], [1], f32, { op: "add" })).toThrow(ComparisonError);
    expect(() => compare([1 + 1e-15], [1], exact, { op: "add" })).toThrow(/exact/);
  });

  it("matches NaN and infinities only with themselves", () => {
    compare([Number.NaN, Infinity, -Infinity], [Number.NaN, Infinity, -Infinity], exact, { op: "add" });
    for (const [a, e] of [[Number.NaN, Infinity], [Infinity, Number.NaN], [Infinity, -Infinity], [0, Number.NaN], [Infinity, 1e38], [1, Infinity]] as const) {
      expect(() => compare([a], [e], f32Reduce(1e9), { op: "add" })).toThrow(ComparisonError);
    }
  });

  it("names op, shape, seed, worst index, both values and the ratio", () => {
    expect(() => compare([0, 3, 9], [0, 2, 4], f32, { op: "add", shape: [3], seed: 7, adapter: "llvmpipe" })).toThrow(
      /add shape \[3\] seed 7 on llvmpipe: 2 of 3 elements differ. Worst at 2: expected 4, got 9, error 5.000e\+0, allowed 4.200e-5 \(f32\), error\/allowed 1.190e\+5/,
    );
  });

  it("refuses other lengths", () => {
    expect(() => compare([1], [1, 2], f32, { op: "add" })).toThrow(/lengths differ, expected 2, got 1/);
  });
});
