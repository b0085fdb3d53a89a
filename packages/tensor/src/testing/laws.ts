import { adapterName, compare, exact, f32, f32Reduce, type Tolerance, transcendental, uniformSource } from "@distilldrive/testkit";
import fc from "fast-check";
import { gradients } from "../autodiff.js";
import { Graph, type Tensor } from "../graph.js";
import { interpret } from "../interpret.js";
import type { AnyOp, Draw, NamedTolerance, OpDefinition, Sample, SampleInput } from "../op.js";
import { add, mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import type { Device } from "../run/device.js";
import { compile } from "../run/program.js";
import { sizeOf } from "../shape.js";

/** Draws choices from fast-check, so that a failing sample shrinks. */
function drawFrom(g: fc.GeneratorValue): Draw {
  const integer = (min: number, max: number): number => g(fc.integer, { min, max });
  return {
    integer,
    boolean: () => integer(0, 1) === 1,
    pick: <T>(choices: readonly T[]): T => {
      const choice = choices[integer(0, choices.length - 1)];
      if (choice === undefined) throw new RangeError("pick: no choices");
      return choice;
    },
    size: (max = 33) => {
      const edges = [1, 2, 3, 4, 7, 8, 9, 16, 17].filter((n) => n <= max);
      const edge = edges[integer(0, 2 * edges.length)];
      return edge ?? integer(1, max);
    },
  };
}

/** A drawn case: an op's sample with values for its inputs, rounded to float32. */
export interface OpCase {
  readonly sample: Sample<object>;
  readonly inputs: Readonly<Record<string, Float64Array>>;
  /** Cotangents by output, for the gradient laws. */
  readonly cotangents: readonly Float64Array[];
}

/** Builds the graph `out i = op(x 0, x 1, ...)`. */
function graphOfCase(op: AnyOp, sample: Sample<object>): { graph: Graph; inputs: Tensor[]; outputs: readonly Tensor[] } {
  const graph = new Graph();
  const inputs = sample.inputs.map(({ shape, dtype }, i) => graph.input(`x${i}`, shape, dtype));
  const outputs = graph.apply(op as unknown as OpDefinition<object>, inputs, sample.attributes);
  return { graph, inputs, outputs };
}

/** Draws a case of an op. */
export function drawCase(op: AnyOp, g: fc.GeneratorValue): OpCase {
  const draw = drawFrom(g);
  const sample = op.samples(draw) as Sample<object>;
  const random = uniformSource(draw.integer(0, 2 ** 30));
  const inputs: Record<string, Float64Array> = {};
  sample.inputs.forEach((input, i) => (inputs[`x${i}`] = drawValues(input, random)));
  const { outputs } = graphOfCase(op, sample);
  const cotangents = outputs.map((output) => Float64Array.from({ length: sizeOf(output.shape) }, () => Math.fround(2 * random() - 1)));
  return { sample, inputs, cotangents };
}

/** Every output on the device equals the float64 reference; a second run gives the same bits. */
export async function checkForward(device: Device, op: AnyOp, { sample, inputs }: OpCase): Promise<void> {
  const { graph, outputs } = graphOfCase(op, sample);
  outputs.forEach((output, i) => {
    graph.output(`y${i}`, output);
  });
  const expected = interpret(graph, { inputs });
  const program = await compile(device, graph);
  try {
    program.run(inputs);
    const names = outputs.map((_, i) => `y${i}`);
    const first = await program.readAll(names);
    program.run(inputs);
    const second = await program.readAll(names);
    const tolerance = toleranceOf(op.tolerance(sample.inputs, sample.attributes as never));
    for (const name of names) {
      const context = { op: `${op.name} ${name}`, shape: describe(sample), adapter: adapterName(device.gpu) };
      compare(first.get(name) ?? [], expected.outputs.get(name) ?? [], tolerance, context);
      compare(second.get(name) ?? [], Float64Array.from(first.get(name) ?? []), exact, { ...context, op: `${op.name} ${name}, second run` });
    }
  } finally {
    program.destroy();
  }
}

/** Step of the central difference: in float64 small enough that hardly any case straddles a kink. */
const directionStep = 1e-6;

/** Gradients by the op's rule equal central differences of the float64 reference, and the device computes the same gradients. */
export async function checkGradient(device: Device | undefined, op: AnyOp, { sample, inputs, cotangents }: OpCase): Promise<void> {
  if ("none" in op.vjp) return;
  const { graph, inputs: tensors, outputs } = graphOfCase(op, sample);
  const differentiable = tensors.filter((tensor, i) => tensor.dtype === "f32" && !sample.inputs[i]?.mask && sample.inputs[i]?.checkGradient !== false);
  const { differentiable: carrying } = op.vjp;
  const carriers = outputs.filter((_, i) => carrying?.includes(op.outputs[i] ?? "") !== false);
  const loss = weightedSum(graph, carriers, cotangents);
  const grads = gradients(loss, differentiable);
  graph.output("loss", loss);
  grads.forEach((grad, i) => {
    graph.output(`g${i}`, grad);
  });
  const result = interpret(graph, { inputs });
  const lossAt = (moved: Readonly<Record<string, Float64Array>>): number => interpret(graph, { inputs: moved }, []).outputs.get("loss")?.[0] ?? Number.NaN;
  const random = uniformSource(12345);
  const direction = differentiable.map((tensor) => Float64Array.from({ length: sizeOf(tensor.shape) }, () => 2 * random() - 1));
  const moved = (step: number): Record<string, Float64Array> => {
    const all: Record<string, Float64Array> = { ...inputs };
    differentiable.forEach((tensor, i) => {
      const name = `x${tensors.indexOf(tensor)}`;
      all[name] = (inputs[name] ?? new Float64Array(0)).map((value, j) => value + step * (direction[i]?.[j] ?? 0));
    });
    return all;
  };
  const numeric = (lossAt(moved(directionStep)) - lossAt(moved(-directionStep))) / (2 * directionStep);
  let analytic = 0;
  let size = 0;
  differentiable.forEach((_, i) => {
    const grad = result.outputs.get(`g${i}`) ?? new Float64Array(0);
    grad.forEach((value, j) => {
      analytic += value * (direction[i]?.[j] ?? 0);
      size += Math.abs(value);
    });
  });
  const allowed: Tolerance = { name: "central differences", absolute: 1e-6 * (1 + size), relative: 1e-5 };
  compare([analytic], [numeric], allowed, { op: `${op.name} gradient`, shape: describe(sample) });

  if (!device || grads.length === 0) return;
  const program = await compile(device, graph);
  try {
    program.run(inputs);
    const named = toleranceOf(op.tolerance(sample.inputs, sample.attributes as never));
    for (const [i] of grads.entries()) {
      const expected = result.outputs.get(`g${i}`) ?? new Float64Array(0);
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      // Gradients are products of forward values: their rounding is relative to the largest of the tensor.
      const tolerance: Tolerance = { name: `${named.name} of the largest`, absolute: Math.max(4 * named.absolute, 2e-6) + Math.max(4 * named.relative, 2e-5) * largest, relative: 0 };
      compare(await program.read(`g${i}`), expected, tolerance, { op: `${op.name} gradient of input ${tensors.indexOf(differentiable[i] as Tensor)}`, shape: describe(sample), adapter: adapterName(device.gpu) });
    }
  } finally {
    program.destroy();
  }
}

/** sum over outputs of sum(output * cotangent), as a graph; integer outputs are left out. */
function weightedSum(graph: Graph, outputs: readonly Tensor[], cotangents: readonly Float64Array[]): Tensor {
  let total: Tensor = graph.literal(0);
  outputs.forEach((output, i) => {
    if (output.dtype !== "f32") return;
    const weights = graph.constant(cotangents[i] ?? [], output.shape);
    total = add(total, sum(mul(output, weights)));
  });
  return total;
}

/** The testkit's tolerance for a name. */
function toleranceOf(named: NamedTolerance): Tolerance {
  if (typeof named === "object") return f32Reduce(named.terms, named.scale);
  return { exact, f32, transcendental }[named];
}

function drawValues(input: SampleInput, random: () => number): Float64Array {
  const size = sizeOf(input.shape);
  const [low, high] = input.range ?? [-2, 2];
  if (input.mask) return Float64Array.from({ length: size }, () => (random() < 0.5 ? 1 : 0));
  if (input.dtype !== "f32") return Float64Array.from({ length: size }, () => low + Math.floor(random() * (high - low + 1)));
  const values = Float64Array.from({ length: size }, () => Math.fround(low + (high - low) * random()));
  // Away from ties: every value gets a rung of its own, in random order along the tensor.
  if (input.distinct !== undefined) {
    const rungs = Array.from({ length: size }, (_, i) => i).sort(() => random() - 0.5);
    const step = Math.max(input.distinct, (high - low) / Math.max(1, size));
    rungs.forEach((rung, i) => (values[i] = Math.fround(low + step * rung)));
  }
  return values;
}

function describe(sample: Sample<object>): string {
  return `${sample.inputs.map(({ shape, dtype }) => `${dtype}[${shape.join(", ")}]`).join(" ")} ${JSON.stringify(sample.attributes)}`;
}
