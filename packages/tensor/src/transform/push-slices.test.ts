import { compare, exact, f32Reduce } from "@distilldrive/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../autodiff.js";
import { Graph, type Tensor } from "../graph.js";
import { interpret } from "../interpret.js";
import { attention } from "../ops/attention.js";
import { dropout } from "../ops/dropout.js";
import { add, mul, square } from "../ops/elementwise.js";
import { layerNorm } from "../ops/layer-norm.js";
import { linear } from "../ops/matmul.js";
import { mean } from "../ops/reduce.js";
import { reshape } from "../ops/reshape.js";
import { slice } from "../ops/slice.js";
import { type Device, openDevice } from "../run/device.js";
import { compile } from "../run/program.js";
import { pushSlices } from "./push-slices.js";
import { verify } from "./verify.js";

const [B, L, D] = [3, 5, 8];
const ramp = (n: number, seed: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(seed * 17.3 + i * 1.7));

/** One transformer layer over [B, L, D]; what is read of it is the caller's choice. */
function layer(x: Tensor): Tensor {
  const { graph } = x;
  const weight = (name: string, rows: number, columns: number): Tensor => graph.input(name, [rows, columns]);
  const vector = (name: string, size: number): Tensor => graph.input(name, [size]);
  const project = (of: Tensor, name: string): Tensor => linear(of, weight(`w${name}`, D, D), vector(`b${name}`, D));
  const attended = attention(project(x, "q"), project(x, "k"), project(x, "v"), { heads: 2 });
  const normed = layerNorm(add(x, project(attended, "o")), vector("g", D), vector("b", D));
  const hidden = linear(normed, weight("w1", 2 * D, D), vector("b1", 2 * D), "relu");
  return layerNorm(add(normed, linear(hidden, weight("w2", D, 2 * D), vector("b2", D))), vector("g", D), vector("b", D));
}

/** Inputs for every input node of a graph. */
function inputsOf(graph: Graph): Record<string, Float32Array> {
  return Object.fromEntries(graph.nodes.flatMap(({ source, outputs: [tensor] }, i) =>
    source?.kind === "input" && tensor ? [[source.name, ramp(tensor.shape.reduce((a, b) => a * b, 1), i)] as const] : [],
  ));
}

const shapesOf = (graph: Graph, op: string): string[] => graph.nodes.filter((node) => node.op?.name === op).map(({ outputs: [y] }) => `[${y?.shape.join(", ") ?? ""}]`);

