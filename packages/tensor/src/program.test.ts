import { portableTarget } from "@distilldrive/kernels";
import { countCalls } from "@distilldrive/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "./autodiff.js";
import { Graph, type Tensor } from "./graph.js";
import { interpret } from "./interpret.js";
import { add, exp, mul, relu, sub } from "./ops/elementwise.js";
import { linear, matmul } from "./ops/matmul.js";
import { mean, sum } from "./ops/reduce.js";
import { reshape } from "./ops/reshape.js";
import { slice } from "./ops/slice.js";
import { type Device, openDevice } from "./run/device.js";
import { planProgram } from "./run/plan.js";
import { compile } from "./run/program.js";
import { createStore } from "./run/store.js";
import { buffer, fanInUniform, parameter, variablesOf } from "./variable.js";

const ramp = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i + 1));

/** A two-layer network with a squared loss, its gradients as outputs. */
function network(): { graph: Graph; variables: ReturnType<typeof variablesOf> } {
  const model = {
    hidden: { weight: parameter([16, 8], fanInUniform(8)), bias: parameter([16], fanInUniform(8)) },
    out: { weight: parameter([3, 16], fanInUniform(16)), bias: parameter([3], fanInUniform(16)) },
  };
  const graph = new Graph();
  const x = graph.input("x", [32, 8]);
  const y = graph.input("y", [32, 3]);
  const h = linear(x, model.hidden.weight, model.hidden.bias, "relu");
  const error = sub(linear(h, model.out.weight, model.out.bias), y);
  const loss = mean(mul(error, error));
  graph.output("loss", loss);
  const variables = variablesOf(model);
  [...variables].forEach(([name, variable], i) => {
    const grad = gradients(loss, [...variables.values()])[i];
    if (grad) graph.output(name, grad);
    expect(variable.role).toBe("parameter");
  });
  return { graph, variables };
}

describe("planning", () => {
  test("an elementwise chain is one kernel, whatever is broadcast in it", () => {
    const graph = new Graph();
    const x = graph.input("x", [4, 6, 8]);
    const row = graph.input("row", [8]);
    const column = graph.input("column", [6, 1]);
    graph.output("y", mul(exp(relu(add(mul(x, row), column))), 3));
    const plan = planProgram(graph, target());
    expect(plan.launches.map(({ kernel }) => kernel.name)).toEqual(["elementwise.mul+add+relu+2 more"]);
    expect(plan.peakBytes).toBe(0);
  });

  test("the same expression traced twice runs once, and what nobody reads does not run", () => {
    const graph = new Graph();
    const x = graph.input("x", [8, 8]);
    matmul(x, x, { transposeA: true });
    graph.output("y", add(matmul(x, x), matmul(x, x)));
    const names = planProgram(graph, target()).launches.map(({ label }) => label);
    expect(names.filter((name) => name === "matmul")).toHaveLength(1);
  });

  test("intermediates share memory: the peak stays near the liveness bound", () => {
    const graph = new Graph();
    let x: Tensor = graph.input("x", [64, 64]);
    for (let layer = 0; layer < 12; layer++) x = relu(matmul(x, x));
    graph.output("y", sum(x));
    const plan = planProgram(graph, target());
    expect(plan.lowerBoundBytes).toBeGreaterThan(0);
    expect(plan.peakBytes).toBeLessThanOrEqual(1.15 * plan.lowerBoundBytes);
  });

  test("the printed graph is stable", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3]);
    graph.output("y", graph.scope("block", () => sum(mul(reshape(x, [3, 2]), 2), { axes: [0] })));
    expect(graph.toString()).toMatchInlineSnapshot(`
      "%0 = input("x") : f32[2, 3]
      %1 = reshape(%0, shape=[3,2]) : f32[3, 2]  # block
      %2 = literal(2) : f32[]
      %3 = mul(%1, %2) : f32[3, 2]  # block
      %4 = sum(%3, axis=0) : f32[1, 2]  # block
      %5 = reshape(%4, shape=[2]) : f32[2]  # block
      return y = %5"
    `);
  });
});

const target = (): Device["target"] => ({ ...portableTarget, class: "software" });

