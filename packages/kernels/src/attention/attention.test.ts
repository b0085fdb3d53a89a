import fc from "fast-check";
import { compare, dataSeed, dims, f32Reduce, lawRuns, maskData, openTestDevice, uniformData } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { type Arrays, sequenceReference } from "../kernel.js";
import { runKernel, runSequence, type HostArray } from "../launch.js";
import { randomKey } from "../random/threefry.js";
import { portableTarget, targetOf } from "../target.js";
import { attention } from "./attention.js";
import { attentionGradientReference, attentionReference } from "./reference.js";
import { attentionShape, type AttentionOptions } from "./shape.js";

const device = await openTestDevice();
const target = device === undefined ? portableTarget : targetOf(device);

function inputsFor(options: AttentionOptions, seed: number): Record<string, HostArray> {
  const { batch, queries, keys, heads, dim, valueDim = dim } = options;
  return {
    q: uniformData(batch * queries * heads * dim, seed, -2, 2),
    k: uniformData(batch * keys * heads * dim, seed + 1, -2, 2),
    v: uniformData(batch * keys * heads * valueDim, seed + 2),
    keyPaddingMask: maskData(batch * keys, seed, 0.4),
    key: randomKey(seed, 3),
    dout: uniformData(batch * queries * heads * valueDim, seed + 4),
  };
}

const float64 = (inputs: Readonly<Record<string, HostArray>>): Arrays => Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, Float64Array.from(values)]));

const cases = fc.record({
  batch: dims({ tile: 2, max: 3 }),
  queries: dims({ tile: 8, max: 17 }),
  keys: dims({ tile: 4, max: 13 }),
  heads: fc.integer({ min: 1, max: 3 }),
  variant: fc.integer({ min: 0, max: 3 }),
});
const variants = [
  { dim: 8, mask: false },
  { dim: 8, mask: true },
  { dim: 5, valueDim: 4, mask: true, dropout: 0.25, opId: 9 },
  { dim: 4, valueDim: 3, mask: false },
] as const;

describe.skipIf(device === undefined)("[gpu] attention", () => {
  it("agrees with its reference, forward and backward", async () => {
    if (device === undefined) return;
    await fc.assert(
      fc.asyncProperty(cases, dataSeed, async ({ variant, ...sizes }, seed) => {
        const options: AttentionOptions = { ...sizes, ...variants[variant as 0] };
        const inputs = inputsFor(options, seed);
        const forward = attention.forward(options, target);
        const expected = forward.reference(float64(inputs));
        const actual = await runKernel(device, forward, inputs);
        const context = { op: forward.name, shape: options, seed };
        compare(actual["out"] ?? [], expected["out"] ?? [], f32Reduce(options.keys), context);
        compare(actual["logSumExp"] ?? [], expected["logSumExp"] ?? [], f32Reduce(options.dim), context);

        const backward = attention.backward(options, target);
        const saved = { ...inputs, ...actual };
        const gradients = await runSequence(device, backward, saved);
        const reference = attentionGradientReference(attentionShape(options), float64(inputs));
        const composed = sequenceReference(backward, float64({ ...inputs, ...actual }));
        for (const name of ["dq", "dk", "dv"] as const) {
          compare(composed[name] ?? [], reference[name], f32Reduce(1), { op: `${backward.name} reference ${name}`, shape: options, seed });
          compare(gradients[name] ?? [], reference[name], f32Reduce(16 + options.keys + options.queries), { op: `${backward.name} ${name}`, shape: options, seed });
        }
      }),
      lawRuns({ name: "attention", runs: 30 }),
    );
  });

  it("gives zeros, also as gradients, where every key is ignored", async () => {
    if (device === undefined) return;
    const options = { batch: 2, queries: 3, keys: 5, heads: 2, dim: 8, mask: true };
    const inputs = { ...inputsFor(options, 1), keyPaddingMask: Float32Array.of(1, 1, 1, 1, 1, 0, 0, 1, 0, 0) };
    const saved = await runKernel(device, attention.forward(options, target), inputs);
    const gradients = await runSequence(device, attention.backward(options, target), { ...inputs, ...saved });
    expect([...(saved["out"] ?? [1])].slice(0, 48).every((x) => x === 0)).toBe(true);
    for (const name of ["dq", "dk", "dv"]) {
      const values = [...(gradients[name] ?? [])];
      expect(values.slice(0, values.length / 2).every((x) => x === 0)).toBe(true);
      expect(values.slice(values.length / 2).some((x) => x !== 0)).toBe(true);
    }
  });

  it("splits dk and dv where only eight storage buffers can be bound", async () => {
    if (device === undefined) return;
    const options = { batch: 1, queries: 4, keys: 6, heads: 2, dim: 4, mask: true, dropout: 0.5, opId: 2 };
    const inputs = inputsFor(options, 7);
    const saved = await runKernel(device, attention.forward(options, portableTarget), inputs);
    const plan = attention.backward(options, portableTarget);
    expect(plan.kernels.length).toBe(4);
    expect(Math.max(...plan.kernels.map(({ kernel }) => kernel.bindings.length))).toBe(8);
    const gradients = await runSequence(device, plan, { ...inputs, ...saved });
    const reference = attentionGradientReference(attentionShape(options), float64(inputs));
    for (const name of ["dq", "dk", "dv"] as const) compare(gradients[name] ?? [], reference[name], f32Reduce(32), { op: `attention ${name}`, shape: options });
  });

  it("stays finite with scores of a thousand", async () => {
    if (device === undefined) return;
    const options = { batch: 1, queries: 5, keys: 9, heads: 1, dim: 4 };
    const inputs = inputsFor(options, 3);
    const large = { ...inputs, q: (inputs["q"] ?? new Float32Array()).map((x) => 1000 * x) };
    const forward = attention.forward(options, target);
    const actual = await runKernel(device, forward, large);
    compare(actual["out"] ?? [], forward.reference(float64(large))["out"] ?? [], f32Reduce(4000), { op: forward.name, shape: options });
  });
});

describe("attention reference", () => {
  it("has the gradient its central differences say", () => {
    const options = { batch: 2, queries: 3, keys: 4, heads: 2, dim: 3, valueDim: 2, mask: true, dropout: 0.3, opId: 1 };
    const shape = attentionShape(options);
    const inputs = float64(inputsFor(options, 5));
    const gradients = attentionGradientReference(shape, inputs);
    const objective = (at: Arrays): number => attentionReference(shape, at).out.reduce((sum, x, i) => sum + x * (inputs["dout"]?.[i] ?? 0), 0);
    for (const [name, gradient] of [["q", gradients.dq], ["k", gradients.dk], ["v", gradients.dv]] as const) {
      const direction = Float64Array.from(uniformData(gradient.length, 8));
      const moved = (h: number): Arrays => ({ ...inputs, [name]: (inputs[name] ?? gradient).map((x, i) => x + h * (direction[i] ?? 0)) });
      const numeric = (objective(moved(1e-5)) - objective(moved(-1e-5))) / 2e-5;
      expect(gradient.reduce((sum, g, i) => sum + g * (direction[i] ?? 0), 0)).toBeCloseTo(numeric, 7);
    }
  });

  it("refuses bad options", () => {
    expect(() => attention.forward({ batch: 1, queries: 1, keys: 1, heads: 0, dim: 4 })).toThrow(ShapeError);
    expect(() => attention.forward({ batch: 1, queries: 1, keys: 1, heads: 1, dim: 4, dropout: 1 })).toThrow(/expected a probability in \[0, 1\), got 1/);
  });
});
