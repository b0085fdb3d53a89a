import fc from "fast-check";
import { compare, dataSeed, dims, f32Reduce, lawRuns, maskData, openTestDevice, uniformData } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { type Arrays, type KernelTarget, sequenceReference } from "../kernel.js";
import { runKernel, runSequence, type HostArray } from "../launch.js";
import { randomKey } from "../random/threefry.js";
import { portableTarget, targetOf } from "../target.js";
import { attention } from "./attention.js";
import { attentionGradientReference, attentionReference } from "./reference.js";
import { attentionShape, type AttentionOptions } from "./shape.js";

const device = await openTestDevice();
const target = device === undefined ? portableTarget : targetOf(device);

/** Queries x keys of the additive mask for each of its forms. */
function additiveLength({ batch, queries, keys, heads, additive = "none" }: AttentionOptions): number {
  return { none: 0, shared: 1, batch, head: batch * heads }[additive] * queries * keys;
}

function inputsFor(options: AttentionOptions, seed: number): Record<string, HostArray> {
  const { batch, queries, keys, heads, dim, valueDim = dim } = options;
  const range = 4 / Math.sqrt(dim);
  return {
    q: uniformData(batch * queries * heads * dim, seed, -range, range),
    k: uniformData(batch * keys * heads * dim, seed + 1, -2, 2),
    v: uniformData(batch * keys * heads * valueDim, seed + 2),
    keyPaddingMask: maskData(batch * keys, seed, 0.4),
    additiveMask: uniformData(additiveLength(options), seed + 5, -1.2, 1).map((x) => (x < -1 ? -1e30 : x)),
    key: randomKey(seed, 3),
    dout: uniformData(batch * queries * heads * valueDim, seed + 4),
  };
}

const float64 = (inputs: Readonly<Record<string, HostArray>>): Arrays => Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, Float64Array.from(values)]));

/** A target that always picks the candidate of this name. */
const picking = (base: KernelTarget, name: string): KernelTarget => ({ ...base, tuning: { choose: () => name } });

/** Runs forward and backward and compares every output with the float64 reference. */
async function checkAttention(gpu: GPUDevice, on: KernelTarget, options: AttentionOptions, seed: number, inputs = inputsFor(options, seed)): Promise<Record<string, HostArray>> {
  const shape = attentionShape(options);
  const expected = { ...attentionReference(shape, float64(inputs)), ...attentionGradientReference(shape, float64(inputs)) };
  const forward = attention.forward(options, on);
  const backward = attention.backward(options, on);
  const saved = await runKernel(gpu, forward, inputs);
  const actual = { ...saved, ...(await runSequence(gpu, backward, { ...inputs, ...saved })) };
  const terms = 32 + options.keys + options.queries + options.dim;
  for (const name of ["out", "logSumExp", "dq", "dk", "dv"] as const) {
    compare(actual[name] ?? [], expected[name], f32Reduce(terms, 2), { op: `${forward.name} ${backward.name} ${name}`, shape: options, seed });
  }
  return actual;
}

/** Head dimensions of q and k and of v; rows that start at multiples of four take other code than rows that do not. */
const aligned = [4, 8, 16, 32, 64, 96, 128] as const;
const unaligned = [5, 31, 33, 127] as const;
/** What is compiled: one text each serves every size (on GPUs: of the given head dimension). */
const variants: readonly { readonly dim: readonly number[]; readonly valueDim?: readonly number[]; readonly options: Partial<AttentionOptions>; readonly tile: string }[] = [
  { dim: aligned, options: {}, tile: "tile3x24" },
  { dim: aligned, options: { mask: true }, tile: "tile1x8" },
  { dim: unaligned, valueDim: aligned, options: { additive: "shared", dropout: 0.25, opId: 9 }, tile: "tile1x8" },
  { dim: aligned, valueDim: unaligned, options: { mask: true, additive: "head", dropout: 0.5, opId: 3 }, tile: "tile1x8" },
  { dim: aligned, options: { additive: "batch" }, tile: "tile1x8" },
];
const cases = fc.record({
  batch: dims({ tile: 2, max: 2 }),
  queries: dims({ tile: 24, max: 50 }),
  keys: dims({ tile: 24, max: 70 }),
  heads: fc.integer({ min: 1, max: 2 }),
  variant: fc.constantFrom(...variants),
  pick: fc.tuple(fc.nat(99), fc.nat(99)),
});

function optionsOf({ variant, pick: [first, second], ...sizes }: typeof cases extends fc.Arbitrary<infer T> ? T : never): AttentionOptions {
  const { dim, valueDim = dim, options } = variant;
  return { ...sizes, dim: dim[first % dim.length] ?? 4, valueDim: valueDim[second % valueDim.length] ?? 4, ...options };
}

