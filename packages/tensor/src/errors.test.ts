import { DTypeError, ShapeError } from "@distilldrive/kernels";
import { describe, expect, test } from "vitest";
import { gradients } from "./autodiff.js";
import { GraphError } from "./errors.js";
import { Graph, type Tensor } from "./graph.js";
import { interpret } from "./interpret.js";
import { attention } from "./ops/attention.js";
import { concat, stack } from "./ops/concat.js";
import { conv2d } from "./ops/convolution.js";
import { add, isFinite, square } from "./ops/elementwise.js";
import { gather, scatterAdd } from "./ops/gather.js";
import { klDivergence } from "./ops/kl-divergence.js";
import { layerNorm } from "./ops/layer-norm.js";
import { matmul } from "./ops/matmul.js";
import { maxPool } from "./ops/max-pool.js";
import { max, sum } from "./ops/reduce.js";
import { reshape, squeeze } from "./ops/reshape.js";
import { sineEmbedding } from "./ops/sine-embedding.js";
import { slice, split } from "./ops/slice.js";
import { buffer, parameter } from "./variable.js";

const graph = new Graph();
let inputs = 0;
const tensor = (...shape: number[]): Tensor => graph.input(`f${inputs++}`, shape);
const indices = (...shape: number[]): Tensor => graph.input(`i${inputs++}`, shape, "i32");

describe("a wrong shape is refused while tracing, by the op's name, with what was expected and what came", () => {
  const cases: readonly [name: string, apply: () => unknown, message: RegExp][] = [
    ["add", () => add(tensor(2, 3), tensor(2, 4)), /^add: .*expected equal sizes or 1.*got \[2, 3\] and \[2, 4\]/],
    ["matmul", () => matmul(tensor(2, 3), tensor(4, 5)), /^matmul: .*expected 3 rows in b, got 4/],
    ["matmul of a vector", () => matmul(tensor(3), tensor(3, 5)), /^matmul: a .*expected at least two, got f32\[3\]/],
    ["matmul batches", () => matmul(tensor(2, 3, 4), tensor(3, 4, 5)), /^matmul: batch .*expected the same or none, got f32\[2, 3, 4\] and f32\[3, 4, 5\]/],
    ["reshape", () => reshape(tensor(2, 3), [4, 2]), /^reshape: .*expected 6 elements as in \[2, 3\], got \[4, 2\]/],
    ["squeeze", () => squeeze(tensor(2, 3), 0), /^squeeze: .*expected size 1, got 2/],
    ["slice", () => slice(tensor(2, 3), 1, 1, 5), /^slice: .*axis 1 of f32\[2, 3\], expected 0 <= start <= end <= 3, got \[1, 5\)/],
    ["split", () => split(tensor(2, 5), 1, [2, 2]), /^split: .*expected 5, got 2 \+ 2 = 4/],
    ["concat", () => concat([tensor(2, 3), tensor(3, 3)], 1), /^concat: .*expected like f32\[2, 3\], got f32\[3, 3\]/],
    ["stack", () => stack([tensor(2), tensor(3)], 0), /^stack: .*expected f32\[2\], got f32\[3\]/],
    ["sum", () => sum(tensor(2, 3), { axes: [2] }), /^sum: no such axis, expected an integer in \[-2, 1\], got 2/],
    ["max of nothing", () => max(tensor(2, 0), { axis: 1 }), /^max: axis 1 is empty, expected at least one element, got f32\[2, 0\]/],
    ["maxPool", () => maxPool(tensor(2, 4, 8), tensor(2, 5)), /^maxPool: .*expected f32\[2, 4\], got f32\[2, 5\]/],
    ["layerNorm", () => layerNorm(tensor(2, 8), tensor(7), tensor(8)), /^layerNorm: weight .*expected f32\[8\], got f32\[7\]/],
    ["attention", () => attention(tensor(1, 2, 8), tensor(1, 3, 8), tensor(1, 3, 8), { heads: 3 }), /^attention: .*divisible by 3 heads, got f32\[1, 2, 8\]/],
    ["attention mask", () => attention(tensor(1, 2, 8), tensor(1, 3, 8), tensor(1, 3, 8), { heads: 2, keyPaddingMask: tensor(1, 4) }), /^attention: keyPaddingMask .*expected f32\[1, 3\], got f32\[1, 4\]/],
    ["conv2d", () => conv2d(tensor(4, 4, 3), tensor(8, 3, 3, 3)), /^conv2d: .*expected x \[B, H, W, C\].*got f32\[4, 4, 3\]/],
    ["conv2d groups", () => conv2d(tensor(1, 4, 4, 3), tensor(8, 3, 3, 3), undefined, { groups: 2 }), /^conv2d: .*groups/],
    ["klDivergence", () => klDivergence(tensor(2, 3), tensor(2, 4)), /^klDivergence: .*expected f32\[2, 3\] like the logits, got f32\[2, 4\]/],
    ["sineEmbedding", () => sineEmbedding(tensor(5, 3), 16), /^sineEmbedding: .*expected \[\.\.\., 2\], got f32\[5, 3\]/],
    ["gather", () => gather(tensor(2, 3, 5, 4), indices(3, 2, 1), { batchDims: 2 }), /^gather: batch axes differ, .*f32\[2, 3, 5, 4\].*got indices i32\[3, 2, 1\]/],
    ["scatterAdd", () => scatterAdd(tensor(3, 4), indices(2), 5), /^scatterAdd: .*expected \[2, \.\.\.\], got f32\[3, 4\]/],
  ];
  test.each(cases)("%s", (_, apply, message) => {
    expect(apply).toThrow(ShapeError);
    expect(apply).toThrow(message);
  });

  test("indices are integers", () => {
    for (const apply of [(): Tensor => gather(tensor(4, 2), tensor(3)), (): Tensor => scatterAdd(tensor(3, 2), tensor(3), 4)]) {
      expect(apply).toThrow(DTypeError);
      expect(apply).toThrow(/^(gather|scatterAdd): .*expected i32, got f32/);
    }
  });

  test("what was refused left no node behind", () => {
    const own = new Graph();
    const x = own.input("x", [2, 3]);
    const before = own.nodes.length;
    expect(() => add(x, own.constant([1, 2], [2]))).toThrow(ShapeError);
    expect(own.nodes).toHaveLength(before + 1);
  });
});

