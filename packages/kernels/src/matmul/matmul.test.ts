import fc from "fast-check";
import { compare, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { sequenceReference, type KernelSequence, type KernelTarget, sequenceOf } from "../kernel.js";
import { runSequence } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { matmul, matmulPlan } from "./matmul.js";
import { registerTileMatmul } from "./register-tile.js";
import { matmulShape, type Activation } from "./shape.js";

const device = await openTestDevice();

async function agrees(sequence: KernelSequence, terms: number, seed: number, shape: unknown): Promise<void> {
  if (device === undefined) return;
  const inputs: Record<string, Float32Array> = {};
  for (const { kernel, bind } of sequence.kernels) {
    for (const { name, access, length } of kernel.bindings) {
      const tensor = bind[name] ?? name;
      if (access === "read" && tensor !== "parts") inputs[tensor] = uniformData(length, seed + Object.keys(inputs).length);
    }
  }
  const actual = await runSequence(device, sequence, inputs);
  const expected = sequenceReference(sequence, Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, Float64Array.from(values)])));
  compare(actual["out"] ?? [], expected["out"] ?? [], f32Reduce(terms), { op: sequence.name, shape, seed });
}

const activations: readonly Activation[] = ["none", "relu", "gelu"];

const cases = fc.record({
  batch: dims({ tile: 2, max: 3 }),
  m: dims({ tile: 8, max: 36 }),
  n: dims({ tile: 16, max: 36 }),
  k: dims({ tile: 8, max: 40 }),
  variant: fc.integer({ min: 0, max: 3 }),
});

/** A few variants instead of all combinations, because every new shader text costs a compilation. */
const variants = [
  { transposeA: false, transposeB: false, batchB: false, epilogue: { bias: true, activation: "relu", residual: true } },
  { transposeA: false, transposeB: true, batchA: true, batchB: true },
  { transposeA: true, transposeB: false, batchA: true, batchB: true },
  { transposeA: true, transposeB: true, batchA: false, epilogue: { activation: "gelu", residual: true, bias: false } },
] as const;

describe.skipIf(device === undefined)("[gpu] matmul", () => {
  const targets: Record<string, KernelTarget> = device === undefined ? {} : {
    "this device": targetOf(device),
    "software without subgroups": { ...portableTarget, class: "software" },
    "gpu class": portableTarget,
  };

  it.each(Object.entries(targets))("agrees with its reference: %s", async (name, target) => {
    await fc.assert(
      fc.asyncProperty(cases, dataSeed, async ({ variant, ...sizes }, seed) => {
        const options = { ...sizes, ...variants[variant as 0] };
        await agrees(sequenceOf(matmul(options, target)), sizes.k, seed, options);
      }),
      lawRuns({ name: `matmul on ${name}`, runs: 14 }),
    );
  });

  it.each(activations)("applies bias and %s", async (activation) => {
    const options = { m: 9, n: 34, k: 16, epilogue: { bias: true, activation } };
    await agrees(sequenceOf(matmul(options, targets["this device"])), 16, 5, options);
  });

  it("cuts a long k into slices and adds them, the same bits every time", async () => {
    for (const target of [targets["this device"], targets["gpu class"]]) {
      const options = { m: 5, n: 7, k: 1003, transposeA: true, epilogue: { bias: true } };
      const plan = matmulPlan(options, target);
      expect(plan.kernels.length).toBe(2);
      await agrees(plan, 1003, 3, options);
    }
  });

  it.each([[true, false], [false, true]] as const)("sums over the batch: transposeA %s, transposeB %s", async (transposeA, transposeB) => {
    const options = { batch: 3, m: 10, n: 12, k: 9, transposeA, transposeB, reduceBatch: true };
    await agrees(matmulPlan(options, targets["this device"]), 27, 8, options);
  });

  it("covers every register tile and both lane axes", async () => {
    for (const laneAxis of ["m", "n"] as const) {
      for (const columns of [1, 4] as const) {
        const options = { batch: 2, m: 20, n: 12, k: 13, transposeA: laneAxis === "m", epilogue: { bias: true } };
        const subgroup = targets["this device"]?.subgroupSize ?? 0;
        await agrees(sequenceOf(registerTileMatmul(matmulShape(options), { rows: 4, columns, subgroup, laneAxis })), 13, 2, options);
      }
    }
  });
});

describe("matmul options", () => {
  it("refuses bad sizes", () => {
    expect(() => matmul({ m: -1, n: 2, k: 3 })).toThrow(ShapeError);
    expect(() => matmul({ m: 1.5, n: 2, k: 3 })).toThrow(/bad size m, expected an integer >= 0, got 1.5/);
  });

  it("refuses a batch sum with a shared operand", () => {
    expect(() => matmulPlan({ batch: 2, m: 1, n: 1, k: 1, batchB: false, reduceBatch: true })).toThrow(ShapeError);
  });

  it("folds batches that share b into rows", () => {
    expect(matmul({ batch: 4, m: 3, n: 2, k: 5, batchB: false }).uniforms.find(({ name }) => name === "m")?.value).toBe(12);
  });
});
