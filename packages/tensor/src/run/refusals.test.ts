import { DeviceLimitError, DTypeError, KernelError, ShapeError } from "@distilldrive/kernels";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraphError } from "../errors.js";
import { Graph } from "../graph.js";
import { defineKernelOp } from "../ops/kernel-op.js";
import { matmul } from "../ops/matmul.js";
import { argMax } from "../ops/reduce.js";
import { reshape } from "../ops/reshape.js";
import { typeOf } from "../shape.js";
import { type Device, openDevice } from "./device.js";
import { compile } from "./program.js";

describe("what cannot run is refused before it runs [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  it("a tensor that the device cannot bind: the op, its shapes, the limit, what to do", async () => {
    const graph = new Graph();
    const rows = Math.floor(device.gpu.limits.maxStorageBufferBindingSize / 4 / 1024) + 1;
    const product = graph.scope("head", () => matmul(graph.input("x", [rows, 8]), graph.input("w", [8, 1024])));
    graph.output("y", product);
    const refused = compile(device, graph);
    await expect(refused).rejects.toThrow(DeviceLimitError);
    await expect(refused).rejects.toThrow(new RegExp(`^compile: matmul\\(f32\\[1, ${rows}, 8\\], f32\\[1, 8, 1024\\]\\) -> f32\\[1, ${rows}, 1024\\] in head: .*binding "out" has too many bytes, expected at most .*, got .*split the work`));
  });

  it("WGSL of a user's op that does not compile: the op, the compiler's line", async () => {
    const broken = defineKernelOp({
      name: "broken",
      inputs: ["x"],
      outputs: ["y"],
      shape: ([x]) => [x ?? typeOf([])],
      kernels: () => ({
        name: "broken",
        wgsl: "@group(0) @binding(0) var<storage, read> x: array<f32>;\n@group(0) @binding(1) var<storage, read_write> y: array<f32>;\n@compute @workgroup_size(1) fn main() { y[0] = undefinedThing; }\n",
        bindings: [{ name: "x", access: "read", dtype: "f32", length: 3 }, { name: "y", access: "write", dtype: "f32", length: 3 }],
        uniforms: [],
        grid: [1, 1, 1],
        cost: { flops: 0, bytes: 24 },
        reference: ({ x = new Float64Array() }) => ({ y: x }),
      }),
      vjp: { none: "a test" },
      tolerance: () => "exact",
      samples: () => ({ inputs: [typeOf([3])], attributes: {} }),
    });
    const graph = new Graph();
    const [y] = graph.apply(broken, [graph.input("x", [3])], {});
    if (y) graph.output("y", y);
    const refused = compile(device, graph);
    await expect(refused).rejects.toThrow(KernelError);
    await expect(refused).rejects.toThrow(/^compile: broken\(f32\[3\]\) -> f32\[3\]: broken: the driver refused the shader[^]*3:\d+ [^]*undefinedThing/);
  });

  it("NaN where an order is asked for: in a constant when it is compiled, in an input before anything is written", async () => {
    const constant = new Graph();
    constant.output("i", argMax(constant.constant([1, Number.NaN, 2], [3]), 0));
    await expect(compile(device, constant)).rejects.toThrow(/^compile: a constant holds NaN at element 1, expected numbers, as it is "x" of argMax\. Mask/);

    const graph = new Graph();
    graph.output("i", graph.scope("choose", () => argMax(reshape(graph.input("scores", [4]), [2, 2]), 1)));
    const program = await compile(device, graph);
    program.run({ scores: [0, 1, 3, 2] });
    expect(() => program.run({ scores: [0, 1, Number.NaN, 2] })).toThrow(GraphError);
    expect(() => program.run({ scores: [0, 1, Number.NaN, 2] })).toThrow(/^run: input "scores" holds NaN at element 2, expected numbers, as it is "x" of argMax in choose/);
    expect([...(await program.read("i"))]).toEqual([1, 0]);
    program.destroy();
  });

  it("a dtype that no op knows, and a size that is none, while tracing", () => {
    expect(() => new Graph().input("x", [2], "f64" as "f32")).toThrow(DTypeError);
    expect(() => new Graph().input("x", [2], "f64" as "f32")).toThrow(/^graph: input "x" has an unknown dtype, expected f32, i32, u32, got f64/);
    expect(() => new Graph().input("x", [2, 0.5])).toThrow(ShapeError);
    expect(() => new Graph().input("x", [2, 0.5])).toThrow(/^graph: input "x" has a bad size on axis 1, expected a whole number >= 0, got 0\.5 in \[2, 0\.5\]/);
  });
});