describe("gather and scatterAdd", () => {
  test("keep batch axes before and row axes behind the indices, whatever their number", () => {
    expect(gather(tensor(7, 4), indices(3)).shape).toEqual([3, 4]);
    expect(gather(tensor(7, 4), indices(3, 2)).shape).toEqual([3, 2, 4]);
    expect(gather(tensor(2, 7), indices(2, 3), { batchDims: 1 }).shape).toEqual([2, 3]);
    expect(gather(tensor(2, 7, 5, 4), indices(2, 3), { batchDims: 1 }).shape).toEqual([2, 3, 5, 4]);
    expect(scatterAdd(tensor(3, 4), indices(3), 7).shape).toEqual([7, 4]);
    expect(scatterAdd(tensor(2, 3, 5, 4), indices(2, 3), 7, { batchDims: 1 }).shape).toEqual([2, 7, 5, 4]);
  });

  test("an index outside the table reads zeros and adds nothing", () => {
    const own = new Graph();
    const at = own.constant([1, -1, 3, 1], [4], "i32");
    own.output("rows", gather(own.constant([1, 2, 3, 4, 5, 6], [3, 2]), at));
    own.output("table", scatterAdd(own.constant([1, 2, 4, 8], [4, 1]), at, 3));
    const { outputs } = interpret(own);
    expect([...(outputs.get("rows") ?? [])]).toEqual([3, 4, 0, 0, 0, 0, 3, 4]);
    expect([...(outputs.get("table") ?? [])]).toEqual([0, 9, 0]);
  });
});

describe("gradients", () => {
  test("want a scalar", () => {
    const x = tensor(2, 3);
    expect(() => gradients(square(x), [x])).toThrow(GraphError);
    expect(() => gradients(square(x), [x])).toThrow(/^gradients: the loss must be a scalar, expected f32\[\], got f32\[2, 3\]\. Take its sum or mean/);
  });

  test("are zeros, shaped like the operand, where the loss does not depend on it or only through an op without gradient", () => {
    const own = new Graph();
    const [x, other] = [own.constant([1, 2, 3], [3]), own.constant([4, 5], [2, 1])];
    const grads = gradients(sum(isFinite(x)), [x, other]);
    grads.forEach((grad, i) => own.output(`d${i}`, grad));
    expect(grads.map(({ shape }) => shape)).toEqual([[3], [2, 1]]);
    expect([...interpret(own).outputs.values()].flatMap((values) => [...values])).toEqual([0, 0, 0, 0, 0]);
  });

  test("do not reach into another graph", () => {
    const [x, foreign] = [tensor(2), new Graph().input("x", [2])];
    expect(() => gradients(sum(square(x)), [foreign])).toThrow(/^graph: .*belongs to another graph/);
  });
});

describe("graph", () => {
  test("an assigned value must fit, once", () => {
    const own = new Graph();
    const state = buffer([3]);
    expect(() => { own.assign(state, own.input("x", [2])); }).toThrow(/^assign: .*expected f32\[3\], got f32\[2\]/);
    own.assign(state, own.input("y", [3]));
    expect(() => { own.assign(state, own.input("z", [3])); }).toThrow(/assigned twice/);
  });

  test("operands that name no graph are refused", () => {
    expect(() => add(parameter([2], { kind: "constant", value: 1 }), 2)).toThrow(/^add: no operand is a traced tensor, expected at least one/);
  });
});