describe("programs [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("loss and gradients of a network equal the interpreter's", async () => {
    const { graph, variables } = network();
    const store = createStore(device, variables, { seed: 3 });
    const program = await compile(device, graph, { store });
    const inputs = { x: ramp(32 * 8), y: ramp(32 * 3) };
    program.run(inputs);
    const values = new Map([...(await store.snapshot())].flatMap(([name, { data }]) => {
      const variable = variables.get(name);
      return variable ? [[variable, data] as const] : [];
    }));
    const expected = interpret(graph, { inputs, variables: values });
    for (const [name, reference] of expected.outputs) {
      const actual = await program.read(name);
      const largest = reference.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6);
      reference.forEach((value, i) => {
        expect(Math.abs((actual[i] ?? Number.NaN) - value) / largest).toBeLessThan(1e-5);
      });
    }
  });

  test("a run is one submit, one pass, one write, no map, no new buffer", async () => {
    const { graph, variables } = network();
    const store = createStore(device, variables, { seed: 3 });
    const program = await compile(device, graph, { store });
    const counts = countCalls(device.gpu);
    program.run({ x: ramp(32 * 8), y: ramp(32 * 3) });
    expect(counts).toEqual({ submits: 1, maps: 0, buffers: 0, passes: 1, writes: 1 });
  });

  test("variables take their new values together, after everything has read the old ones", async () => {
    const [a, b, count] = [buffer([4]), buffer([4]), buffer([])];
    const graph = new Graph();
    graph.assign(a, graph.variable(b));
    graph.assign(b, add(graph.variable(a), 1));
    graph.assign(count, add(graph.variable(count), 1));
    graph.output("before", graph.variable(a));
    const variables = variablesOf({ a, b, count });
    const store = createStore(device, variables, { seed: 0 });
    store.load(new Map([["b", { shape: [4], dtype: "f32", data: Float32Array.of(5, 6, 7, 8) }]]));
    const program = await compile(device, graph, { store });
    program.run({});
    program.run({});
    const values = await store.snapshot();
    expect([...(values.get("a")?.data ?? [])]).toEqual([1, 1, 1, 1]);
    expect([...(values.get("b")?.data ?? [])]).toEqual([6, 7, 8, 9]);
    expect([...(values.get("count")?.data ?? [])]).toEqual([2]);
    expect([...(await program.read("before"))]).toEqual([5, 6, 7, 8]);
  });

  test("two programs on one device share its arena", async () => {
    const build = (n: number): Graph => {
      const graph = new Graph();
      const x = graph.input("x", [n, n]);
      graph.output("y", sum(matmul(exp(matmul(x, x)), x)));
      return graph;
    };
    const [large, small] = [await compile(device, build(64)), await compile(device, build(32))];
    const arena = device.arena.length;
    small.run({ x: new Float32Array(32 * 32) });
    large.run({ x: new Float32Array(64 * 64) });
    expect(device.arena.length).toBe(arena);
    expect(await large.read("y")).toEqual(Float32Array.of(0));
  });

  test("a program moves into the larger arena that a later one needs, and the old arena is given back", async () => {
    const own = await openDevice();
    const build = (n: number): Graph => {
      const graph = new Graph();
      const x = graph.input("x", [n, n]);
      graph.output("y", sum(matmul(exp(matmul(x, x)), x)));
      return graph;
    };
    const ones = (n: number): Record<string, Float32Array> => ({ x: new Float32Array(n * n).fill(1 / n) });
    const small = await compile(own, build(16));
    small.run(ones(16));
    const before = await small.read("y");
    const [old] = own.arena;
    const large = await compile(own, build(64));
    expect(own.arena[0]).not.toBe(old);
    large.run(ones(64));
    small.run({ x: new Float32Array(256) });
    expect(await small.read("y")).toEqual(Float32Array.of(0));
    small.run(ones(16));
    expect(await small.read("y")).toEqual(before);
    expect(before[0]).toBeGreaterThan(0);
    own.close();
  });

  test("rows that nobody reads are computed only where a graph asks for them", () => {
    const flops = (dropDeadRows: boolean): number => {
      const graph = new Graph({ dropDeadRows });
      const x = graph.input("x", [8, 16]);
      graph.output("loss", gradients(sum(slice(matmul(x, graph.input("w", [16, 16])), 0, 0, 1)), [x])[0] ?? x);
      return planProgram(graph, device.target).flops;
    };
    expect(flops(false)).toBeGreaterThan(2 * flops(true));
  });

  test("wrong inputs are refused before anything is written", async () => {
    const graph = new Graph();
    graph.output("y", add(graph.input("x", [2, 2]), 1));
    const program = await compile(device, graph);
    expect(() => {
      program.run({});
    }).toThrow('run: input "x" is missing, expected x, got nothing.');
    expect(() => {
      program.run({ x: [1, 2, 3] });
    }).toThrow('input "x" has the wrong size, expected 4 elements, got 3');
  });

  test("a profile has a row for every dispatch", async () => {
    const { graph, variables } = network();
    const program = await compile(device, graph, { store: createStore(device, variables, { seed: 3 }) });
    const rows = await program.profile({ x: ramp(32 * 8), y: ramp(32 * 3) });
    expect(rows).toHaveLength(program.plan.launches.length);
    expect(rows.every(({ milliseconds }) => milliseconds >= 0)).toBe(true);
  });
});
