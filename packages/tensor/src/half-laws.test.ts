import { type KernelSequence, roundToHalf, runSequence, storeSequenceAs } from "@distilldrive/kernels";
import { adapterName, compare, exact, f16, f32, f32Reduce, lawRuns, type Tolerance, transcendental, uniformSource } from "@distilldrive/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "./autodiff.js";
import { Graph } from "./graph.js";
import { interpret } from "./interpret.js";
import type { AnyOp, NamedTolerance, OpDefinition } from "./op.js";
import { attention } from "./ops/attention.js";
import { mul, square } from "./ops/elementwise.js";
import { allOps } from "./ops/index.js";
import { linear } from "./ops/matmul.js";
import { sum } from "./ops/reduce.js";
import { type Device, openDevice } from "./run/device.js";
import { type Plan, planProgram } from "./run/plan.js";
import { compile } from "./run/program.js";
import { drawCase, type OpCase } from "./testing/laws.js";

/** Random cases an op; the nightly run raises it. */
const runs = Number(process.env["DISTILLDRIVE_LAW_RUNS"] ?? 4);

describe("half-precision laws [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  for (const op of allOps.filter(({ lower }) => lower.kind !== "view")) {
    test(`${op.name}: stored as f16, the device computes the reference of rounded inputs`, async (context) => {
      if (!device.target.f16) return context.skip("the adapter has no shader-f16");
      await fc.assert(fc.asyncProperty(fc.gen(), (g) => checkHalf(device, op, drawCase(op, g))), lawRuns({ runs, name: `${op.name} in f16` }));
    });
  }

  test("a compiled graph keeps activations and their gradients in f16, and everything else in f32", async (context) => {
    if (!device.target.f16) return context.skip("the adapter has no shader-f16");
    const graph = new Graph();
    const random = uniformSource(5);
    const data = (size: number): Float32Array => Float32Array.from({ length: size }, () => roundToHalf(2 * random() - 1));
    const [x, weight] = [graph.input("x", [2, 24, 32]), graph.input("w", [32, 32])];
    const bias = graph.constant(new Float32Array(32), [32]);
    const project = linear(x, weight, bias);
    const y = attention(project, project, project, { heads: 4 });
    const loss = graph.scope("loss", () => mul(sum(square(y)), 0.01));
    graph.output("loss", loss);
    graph.output("y", y);
    gradients(loss, [x, weight]).forEach((grad, i) => {
      graph.output(`g${i}`, grad);
    });
    const inputs = { x: data(2 * 24 * 32), w: data(1024) };
    const expected = interpret(graph, { inputs });
    const program = await compile(device, graph, { precision: "mixed" });
    program.run(inputs);
    const text = program.plan.toString();
    expect(text).toMatch(/attention\S*forward\S*\.f16\(|attention\S*\.f16\(/);
    expect(program.plan.storages.filter(({ storedAs }) => storedAs === "f16").length).toBeGreaterThanOrEqual(2);
    expect(program.plan.storages.every(({ home, storedAs }) => storedAs === undefined || home.kind === "arena")).toBe(true);
    for (const name of graph.outputs.keys()) {
      const values = expected.outputs.get(name) ?? new Float64Array(0);
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      compare(await program.read(name), values, { name: "f16 intermediates", absolute: 4 * f16.relative * largest, relative: 0 }, { op: name, adapter: adapterName(device.gpu) });
    }
    program.destroy();
    const plain = await compile(device, graph, { precision: "f32" });
    expect(program.plan.peakBytes).toBeLessThan(plain.plan.peakBytes);
    plain.destroy();
  });
});

/** Runs an op with its inputs and outputs stored as f16. */
async function checkHalf(device: Device, op: AnyOp, { sample, inputs: drawn }: OpCase): Promise<void> {
  const graph = new Graph();
  const tensors = sample.inputs.map(({ shape, dtype }, i) => graph.input(`x${i}`, shape, dtype));
  const outputs = graph.apply(op as unknown as OpDefinition<object>, tensors, sample.attributes);
  outputs.forEach((output, i) => {
    graph.output(`y${i}`, output);
  });
  const rounded: Record<string, Float64Array> = {};
  tensors.forEach(({ dtype }, i) => (rounded[`x${i}`] = dtype === "f32" ? (drawn[`x${i}`] ?? new Float64Array(0)).map(roundToHalf) : (drawn[`x${i}`] ?? new Float64Array(0))));
  const expected = interpret(graph, { inputs: rounded });
  // What overflows f16 is not the kernel's fault.
  if ([...expected.outputs.values()].some((values) => values.some((value) => Math.abs(value) > 6e4))) return;
  const plan = planProgram(graph, device.target);
  const { sequence, inputs, names } = sequenceOfPlan(plan, rounded);
  const results = await runSequence(device.gpu, sequence, inputs);
  const named = toleranceOf(op.tolerance(sample.inputs, sample.attributes as never));
  for (const [name, values] of expected.outputs) {
    const result = results[names.get(name) ?? ""];
    const integer = outputs[Number(name.slice(1))]?.dtype !== "f32";
    const tolerance: Tolerance = integer ? exact : { name: `f16 beside ${named.name}`, absolute: f16.absolute + 4 * named.absolute, relative: f16.relative + 4 * named.relative };
    if (plan.launches.length > 0) compare(result ?? [], values, tolerance, { op: `${op.name} ${name} in f16`, shape: `${sample.inputs.map(({ shape }) => `[${shape.join(", ")}]`).join(" ")} ${JSON.stringify(sample.attributes)}`, adapter: adapterName(device.gpu) });
  }
}

/** The dispatches of a plan as one sequence, its inputs and outputs stored as f16. */
function sequenceOfPlan(plan: Plan, values: Readonly<Record<string, Float64Array>>): { sequence: KernelSequence; inputs: Record<string, Float32Array | Int32Array | Uint32Array>; names: Map<string, string> } {
  const inputs: Record<string, Float32Array | Int32Array | Uint32Array> = {};
  const add = (id: number, dtype: string, data: ArrayLike<number>): void => {
    inputs[`s${id}`] = dtype === "f32" ? Float32Array.from(data) : dtype === "i32" ? Int32Array.from(data) : Uint32Array.from(data);
  };
  for (const { name, storage } of plan.inputs) add(storage.id, storage.dtype, values[name] ?? []);
  for (const { id, dtype, home } of plan.storages) if (home.kind === "constant") add(id, dtype, home.data);
  const plain: KernelSequence = {
    name: "plan",
    kernels: plan.launches.map(({ kernel, storages }) => ({ kernel, bind: Object.fromEntries(kernel.bindings.map(({ name }, i) => [name, `s${storages[i]?.id ?? -1}`])) })),
    temporaries: plan.storages.filter(({ home }) => home.kind === "arena").map(({ id, dtype, length }) => ({ name: `s${id}`, dtype, length })),
  };
  const outside = plan.storages.filter(({ home }) => home.kind === "input" || home.kind === "output").map(({ id }) => `s${id}`);
  return { sequence: storeSequenceAs(plain, outside), inputs, names: new Map([...plan.outputs].map(([name, { id }]) => [name, `s${id}`])) };
}

function toleranceOf(named: NamedTolerance): Tolerance {
  if (typeof named === "object") return f32Reduce(named.terms, named.scale);
  return { exact, f32, transcendental }[named];
}