describe("slice push-down", () => {
  test("where one token is read, the last layer computes one query and one row of everything behind it", () => {
    const graph = new Graph();
    graph.output("y", slice(layer(graph.input("x", [B, L, D])), 1, 2, 3));
    const { graph: pushed } = pushSlices(graph, []);
    verify(pushed, "pushSlices");
    expect(shapesOf(pushed, "attention")).toEqual([`[${B}, 1, ${D}]`]);
    // Keys and values are still made of all tokens.
    expect(shapesOf(pushed, "matmul")).toEqual([`[1, ${B}, ${D}]`, `[1, ${B * L}, ${D}]`, `[1, ${B * L}, ${D}]`, `[1, ${B}, ${D}]`, `[1, ${B}, ${2 * D}]`, `[1, ${B}, ${D}]`]);
    expect(new Set(shapesOf(pushed, "slice"))).toEqual(new Set([`[${B}, ${D}]`]));
    const inputs = inputsOf(graph);
    expect(interpret(pushed, { inputs }).outputs.get("y")).toEqual(interpret(graph, { inputs }).outputs.get("y"));
  });

  test("a selection of rows goes through reshapes that merge and split axes", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3, 4, D]);
    const y = linear(x, graph.input("w", [6, D]));
    graph.output("y", slice(reshape(y, [6, 4, 3, 2]), 1, 1, 3));
    const { graph: pushed } = pushSlices(graph, []);
    expect(shapesOf(pushed, "matmul")).toEqual(["[1, 12, 6]"]);
    const inputs = inputsOf(graph);
    expect(interpret(pushed, { inputs }).outputs.get("y")).toEqual(interpret(graph, { inputs }).outputs.get("y"));
  });

  test("what somebody reads whole stays whole", () => {
    const graph = new Graph();
    const y = layer(graph.input("x", [B, L, D]));
    graph.output("y", slice(y, 1, 0, 1));
    graph.output("all", mean(y));
    expect(shapesOf(pushSlices(graph, []).graph, "attention")).toEqual([`[${B}, ${L}, ${D}]`]);
  });

  test("two different selections of one result leave it whole, the same one twice does not", () => {
    const build = (second: number): string[] => {
      const graph = new Graph();
      const y = linear(graph.input("x", [B, L, D]), graph.input("w", [D, D]));
      graph.output("a", slice(y, 1, 0, 1));
      graph.output("b", slice(y, 1, second, second + 1));
      return shapesOf(pushSlices(graph, []).graph, "matmul");
    };
    expect(build(1)).toEqual([`[1, ${B * L}, ${D}]`]);
    expect(build(0)).toEqual([`[1, ${B}, ${D}]`]);
  });

  test("dropout keeps its random numbers: nothing is pushed through it", () => {
    const graph = new Graph();
    const y = dropout(linear(graph.input("x", [B, L, D]), graph.input("w", [D, D])), 0.5, graph.input("key", [4], "u32"));
    graph.output("y", slice(y, 1, 0, 1));
    expect(shapesOf(pushSlices(graph, []).graph, "matmul")).toEqual([`[1, ${B * L}, ${D}]`]);
  });

  test("gradients are taken of the smaller graph, and tensors held from before still mean the same", () => {
    const graph = new Graph();
    const x = graph.input("x", [B, L, D]);
    const first = slice(layer(x), 1, 0, 1);
    const loss = mean(square(first));
    graph.output("loss", loss);
    const [dx] = gradients(loss, [x]);
    if (dx) graph.output("dx", dx);
    graph.output("double", mul(loss, 2));
    verify(graph, "gradients");
    expect(shapesOf(graph, "attentionBackward")).toEqual([`[${B}, 1, ${D}]`]);

    const whole = new Graph();
    const wx = whole.input("x", [B, L, D]);
    const all = layer(wx);
    const wholeLoss = mean(square(slice(all, 1, 0, 1)));
    // Reading everything keeps everything whole.
    whole.output("all", all);
    whole.output("loss", wholeLoss);
    const [wdx] = gradients(wholeLoss, [wx]);
    if (wdx) whole.output("dx", wdx);
    expect(shapesOf(whole, "attentionBackward")).toEqual([`[${B}, ${L}, ${D}]`]);

    const inputs = inputsOf(graph);
    const [small, large] = [interpret(graph, { inputs }).outputs, interpret(whole, { inputs }).outputs];
    expect(small.get("loss")).toEqual(large.get("loss"));
    expect(small.get("double")?.[0]).toBe(2 * (small.get("loss")?.[0] ?? 0));
    compare([...(small.get("dx") ?? [])], large.get("dx") ?? new Float64Array(), { name: "float64", absolute: 1e-14, relative: 1e-12 }, { op: "dx" });
  });
});

describe("slice push-down [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("the device computes the same from the pushed program, values and gradients", async () => {
    const graph = new Graph();
    const x = graph.input("x", [B, L, D]);
    const loss = mean(square(slice(layer(x), 1, 0, 1)));
    graph.output("loss", loss);
    const [dx] = gradients(loss, [x]);
    if (dx) graph.output("dx", dx);
    const inputs = inputsOf(graph);
    const expected = interpret(graph, { inputs }).outputs;
    const program = await compile(device, graph);
    program.run(inputs);
    const first = await program.readAll(["loss", "dx"]);
    for (const [name, reference] of expected) compare(first.get(name) ?? [], reference, f32Reduce(256), { op: name });
    const composed = await compile(device, graph, { fused: false });
    composed.run(inputs);
    for (const [name, values] of await composed.readAll(["loss", "dx"])) compare(first.get(name) ?? [], Float64Array.from(values), name === "loss" ? f32Reduce(64) : f32Reduce(256), { op: `${name}, op by op` });
    program.run(inputs);
    for (const [name, values] of await program.readAll(["loss", "dx"])) compare(values, Float64Array.from(first.get(name) ?? []), exact, { op: `${name}, second run` });
  });
});
