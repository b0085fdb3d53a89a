import { ShapeError } from "@distilldrive/kernels";
import { compare, dataSeed, dims, f32Reduce, lawRuns, maskData, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../autodiff.js";
import { GraphError } from "../errors.js";
import { Graph, type Tensor } from "../graph.js";
import { interpret } from "../interpret.js";
import { type Device, openDevice } from "../run/device.js";
import { compile } from "../run/program.js";
import { parameter } from "../variable.js";
import { attention } from "./attention.js";
import { add, mul, stopGradient } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { permute } from "./permute.js";
import { sum } from "./reduce.js";
import { reshape } from "./reshape.js";
import { softmax } from "./softmax.js";

interface Sizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
}
const [dim, valueDim] = [8, 4];

/** [B, L, H d] -> [B, H, L, d] */
const split = (x: Tensor, heads: number): Tensor => permute(reshape(x, [x.at(0), x.at(1), heads, x.at(2) / heads]), [0, 2, 1, 3]);

/** What the fused op stands for, in ops of its own: [Lq, Lk] matrices and all. */
function composed(q: Tensor, k: Tensor, v: Tensor, additive: Tensor, padding: Tensor, { batch, queries, keys, heads }: Sizes): Tensor {
  const scores = mul(matmul(split(q, heads), split(k, heads), { transposeB: true }), 1 / Math.sqrt(dim));
  const hidden = reshape(mul(padding, -1e30), [batch, 1, 1, keys]);
  const out = matmul(softmax(add(add(scores, additive), hidden)), split(v, heads));
  return reshape(permute(out, [0, 2, 1, 3]), [batch, queries, heads * valueDim]);
}

/** Output and gradients of q, k and v as outputs of a graph. */
function traced(sizes: Sizes, fused: boolean): Graph {
  const { batch, queries, keys, heads } = sizes;
  const graph = new Graph();
  const q = graph.input("q", [batch, queries, heads * dim]);
  const k = graph.input("k", [batch, keys, heads * dim]);
  const v = graph.input("v", [batch, keys, heads * valueDim]);
  const additive = graph.input("additive", [batch, heads, queries, keys]);
  const padding = graph.input("padding", [batch, keys]);
  const out = fused ? attention(q, k, v, { heads, keyPaddingMask: padding, additiveMask: additive }) : composed(q, k, v, additive, padding, sizes);
  graph.output("out", out);
  gradients(sum(mul(out, graph.input("cotangent", out.shape))), [q, k, v]).forEach((gradient, i) => {
    graph.output(`gradient ${i}`, gradient);
  });
  return graph;
}

describe("attention [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("fused on the device is matmul, softmax and matmul, forward and backward", async () => {
    const sizes = fc.record({ batch: dims({ tile: 2, min: 1, max: 2 }), queries: dims({ tile: 8, min: 1, max: 17 }), keys: dims({ tile: 8, min: 1, max: 17 }), heads: fc.integer({ min: 1, max: 2 }) });
    const property = fc.asyncProperty(sizes, dataSeed, async (drawn, seed) => {
      const { batch, queries, keys, heads } = drawn;
      const padding = maskData(batch * keys, seed);
      // Where every key is ignored the fused op gives zeros and a softmax equal shares: that is another test's matter.
      for (let b = 0; b < batch; b++) padding[b * keys] = 0;
      const inputs = {
        q: uniformData(batch * queries * heads * dim, seed, -2, 2),
        k: uniformData(batch * keys * heads * dim, seed + 1, -2, 2),
        v: uniformData(batch * keys * heads * valueDim, seed + 2),
        additive: uniformData(batch * heads * queries * keys, seed + 3),
        cotangent: uniformData(batch * queries * heads * valueDim, seed + 4),
        padding,
      };
      const expected = interpret(traced(drawn, false), { inputs }).outputs;
      const program = await compile(device, traced(drawn, true));
      try {
        program.run(inputs);
        for (const [name, values] of expected) compare(await program.read(name), values, f32Reduce(32 + keys + queries, 4), { op: `attention ${name}`, shape: drawn, seed });
      } finally {
        program.destroy();
      }
    });
    await fc.assert(property, lawRuns({ name: "attention fused = composed", runs: 20 }));
  });
});

describe("attention's additive mask", () => {
  const q = (graph: Graph): Tensor => graph.input("q", [2, 3, 8]);
  test.each([[[3, 3]], [[2, 3, 3]], [[2, 4, 3, 3]]])("may be %j", (shape) => {
    const graph = new Graph();
    const x = q(graph);
    expect(attention(x, x, x, { heads: 4, additiveMask: graph.input("mask", shape) }).shape).toEqual([2, 3, 8]);
  });

  test.each([[[3]], [[3, 4]], [[1, 3, 3]], [[2, 1, 3, 3]]])("is refused as %j", (shape) => {
    const graph = new Graph();
    const x = q(graph);
    expect(() => attention(x, x, x, { heads: 4, additiveMask: graph.input("mask", shape) })).toThrow(ShapeError);
  });

  test("gets no gradient and says so", () => {
    const graph = new Graph();
    const x = q(graph);
    const bias = parameter([3, 3], { kind: "constant", value: 0 });
    const loss = sum(attention(x, x, x, { heads: 4, additiveMask: bias }));
    expect(() => gradients(loss, [bias])).toThrow(GraphError);
    const stopped = sum(attention(x, x, x, { heads: 4, additiveMask: stopGradient(graph.variable(bias)) }));
    expect(gradients(stopped, [x])).toHaveLength(1);
  });
});