describe.skipIf(device === undefined)("[gpu] attention", () => {
  it("on a CPU driver, in tiles, agrees with its reference forward and backward", async () => {
    if (device === undefined) return;
    const property = fc.asyncProperty(cases, dataSeed, async (drawn, seed) => {
      await checkAttention(device, picking({ ...target, class: "software" }, drawn.variant.tile), optionsOf(drawn), seed);
    });
    await fc.assert(property, lawRuns({ name: "attention tiles", runs: 100 }));
  });

  it("on a CPU driver, with held rows, agrees with its reference forward and backward", async () => {
    if (device === undefined) return;
    const small = fc.record({ batch: dims({ tile: 2, max: 2 }), queries: dims({ tile: 24, max: 50 }), keys: dims({ tile: 24, max: 70 }), heads: fc.integer({ min: 1, max: 2 }) });
    const forms = fc.constantFrom<{ readonly name: string } & Pick<AttentionOptions, "dim"> & Partial<AttentionOptions>>(
      { name: "held1x24", dim: 32 },
      { name: "held1x24", dim: 8 },
      { name: "held1x42", dim: 32, dropout: 0.25, opId: 4 },
      { name: "held1x40", dim: 32, dropout: 0.25, opId: 4 },
      { name: "held1x8", dim: 40, valueDim: 12, mask: true },
      { name: "held1x8", dim: 16, valueDim: 36, additive: "shared", dropout: 0.25, opId: 9 },
      { name: "held1x8", dim: 4, mask: true, additive: "head", dropout: 0.5, opId: 3 },
    );
    const property = fc.asyncProperty(small, forms, dataSeed, async (sizes, { name, ...form }, seed) => {
      await checkAttention(device, picking({ ...target, class: "software" }, name), { ...sizes, ...form }, seed);
    });
    await fc.assert(property, lawRuns({ name: "attention held rows", runs: 100 }));
  });

  it("on a CPU driver, row by row, agrees with its reference forward and backward", async () => {
    if (device === undefined) return;
    const property = fc.asyncProperty(cases, dataSeed, async (drawn, seed) => {
      const options = optionsOf(drawn);
      await checkAttention(device, picking({ ...target, class: "software" }, "rows"), { ...options, queries: options.queries % 7 }, seed);
    });
    await fc.assert(property, lawRuns({ name: "attention rows", runs: 100 }));
  });

  it("on a CPU driver, with all of few keys at once, agrees with its reference forward and backward", async () => {
    if (device === undefined) return;
    const property = fc.asyncProperty(cases, dataSeed, async (drawn, seed) => {
      const options = optionsOf(drawn);
      await checkAttention(device, picking({ ...target, class: "software" }, "short"), { ...options, keys: options.keys % 9 }, seed);
    });
    await fc.assert(property, lawRuns({ name: "attention short keys", runs: 100 }));
  });

  it("with tiles in workgroup memory agrees with its reference forward and backward", async () => {
    if (device === undefined) return;
    const small = fc.record({ batch: dims({ tile: 2, max: 2 }), queries: dims({ tile: 64, max: 66 }), keys: dims({ tile: 32, max: 70 }), heads: fc.integer({ min: 1, max: 2 }) });
    const forms = fc.constantFrom<Pick<AttentionOptions, "dim"> & Partial<AttentionOptions>>(
      { dim: 8, mask: true },
      { dim: 5, valueDim: 4, mask: true, additive: "shared", dropout: 0.25, opId: 9 },
      { dim: 32, valueDim: 16, additive: "head" },
    );
    const property = fc.asyncProperty(small, forms, dataSeed, async (sizes, form, seed) => {
      await checkAttention(device, portableTarget, { ...sizes, ...form }, seed);
    });
    await fc.assert(property, lawRuns({ name: "attention workgroup", runs: 100 }));
  });

  it.each([
    { name: "its own rules", on: target, dim: 31, queries: 3, keys: 5 },
    { name: "its own rules", on: target, dim: 8, queries: 5, keys: 1 },
    { name: "a lane per row and all keys at once", on: picking({ ...target, class: "software" }, "rows at once"), dim: 8, queries: 1, keys: 4 },
    { name: "a lane per row, all keys at once, several queries", on: picking({ ...target, class: "software" }, "rows at once"), dim: 12, queries: 3, keys: 2 },
    { name: "a lane per row and rows that are no vectors", on: picking({ ...target, class: "software" }, "rows at once"), dim: 7, queries: 1, keys: 3 },
    { name: "a lane per row and no keys", on: picking({ ...target, class: "software" }, "rows at once"), dim: 4, queries: 2, keys: 0 },
    { name: "no subgroups", on: { ...target, class: "software", subgroupSize: 0 } as const, dim: 8, queries: 11, keys: 9 },
    { name: "little workgroup memory", on: { ...portableTarget, limits: { ...portableTarget.limits, maxComputeWorkgroupStorageSize: 600 } }, dim: 12, queries: 3, keys: 35 },
  ])("agrees with its reference with $name, d = $dim", async ({ on, ...sizes }) => {
    if (device === undefined) return;
    await checkAttention(device, on, { batch: 1, heads: 2, mask: true, ...sizes }, 11);
  });

  it("gives the same bits twice", async () => {
    if (device === undefined) return;
    const options = { batch: 2, queries: 50, keys: 30, heads: 2, dim: 32 };
    const [first, second] = [await checkAttention(device, target, options, 5), await checkAttention(device, target, options, 5)];
    expect(second).toEqual(first);
  });

  it.each(["tile1x8", "rows", "workgroup"])("hides rows whose additive mask is -1e29 and below everywhere, in %s", async (name) => {
    if (device === undefined) return;
    const options: AttentionOptions = { batch: 1, queries: 3, keys: 5, heads: 1, dim: 8, additive: "batch" };
    const additiveMask = Float32Array.from({ length: 15 }, (_, at) => (at < 5 ? -3.4e38 : at < 10 ? (at === 7 ? 2 : -1e29) : -100));
    const on = name === "workgroup" ? portableTarget : picking({ ...target, class: "software" }, name);
    const actual = await checkAttention(device, on, options, 2, { ...inputsFor(options, 2), additiveMask });
    expect([...(actual["out"] ?? [1])].slice(0, 8).every((x) => x === 0)).toBe(true);
    expect([...(actual["dq"] ?? [1])].slice(0, 8).every((x) => x === 0)).toBe(true);
    compare([...(actual["out"] ?? [])].slice(8, 16), Float64Array.from([...(inputsFor(options, 2)["v"] ?? [])].slice(16, 24)), f32Reduce(1), { op: "the one key left", shape: options });
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

  it("passes over blocks of keys that are all ignored, at the start, in the middle and at the end", async () => {
    if (device === undefined) return;
    const options: AttentionOptions = { batch: 4, queries: 26, keys: 100, heads: 1, dim: 8, mask: true };
    const open = [[20, 30], [50, 55], [0, 1], [0, 0]] as const;
    const keyPaddingMask = Float32Array.from({ length: 400 }, (_, at) => (open.some(([from, to], b) => at >= 100 * b + from && at < 100 * b + to) || at === 95 ? 0 : 1));
    await checkAttention(device, picking({ ...target, class: "software" }, "held1x24"), options, 3, { ...inputsFor(options, 3), keyPaddingMask });
  });

  it("splits dk and dv where only eight storage buffers can be bound", async () => {
    if (device === undefined) return;
    const options: AttentionOptions = { batch: 1, queries: 4, keys: 6, heads: 2, dim: 4, mask: true, additive: "head", dropout: 0.5, opId: 2 };
    const plan = attention.backward(options, portableTarget);
    expect(plan.kernels.length).toBe(4);
    expect(Math.max(...plan.kernels.map(({ kernel }) => kernel.bindings.length))).toBe(8);
    await checkAttention(device, portableTarget, options, 7);
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

describe.skipIf(device === undefined)("[gpu] attention with scores of hundreds", () => {
  // A score of 400 is known to 400 * 2^-24 at best, and so is the logarithm of a weight. That rounding of the scores themselves, not the one of
  // logSumExp, sets the error: emulated with the maximum and the logarithm of the sum kept apart it was hardly smaller.
  it.each(["tile3x24", "held1x24", "workgroup"])("has gradients as near as such scores allow, in %s", async (name) => {
    if (device === undefined) return;
    const options = { batch: 1, queries: 30, keys: 40, heads: 2, dim: 32 };
    const inputs = inputsFor(options, 4);
    const large = { ...inputs, q: (inputs["q"] ?? new Float32Array()).map((x) => 300 * x) };
    const on = name === "workgroup" ? portableTarget : picking({ ...target, class: "software" }, name);
    const saved = await runKernel(device, attention.forward(options, on), large);
    const actual = await runSequence(device, attention.backward(options, on), { ...large, ...saved });
    const expected = attentionGradientReference(attentionShape(options), float64(large));
    expect(Math.max(...Array.from(saved["logSumExp"] ?? [], Math.abs))).toBeGreaterThan(300);
    for (const gradient of ["dq", "dk", "dv"] as const) {
      const largest = expected[gradient].reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const off = expected[gradient].reduce((most, x, i) => Math.max(most, Math.abs(x - (actual[gradient]?.[i] ?? Number.NaN))), 0);
      expect(off / largest, gradient).toBeLessThan(3e-4);
    }
  });
});

describe("attention reference", () => {
  it("is what the references of the gradient's kernels compose to", () => {
    const options: AttentionOptions = { batch: 2, queries: 3, keys: 4, heads: 2, dim: 3, valueDim: 2, mask: true, additive: "head", dropout: 0.3, opId: 1 };
    const inputs = float64(inputsFor(options, 6));
    const reference = attentionGradientReference(attentionShape(options), inputs);
    const saved = attention.forward(options).reference(inputs);
    for (const on of [portableTarget, picking({ ...portableTarget, class: "software" }, "tile3x24")]) {
      const composed = sequenceReference(attention.backward(options, on), { ...inputs, ...saved });
      for (const name of ["dq", "dk", "dv"] as const) compare(composed[name] ?? [], reference[name], f32Reduce(1), { op: name, shape: options });
    }
  });

  it("has the gradient its central differences say", () => {
    const options: AttentionOptions = { batch: 2, queries: 3, keys: 4, heads: 2, dim: 3, valueDim: 2, mask: true, additive: "shared", dropout: 0.3, opId: 1 };
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
