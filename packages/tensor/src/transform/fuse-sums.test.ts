import { portableTarget } from "@distilldrive/kernels";
import { compare, exact, f32Reduce, lawRuns, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../autodiff.js";
import { Graph, type Tensor } from "../graph.js";
import { interpret } from "../interpret.js";
import { add, greater, mul, relu, square, sub, tanh } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { mean, sum } from "../ops/reduce.js";
import { reshape } from "../ops/reshape.js";
import { type Device, openDevice } from "../run/device.js";
import { planProgram } from "../run/plan.js";
import { compile } from "../run/program.js";
import { type Shape, sizeOf } from "../shape.js";
import { fuseSums } from "./fuse-sums.js";
import { optimize } from "./optimize.js";
import { verify } from "./verify.js";

const compiled = (graph: Graph): Graph => optimize(graph, { keep: [], assign: true, transform: true }).graph;
const opsOf = (graph: Graph): string[] => compiled(graph).nodes.flatMap(({ op }) => (op && op.lower.kind !== "view" ? [op.name] : []));

/** Random data for every input, by name. */
function inputsOf(graph: Graph, seed: number): Record<string, Float32Array> {
  return Object.fromEntries(graph.nodes.flatMap(({ source, id, outputs: [tensor] }) => (source?.kind === "input" && tensor ? [[source.name, uniformData(sizeOf(tensor.shape), seed + id)] as const] : [])));
}

/** relu(x * scale + shift) + residual and its gradients, from the gradient of the result or from a loss. */
function chain(rows: number, width: number, loss: (out: Tensor, graph: Graph) => Tensor): Graph {
  const graph = new Graph();
  const [x, residual] = [graph.input("x", [rows, width]), graph.input("residual", [rows, width])];
  const [scale, shift] = [graph.input("scale", [width]), graph.input("shift", [width])];
  const out = add(relu(add(mul(x, scale), shift)), residual);
  graph.output("out", out);
  gradients(loss(out, graph), [x, scale, shift]).forEach((gradient, i) => {
    graph.output(`g${i}`, gradient);
  });
  return graph;
}

describe("fused column sums", () => {
  test("of an elementwise chain's gradient: one pass, printed", () => {
    expect(compiled(chain(12, 8, (out, graph) => sum(mul(out, graph.input("dout", [12, 8]))))).toString()).toMatchInlineSnapshot(`
      "%0 = input("x") : f32[12, 8]
      %1 = input("residual") : f32[12, 8]
      %2 = input("scale") : f32[8]
      %3 = input("shift") : f32[8]
      %4 = mul(%0, %2) : f32[12, 8]
      %5 = add(%4, %3) : f32[12, 8]
      %6 = relu(%5) : f32[12, 8]
      %7 = add(%6, %1) : f32[12, 8]
      %8 = input("dout") : f32[12, 8]
      %9 = fusedSums(%0, %2, %3, %8, body="t0 = mul(x0, x1); t1 = add(t0, x2); t2 = relu(t1); t3 = greater(t2, 0); t4 = mul(x3, t3); t5 = mul(t4, x1); t6 = mul(t4, x0); store t5; sum t4, t6") : f32[12, 8], f32[8], f32[8]  # backward
      %10 = reshape(%9.1, shape=[1,8]) : f32[1, 8]  # backward
      %11 = reshape(%9.2, shape=[1,8]) : f32[1, 8]  # backward
      %12 = reshape(%10, shape=[8]) : f32[8]  # backward
      %13 = reshape(%11, shape=[8]) : f32[8]  # backward
      return out = %7
      return g0 = %9.0
      return g1 = %13
      return g2 = %12"
    `);
  });

  test("compute forward values again rather than read them", () => {
    // The loss is a matrix product of the result, so that the backward pass comes later than all of the forward pass.
    const graph = chain(12, 8, (out, g) => mean(square(matmul(out, g.input("w", [8, 8])))));
    expect(compiled(graph).toString()).toContain(
      '%18 = fusedSums(%0, %2, %3, %17, body="t0 = mul(x0, x1); t1 = add(t0, x2); t2 = relu(t1); t3 = greater(t2, 0); t4 = mul(x3, t3); t5 = mul(t4, x1); t6 = mul(t4, x0); store t5; sum t4, t6")',
    );
  });

  test("store what a matrix product reads, and sum it in the same pass", () => {
    const graph = new Graph();
    const [x, w, b, v] = [graph.input("x", [2, 6, 4]), graph.input("w", [4, 8]), graph.input("b", [8]), graph.input("v", [8, 4])];
    const loss = mean(square(matmul(tanh(add(matmul(x, w), b)), v)));
    gradients(loss, [x, w, b]).forEach((gradient, i) => {
      graph.output(`g${i}`, gradient);
    });
    expect(opsOf(graph).filter((name) => name === "sum")).toEqual([]);
    expect(opsOf(graph).filter((name) => name === "fusedSums")).toEqual(["fusedSums"]);
  });

  test("leave sums that have nothing to share, sums along rows and sums of everything", () => {
    const ops = (build: (x: Tensor, graph: Graph) => Tensor): string[] => {
      const graph = new Graph();
      graph.output("y", build(graph.input("x", [6, 8]), graph));
      return opsOf(graph);
    };
    expect(ops((x) => sum(x, { axes: [0] }))).toEqual(["sum"]);
    expect(ops((x) => sum(square(x), { axes: [1] }))).toEqual(["square", "sum"]);
    expect(ops((x) => sum(square(x)))).toEqual(["square", "sum"]);
    expect(ops((x) => sum(square(x), { axes: [0] }))).toEqual(["fusedSums"]);
    // Of one matrix: read once.
    expect(ops((x) => add(sum(x, { axes: [0] }), sum(square(x), { axes: [0] })))).toEqual(["fusedSums", "add"]);
  });

  test("never read what depends on their results", () => {
    const graph = new Graph();
    const x = graph.input("x", [6, 8]);
    const centred = sub(x, mul(sum(x, { axes: [0] }), 1 / 6));
    const variance = sum(square(centred), { axes: [0] });
    graph.output("y", mul(centred, variance));
    graph.output("gain", sum(mul(centred, variance), { axes: [0] }));
    const made = compiled(graph);
    expect(opsOf(graph)).toEqual(["sum", "fusedSums", "fusedSums"]);
    const inputs = inputsOf(graph, 1);
    const expected = interpret(graph, { inputs }).outputs;
    for (const [name, value] of interpret(made, { inputs }).outputs) compare(value, expected.get(name) ?? [], { name: "float64", absolute: 1e-12, relative: 1e-12 }, { op: name });
  });

  test("need no more buffers than a device has", () => {
    const graph = new Graph();
    const parts = Array.from({ length: 12 }, (_, i) => graph.input(`x${i}`, [40, 8]));
    const total = parts.reduce((a, b) => add(mul(a, b), b));
    graph.output("sum", sum(total, { axes: [0] }));
    graph.output("total", total);
    for (const { kernel } of planProgram(graph, portableTarget).launches) expect(kernel.bindings.length).toBeLessThanOrEqual(portableTarget.limits.maxStorageBuffersPerShaderStage);
  });
});

/** Shapes with extents 1, odd and around four. */
const smallDomains = fc.oneof(
  fc.tuple(fc.constantFrom(1, 2, 3, 5, 33), fc.constantFrom(1, 2, 3, 4, 5, 8, 9)),
  fc.tuple(fc.constantFrom(1, 2, 7), fc.constantFrom(1, 3, 16), fc.constantFrom(1, 4, 5, 12)),
  fc.tuple(fc.constantFrom(1, 2), fc.constantFrom(2, 3), fc.constantFrom(1, 5), fc.constantFrom(1, 3, 4)),
);
/** The same, and rows enough for several chunks. */
const domains = fc.oneof(smallDomains, fc.tuple(fc.integer({ min: 900, max: 1400 }), fc.constantFrom(63, 64, 128)));

/** A graph of random elementwise steps over a domain and tensors that broadcast to it, with sums over leading axes of some of them. */
function randomGraph(g: fc.GeneratorValue, domain: Shape): Graph {
  const integer = (max: number): number => g(fc.integer, { min: 0, max });
  const graph = new Graph();
  const small = (name: string): Tensor => graph.input(name, domain.map((n) => (integer(1) === 0 ? 1 : n)).slice(integer(domain.length - 1)));
  const values: Tensor[] = [graph.input("x", domain), graph.input("y", domain), small("a"), small("b")];
  const pick = (): Tensor => values[integer(values.length - 1)] ?? graph.input("x", domain);
  const steps = 2 + integer(6);
  for (let i = 0; i < steps; i++) {
    const [p, q] = [pick(), pick()];
    values.push([(): Tensor => add(p, q), (): Tensor => mul(p, tanh(q)), (): Tensor => relu(sub(p, q)), (): Tensor => mul(p, greater(q, 0)), (): Tensor => tanh(p)][integer(4)]?.() ?? p);
    if (integer(2) > 0) continue;
    const whole = add(pick(), values[0] ?? p);
    values.push(whole);
    const axes = Array.from({ length: 1 + integer(domain.length - 2) }, (_, axis) => axis);
    const total = sum(whole, { axes, keepDims: true });
    graph.output(`sum ${i}`, total);
    // Sums that later steps read make passes that must not be put in a circle.
    if (integer(1) === 0) values.push(mul(total, 1 / Math.max(1, sizeOf(domain))));
  }
  const last = add(values.at(-1) ?? pick(), values[0] ?? pick());
  graph.output("last", integer(1) === 0 ? reshape(last, [sizeOf(domain)]) : last);
  graph.output("total", sum(last, { axes: domain.map((_, axis) => axis).slice(0, -1) }));
  return graph;
}

describe("fused column sums of random graphs", () => {
  test("compute what the graph computed", () => {
    let passes = 0;
    fc.assert(fc.property(smallDomains, fc.gen(), fc.nat(), (domain, g, seed) => {
      const graph = randomGraph(g, domain);
      const { graph: fused } = fuseSums(graph, []);
      verify(fused, "fuseSums");
      passes += fused.nodes.filter(({ op }) => op?.name === "fusedSums").length;
      const inputs = inputsOf(graph, seed);
      const expected = interpret(graph, { inputs }).outputs;
      for (const [name, value] of interpret(fused, { inputs }).outputs) {
        compare(value, expected.get(name) ?? [], { name: "float64", absolute: 1e-10, relative: 1e-10 }, { op: name, shape: domain, seed });
      }
    }), lawRuns({ runs: 300, name: "fused sums" }));
    expect(passes).toBeGreaterThan(100);
  });
});

describe("fused column sums [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("fused = composed = reference on the device, twice the same, on this target and on a GPU's", async () => {
    await fc.assert(fc.asyncProperty(domains, fc.gen(), fc.nat(), async (domain, g, seed) => {
      const graph = randomGraph(g, domain);
      const inputs = inputsOf(graph, seed);
      const expected = interpret(graph, { inputs }).outputs;
      const tolerance = f32Reduce(64 * sizeOf(domain.slice(0, -1)));
      const gpu = { ...device, target: { ...device.target, class: "gpu" } as const };
      for (const program of [await compile(device, graph), await compile(gpu, graph), await compile(device, graph, { fused: false })]) {
        program.run(inputs);
        const first = await program.readAll([...expected.keys()]);
        program.run(inputs);
        for (const [name, reference] of expected) {
          compare(first.get(name) ?? [], reference, tolerance, { op: name, shape: domain, seed });
          compare(await program.read(name), Float64Array.from(first.get(name) ?? []), exact, { op: `${name}, second run`, shape: domain, seed });
        }
        program.destroy();
      }
    }), lawRuns({ runs: 15, name: "fused sums on the device" }));
  });

  test("gradients of the chain agree with the reference at every edge of rows and columns", async () => {
    for (const [rows, width] of [[1, 1], [1, 256], [1344, 1], [1344, 256], [63, 65], [129, 4], [700, 260]] as const) {
      const graph = chain(rows, width, (out, g) => sum(mul(out, g.input("dout", [rows, width]))));
      const inputs = inputsOf(graph, rows);
      const expected = interpret(graph, { inputs }).outputs;
      const program = await compile(device, graph);
      program.run(inputs);
      for (const [name, reference] of expected) compare(await program.read(name), reference, f32Reduce(rows), { op: name, shape: [rows, width] });
      program.destroy();
    }
  });
});
