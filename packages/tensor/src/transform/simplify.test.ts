import { describe, expect, test } from "vitest";
import { Graph, type Tensor } from "../graph.js";
import { interpret } from "../interpret.js";
import { concat } from "../ops/concat.js";
import { add, broadcastTo, div, exp, mul, sub } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { permute, transpose } from "../ops/permute.js";
import { reshape } from "../ops/reshape.js";
import { slice } from "../ops/slice.js";
import { simplify } from "./simplify.js";
import { verify } from "./verify.js";

const ramp = (n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => Math.sin(i + 1));

/** Names of the ops that are left of `y = build(x, z)`; checks that the value stays the same. */
function left(build: (x: Tensor, z: Tensor) => Tensor): string[] {
  const graph = new Graph();
  graph.output("y", build(graph.input("x", [4, 6]), graph.input("z", [4, 6])));
  const { graph: simple } = simplify(graph, []);
  verify(simple, "simplify");
  const inputs = { x: ramp(24), z: ramp(24).reverse() };
  expect(interpret(simple, { inputs }).outputs.get("y")).toEqual(interpret(graph, { inputs }).outputs.get("y"));
  const live = simplify(simple, []).graph;
  return live.nodes.flatMap(({ op }) => op?.name ?? []);
}

describe("identities", () => {
  test("x + 0, 0 + x, x - 0, x * 1, 1 * x and x / 1 are x", () => {
    expect(left((x) => div(mul(1, mul(sub(add(0, add(exp(x), 0)), 0), 1)), 1))).toEqual(["exp"]);
  });

  test("but not where they broadcast", () => {
    expect(left((x) => add(broadcastTo(slice(x, 0, 0, 1), [4, 6]), 0))).toEqual(["slice", "broadcastTo"]);
    expect(left((x) => mul(slice(x, 0, 0, 1), broadcastTo(x.graph.literal(1), [4, 1])))).toEqual(["slice", "broadcastTo", "mul"]);
  });

  test("a reshape of a reshape is one, or none", () => {
    expect(left((x) => exp(reshape(reshape(x, [2, 12]), [8, 3])))).toEqual(["reshape", "exp"]);
    expect(left((x) => exp(reshape(reshape(x, [2, 12]), [4, 6])))).toEqual(["exp"]);
  });

  test("a permutation of a permutation is one, or none", () => {
    expect(left((x) => permute(permute(reshape(x, [2, 3, 4]), [1, 2, 0]), [0, 2, 1]))).toEqual(["reshape", "permute"]);
    expect(left((x) => exp(transpose(transpose(x))))).toEqual(["exp"]);
  });

  test("a slice of a concatenation is the part, where it is one", () => {
    expect(left((x, z) => exp(slice(concat([x, z], 0), 0, 4, 8)))).toEqual(["exp"]);
    expect(left((x, z) => exp(slice(concat([x, z], 0), 0, 3, 7)))).toEqual(["concat", "slice", "exp"]);
  });

  test("a transposed operand is read transposed by the product", () => {
    expect(left((x, z) => matmul(transpose(x), z))).toEqual(["reshape", "reshape", "matmul", "reshape"]);
    expect(left((x, z) => matmul(x, transpose(z)))).toEqual(["reshape", "reshape", "matmul", "reshape"]);
    expect(left((x, z) => matmul(transpose(reshape(x, [2, 2, 6])), reshape(z, [2, 2, 6])))).toEqual(["reshape", "reshape", "matmul"]);
  });

  test("operands that are one number everywhere are inlined", () => {
    expect(left((x) => mul(broadcastTo(mul(reshape(x.graph.literal(3), [1]), 0.25), [4, 6]), x))).toEqual(["mul"]);
    expect(left((x) => broadcastTo(add(exp(slice(x, 0, 0, 1)), reshape(x.graph.literal(2), [1, 1])), [4, 6]))).toEqual(["slice", "exp", "add", "broadcastTo"]);
    expect(left((x) => mul(slice(x, 0, 0, 1), broadcastTo(x.graph.literal(2), [4, 6])))).toEqual(["slice", "broadcastTo", "mul"]);
  });

  test("duplicates merge, dead code goes", () => {
    expect(left((x, z) => {
      exp(z);
      return add(mul(x, z), mul(x, z));
    })).toEqual(["mul", "add"]);
  });
});
