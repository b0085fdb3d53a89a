import { compare, exact, f32Reduce, lawRuns } from "@distilldrive/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../autodiff.js";
import { Graph, type Tensor } from "../graph.js";
import { interpret } from "../interpret.js";
import { dropout } from "../ops/dropout.js";
import { add, exp, gelu, mul, relu, square } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { mean } from "../ops/reduce.js";
import { reshape } from "../ops/reshape.js";
import { type Device, openDevice } from "../run/device.js";
import { compile } from "../run/program.js";
import { fuseEpilogues } from "./epilogue.js";
import { simplify } from "./simplify.js";
import { verify } from "./verify.js";

const [B, L, D, N] = [2, 3, 8, 5];

/** Ops other than views that are left of `y`, after the peephole. */
function left(build: (x: Tensor, w: Tensor, graph: Graph) => Tensor, outputs: (y: Tensor, graph: Graph) => void = () => undefined): string[] {
  const graph = new Graph();
  const y = build(graph.input("x", [B, L, D]), graph.input("w", [D, N]), graph);
  graph.output("y", y);
  outputs(y, graph);
  const { graph: fused } = simplify(fuseEpilogues(graph, []).graph, []);
  verify(fused, "fuseEpilogues");
  const inputs = inputsOf(graph);
  const expected = interpret(graph, { inputs }).outputs;
  for (const [name, value] of interpret(fused, { inputs }).outputs) compare(value, expected.get(name) ?? new Float64Array(), { name: "float64", absolute: 1e-13, relative: 1e-12 }, { op: name });
  return fused.nodes.flatMap(({ op }) => (op && op.lower.kind !== "view" ? [op.name] : []));
}

function inputsOf(graph: Graph): Record<string, Float32Array> {
  return Object.fromEntries(graph.nodes.flatMap(({ source, outputs: [tensor] }, seed) =>
    source?.kind === "input" && tensor ? [[source.name, Float32Array.from({ length: tensor.shape.reduce((a, b) => a * b, 1) }, (_, i) => (tensor.dtype === "u32" ? i + 3 : Math.sin(seed * 3.1 + i)))] as const] : [],
  ));
}

const bias = (graph: Graph): Tensor => graph.input("bias", [N]);
const residual = (graph: Graph): Tensor => graph.input("residual", [B, L, N]);
const key = (graph: Graph): Tensor => graph.input("key", [4], "u32");

describe("the epilogue peephole", () => {
  test("takes in scale, bias, activation, dropout and residual, through views", () => {
    expect(left((x, w, graph) => add(residual(graph), dropout(relu(add(mul(matmul(x, w), 0.5), bias(graph))), 0.3, key(graph))))).toEqual(["matmul"]);
    expect(left((x, w, graph) => gelu(add(bias(graph), matmul(x, w))))).toEqual(["matmul"]);
    expect(left((x, w, graph) => relu(reshape(add(matmul(x, w), bias(graph)), [B * L, N])))).toEqual(["matmul"]);
  });

  test("leaves what does not fit its order", () => {
    expect(left((x, w, graph) => add(relu(matmul(x, w)), bias(graph)))).toEqual(["matmul", "add"]);
    expect(left((x, w, graph) => relu(add(matmul(x, w), residual(graph))))).toEqual(["matmul", "relu"]);
    expect(left((x, w, graph) => mul(add(matmul(x, w), bias(graph)), 2))).toEqual(["matmul", "mul"]);
    expect(left((x, w, graph) => add(matmul(x, w), graph.input("column", [L, 1])))).toEqual(["matmul", "add"]);
    expect(left((x, w) => exp(matmul(x, w)))).toEqual(["matmul", "exp"]);
  });

  test("leaves what somebody else reads", () => {
    expect(left((x, w, graph) => {
      const z = add(matmul(x, w), bias(graph));
      return mul(relu(z), exp(z));
    })).toEqual(["matmul", "relu", "exp", "mul"]);
    expect(left((x, w, graph) => {
      const z = matmul(x, w);
      graph.output("z", z);
      return add(z, bias(graph));
    })).toEqual(["matmul", "add"]);
    expect(left((x, w) => {
      const z = matmul(x, w);
      return add(z, z);
    })).toEqual(["matmul", "add"]);
  });

  test("before a gradient is taken, takes in only what the gradient need not compute again", () => {
    const ops = (build: (x: Tensor, w: Tensor, graph: Graph) => Tensor): number => {
      const graph = new Graph();
      const w = graph.input("w", [D, N]);
      const loss = mean(square(build(graph.input("x", [B, L, D]), w, graph)));
      graph.output("loss", loss);
      gradients(loss, [w]).forEach((gradient) => {
        graph.output("dw", gradient);
      });
      verify(graph, "gradients");
      return simplify(graph, []).graph.nodes.filter(({ op }) => op?.name === "matmul").length;
    };
    // One product forward and one for the gradient of w.
    expect(ops((x, w, graph) => relu(add(matmul(x, w), bias(graph))))).toBe(2);
    expect(ops((x, w, graph) => add(relu(add(matmul(x, w), bias(graph))), residual(graph)))).toBe(2);
    expect(ops((x, w, graph) => gelu(add(matmul(x, w), bias(graph))))).toBe(2);
  });
});

describe("the epilogue peephole [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("fused = composed on the device, values and gradients", async () => {
    await fc.assert(fc.asyncProperty(fc.gen(), async (g) => {
      const [m, k, n] = [g(fc.integer, { min: 1, max: 17 }), g(fc.integer, { min: 1, max: 17 }), g(fc.integer, { min: 1, max: 17 })];
      const graph = new Graph();
      const [x, w] = [graph.input("x", [m, k]), graph.input("w", [k, n])];
      let y: Tensor = matmul(x, w);
      if (g(fc.boolean)) y = mul(y, 0.25);
      if (g(fc.boolean)) y = add(y, graph.input("bias", [n]));
      const activation = (["none", "relu", "gelu"] as const)[g(fc.integer, { min: 0, max: 2 })] ?? "none";
      if (activation !== "none") y = activation === "relu" ? relu(y) : gelu(y);
      if (g(fc.boolean)) y = dropout(y, 0.4, key(graph));
      if (g(fc.boolean)) y = add(y, graph.input("residual", [m, n]));
      const weights = graph.input("weights", [m, n]);
      const loss = mean(mul(y, weights));
      graph.output("y", y);
      gradients(loss, [x, w]).forEach((gradient, i) => {
        graph.output(`gradient ${i}`, gradient);
      });
      const inputs = inputsOf(graph);
      const expected = interpret(graph, { inputs }).outputs;
      const [fused, composed] = [await compile(device, graph), await compile(device, graph, { fused: false })];
      for (const program of [fused, composed]) {
        program.run(inputs);
        for (const [name, reference] of expected) compare(await program.read(name), reference, f32Reduce(4 * Math.max(m, k, n)), { op: name, shape: `${m} x ${k} x ${n}` });
      }
      const first = await fused.read("y");
      fused.run(inputs);
      compare(await fused.read("y"), Float64Array.from(first), exact, { op: "second run" });
      fused.destroy();
      composed.destroy();
    }), lawRuns({ runs: 6, name: "epilogues" }));
  });
});
