import { describe, expect, test } from "vitest";
import { gradients } from "./autodiff.js";
import { Graph } from "./graph.js";
import { attention } from "./ops/attention.js";
import { add, mul, relu } from "./ops/elementwise.js";
import { layerNorm } from "./ops/layer-norm.js";
import { linear } from "./ops/matmul.js";
import { mean } from "./ops/reduce.js";
import { slice } from "./ops/slice.js";
import { optimize } from "./transform/optimize.js";
import { buffer, parameter } from "./variable.js";

const zeros = { kind: "constant", value: 0 } as const;
const compiled = (graph: Graph): string => optimize(graph, { keep: [], assign: true, transform: true }).graph.toString();

describe("the printed graph", () => {
  test("of a linear layer, as traced and as compiled", () => {
    const graph = new Graph();
    const hidden = graph.scope("hidden", () => relu(add(linear(graph.input("x", [2, 3]), parameter([4, 3], zeros)), parameter([4], zeros))));
    graph.output("y", hidden);
    expect(graph.toString()).toMatchInlineSnapshot(`
      "%0 = input("x") : f32[2, 3]
      %1 = variable(parameter) : f32[4, 3]
      %2 = reshape(%0, shape=[1,2,3]) : f32[1, 2, 3]  # hidden
      %3 = reshape(%1, shape=[1,4,3]) : f32[1, 4, 3]  # hidden
      %4 = matmul(%2, %3, transposeA=false, transposeB=true, reduceBatch=false, bias=false, activation="none") : f32[1, 2, 4]  # hidden
      %5 = reshape(%4, shape=[2,4]) : f32[2, 4]  # hidden
      %6 = variable(parameter) : f32[4]
      %7 = add(%5, %6) : f32[2, 4]  # hidden
      %8 = relu(%7) : f32[2, 4]  # hidden
      return y = %8"
    `);
    expect(compiled(graph)).toMatchInlineSnapshot(`
      "%0 = input("x") : f32[2, 3]
      %1 = variable(parameter) : f32[4, 3]
      %2 = reshape(%0, shape=[1,2,3]) : f32[1, 2, 3]  # hidden
      %3 = reshape(%1, shape=[1,4,3]) : f32[1, 4, 3]  # hidden
      %4 = variable(parameter) : f32[4]
      %5 = matmul(%2, %3, %4, transposeA=false, transposeB=true, reduceBatch=false, bias=true, activation="relu") : f32[1, 2, 4]  # hidden
      %6 = reshape(%5, shape=[2,4]) : f32[2, 4]  # hidden
      return y = %6"
    `);
  });

  test("of its gradient", () => {
    const graph = new Graph();
    const weight = parameter([4, 3], zeros);
    const loss = mean(linear(graph.input("x", [2, 3]), weight, parameter([4], zeros), "relu"));
    gradients(loss, [weight]).forEach((gradient) => {
      graph.output("gradient", gradient);
    });
    expect(compiled(graph)).toMatchInlineSnapshot(`
      "%0 = input("x") : f32[2, 3]
      %1 = variable(parameter) : f32[4, 3]
      %2 = reshape(%0, shape=[1,2,3]) : f32[1, 2, 3]
      %3 = reshape(%1, shape=[1,4,3]) : f32[1, 4, 3]
      %4 = variable(parameter) : f32[4]
      %5 = matmul(%2, %3, %4, transposeA=false, transposeB=true, reduceBatch=false, bias=true, activation="relu") : f32[1, 2, 4]
      %6 = literal(0.125) : f32[]
      %7 = literal(0) : f32[]
      %8 = greater(%5, %7) : f32[1, 2, 4]  # backward
      %9 = mul(%6, %8) : f32[1, 2, 4]  # backward
      %10 = matmul(%9, %2, transposeA=true, transposeB=false, reduceBatch=false, bias=false, activation="none") : f32[1, 4, 3]  # backward
      %11 = reshape(%10, shape=[4,3]) : f32[4, 3]  # backward
      return gradient = %11"
    `);
  });

  test("of an attention of which one token is read", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 5, 4]);
    const normed = layerNorm(x, parameter([4], zeros), parameter([4], zeros));
    graph.output("first", slice(attention(normed, normed, normed, { heads: 2 }), 1, 0, 1));
    expect(compiled(graph)).toMatchInlineSnapshot(`
      "%0 = input("x") : f32[2, 5, 4]
      %1 = variable(parameter) : f32[4]
      %2 = variable(parameter) : f32[4]
      %3 = layerNorm(%0, %1, %2, eps=0.00001) : f32[2, 5, 4], f32[2, 5], f32[2, 5]
      %4 = reshape(%3.0, shape=[2,20]) : f32[2, 20]
      %5 = slice(%4, start=[0,0], size=[2,4]) : f32[2, 4]
      %6 = reshape(%5, shape=[2,1,4]) : f32[2, 1, 4]
      %7 = attention(%6, %3.0, %3.0, heads=2, mask=false, additive="none", dropout=0, opId=0) : f32[2, 1, 4], f32[2, 2, 1]
      return first = %7.0"
    `);
  });

  test("of a state that a run moves on", () => {
    const graph = new Graph();
    const state = buffer([3]);
    const next = add(mul(graph.variable(state), 0.5), graph.input("x", [3]));
    graph.assign(state, next);
    graph.output("state", next);
    expect(compiled(graph)).toMatchInlineSnapshot(`
      "%0 = variable(buffer) : f32[3]
      %1 = literal(0.5) : f32[]
      %2 = mul(%0, %1) : f32[3]
      %3 = input("x") : f32[3]
      %4 = add(%2, %3) : f32[3]
      assign %0 <- %4
      return state = %4"
    `);
  });
});
