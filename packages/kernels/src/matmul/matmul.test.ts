import fc from "fast-check";
import { compare, dataSeed, dims, exact, f32, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { dropout } from "../dropout/dropout.js";
import { ShapeError } from "../errors.js";
import { sequenceReference, type Kernel, type KernelSequence, type KernelTarget, sequenceOf } from "../kernel.js";
import { type HostArray, runSequence } from "../launch.js";
import { randomKey } from "../random/threefry.js";
import { portableTarget, targetOf } from "../target.js";
import { recordTuning } from "../tuning.js";
import { chooseTile } from "./choose-tile.js";
import { matmul, matmulPlan } from "./matmul.js";
import { stridedTileMatmul } from "./strided-tile.js";
import { registerTileMatmul } from "./register-tile.js";
import { matmulShape, type Activation, type Epilogue, type MatmulOptions, type MatmulShape } from "./shape.js";
import { workgroupTileMatmul } from "./workgroup-tile.js";

const device = await openTestDevice();

/** Random values for everything a sequence reads from outside. */
function inputsOf(sequence: KernelSequence, seed: number): Record<string, HostArray> {
  const inputs: Record<string, HostArray> = {};
  for (const { kernel, bind } of sequence.kernels) {
    for (const { name, access, dtype, length } of kernel.bindings) {
      const tensor = bind[name] ?? name;
      if (access !== "read" || tensor === "parts") continue;
      inputs[tensor] = dtype === "u32" ? randomKey(seed, 3) : uniformData(length, seed + Object.keys(inputs).length);
    }
  }
  return inputs;
}

async function agrees(sequence: KernelSequence, terms: number, seed: number, shape: unknown): Promise<void> {
  if (device === undefined) return;
  const inputs = inputsOf(sequence, seed);
  const actual = await runSequence(device, sequence, inputs);
  const expected = sequenceReference(sequence, Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, Float64Array.from(values)])));
  compare(actual["out"] ?? [], expected["out"] ?? [], f32Reduce(terms, 2), { op: sequence.name, shape, seed });
}

const subgroup = device === undefined ? 0 : targetOf(device).subgroupSize;

/** Every family with a tile that is quick to compile yet has whole and partial loads, by name. */
const families: Readonly<Record<string, (shape: MatmulShape) => Kernel>> = {
  ...(subgroup > 0
    ? {
        "subgroup 12x2 along n": (shape) => registerTileMatmul(shape, { rows: 12, columns: 2, subgroup, laneAxis: "n" }),
        "subgroup 4x2 along m": (shape) => registerTileMatmul(shape, { rows: 4, columns: 2, subgroup, laneAxis: "m" }),
        "strided along n": (shape) => stridedTileMatmul(shape, { subgroup, laneAxis: "n" }),
        "strided along m": (shape) => stridedTileMatmul(shape, { subgroup, laneAxis: "m" }),
        "subgroup 2x1 along n": (shape) => registerTileMatmul(shape, { rows: 2, columns: 1, subgroup, laneAxis: "n" }),
      }
    : {}),
  "register 4x2 along n": (shape) => registerTileMatmul(shape, { rows: 4, columns: 2, subgroup: 0, laneAxis: "n" }),
  "strided without subgroups": (shape) => stridedTileMatmul(shape, { subgroup: 0, laneAxis: "n" }),
  "register 1x2 along m": (shape) => registerTileMatmul(shape, { rows: 1, columns: 2, subgroup: 0, laneAxis: "m" }),
  "workgroup 32": (shape) => workgroupTileMatmul(shape, 32),
};

/** A layout, which operands have batches, and one epilogue each instead of all combinations: every new shader text costs a compilation. */
const forms: Readonly<Record<string, Omit<MatmulOptions, "m" | "n" | "k">>> = {
  nn: { batchB: false, epilogue: { bias: true, activation: "relu", residual: true } },
  nt: { transposeB: true, epilogue: { bias: true, scale: -0.5, dropout: { rate: 0.3, opId: 5 } } },
  tn: { transposeA: true },
  tt: { transposeA: true, transposeB: true, batchA: false, epilogue: { activation: "gelu", residual: true } },
};

const sizes = fc.record({
  batch: dims({ tile: 2, max: 3 }),
  m: dims({ tile: 12, max: 30 }),
  n: dims({ tile: 32, max: 36 }),
  k: dims({ tile: 8, max: 40 }),
  slices: fc.constantFrom(1, 2, 3),
});

describe.skipIf(device === undefined)("[gpu] matmul families", () => {
  const cases = Object.entries(families).flatMap(([family, kernel]) => Object.entries(forms).map(([form, options]) => [family, form, kernel, options] as const));

  it.each(cases)("%s, %s: agrees with its reference", async (family, form, kernel, options) => {
    await fc.assert(
      fc.asyncProperty(sizes, dataSeed, async ({ slices, ...size }, seed) => {
        const shape = matmulShape({ ...size, ...options });
        // Slices are stored as they are; the epilogue belongs to their sum.
        await agrees(sequenceOf(kernel({ ...shape, slices: options.epilogue ? 1 : slices })), size.k, seed, shape);
      }),
      lawRuns({ name: `matmul ${family} ${form}`, runs: 100 }),
    );
  });
});

describe.skipIf(device === undefined)("[gpu] matmul", () => {
  const targets: Record<string, KernelTarget> = device === undefined ? {} : {
    "this device": targetOf(device),
    "software without subgroups": { ...portableTarget, class: "software" },
    "gpu class": portableTarget,
  };

  /** Sizes that lead to different tiles: one row, one column, large tiles with and without whole vectors. */
  const shapes = fc.constantFrom([1, 40, 16], [50, 1, 9], [49, 65, 17], [48, 64, 32], [0, 4, 4], [4, 4, 0]);

  it.each(Object.entries(targets))("chooses a kernel that agrees with its reference: %s", async (name, target) => {
    await fc.assert(
      fc.asyncProperty(shapes, dataSeed, async ([m = 0, n = 0, k = 0], seed) => {
        await agrees(matmulPlan({ m, n, k }, target), k, seed, { m, n, k });
      }),
      lawRuns({ name: `matmul on ${name}`, runs: 30 }),
    );
  });

  it("offers candidates that all compute the same, alone and in slices", async () => {
    for (const target of Object.values(targets)) {
      for (const options of [{ m: 37, n: 41, k: 19 }, { m: 5, n: 36, k: 300, transposeB: true, epilogue: { bias: true } }]) {
        const tuning = recordTuning();
        matmulPlan(options, { ...target, tuning });
        const [candidates = []] = tuning.choices.values();
        expect(new Set(candidates.map(({ name }) => name)).size).toBe(candidates.length);
        expect(candidates.length).toBeGreaterThan(2);
        for (const candidate of candidates) await agrees(candidate.build(), options.k, 4, [candidate.name, options]);
      }
    }
  });

  it.each(["none", "relu", "gelu"] satisfies Activation[])("applies scale, bias and %s, then dropout, then the residual", async (activation) => {
    const epilogue = { bias: true, activation, residual: true, scale: 0.5, dropout: { rate: 0.25, opId: 7 } } as const;
    for (const n of [34, 36]) await agrees(sequenceOf(matmul({ m: 9, n, k: 16, epilogue }, targets["this device"])), 16, 5, { n, epilogue });
  });

  it("drops exactly what a dropout of the product drops", async () => {
    if (device === undefined) return;
    const own = device;
    const draw = { rate: 0.4, opId: 3 };
    await fc.assert(
      fc.asyncProperty(fc.constantFrom([13, 36, 24], [30, 7, 300]), dataSeed, async ([m = 0, n = 0, k = 0], seed) => {
        const run = (epilogue: Epilogue): Promise<Record<string, HostArray>> => {
          const sequence = matmulPlan({ m, n, k, epilogue: { bias: true, activation: "relu", ...epilogue } }, targetOf(own));
          return runSequence(own, sequence, inputsOf(sequence, seed));
        };
        const key = randomKey(seed, 3);
        const [{ out: fused = [] }, { out: product = new Float32Array() }] = await Promise.all([run({ dropout: draw }), run({})]);
        const { y: composed = [] } = await runSequence(own, sequenceOf(dropout({ length: m * n, ...draw }, targetOf(own))), { x: product, key });
        const context = { op: "matmul with dropout", shape: [m, n, k], seed };
        compare(fused, Float64Array.from(composed), f32, context);
        compare(Float64Array.from(fused, (x) => Number(x === 0)), Float64Array.from(composed, (x) => Number(x === 0)), exact, context);
      }),
      lawRuns({ name: "matmul with dropout", runs: 30 }),
    );
  });

  it("cuts a long k into slices and adds them, the same bits every time", async () => {
    if (device === undefined) return;
    for (const target of [targetOf(device), portableTarget]) {
      const epilogue = { bias: true, residual: true, scale: 2, dropout: { rate: 0.5, opId: 1 } };
      const plan = matmulPlan({ m: 5, n: 7, k: 1003, transposeA: true, epilogue }, target);
      expect(plan.kernels.length).toBe(2);
      await agrees(plan, 1003, 3, plan.name);
      const inputs = inputsOf(plan, 3);
      const [first, second] = [await runSequence(device, plan, inputs), await runSequence(device, plan, inputs)];
      expect(second["out"]).toEqual(first["out"]);
    }
  });

  it("sums over the batch in every form", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), dims({ max: 14 }), dims({ max: 14 }), dims({ max: 200 }), fc.constantFrom("nn", "nt", "tn"), dataSeed, async (batch, m, n, k, form, seed) => {
        const options = { batch, m, n, k, transposeA: form === "tn", transposeB: form === "nt", reduceBatch: true };
        await agrees(matmulPlan(options, targets["this device"]), batch * k, seed, options);
      }),
      lawRuns({ name: "matmul summed over the batch", runs: 60 }),
    );
  });
});

describe("matmul rules", () => {
  it("takes large tiles where they fit, spreads rows over lanes where columns are few, does not waste tiles on few rows, and shares shaders among small products", () => {
    const tile = (m: number, n: number): string => {
      const { rows, columns, laneAxis } = chooseTile(matmulShape({ m, n, k: 2048 }), 8);
      return `${rows}x${columns}${laneAxis}`;
    };
    expect([tile(1344, 512), tile(168, 512), tile(64, 256), tile(4000, 3), tile(8, 256), tile(1, 2048)]).toEqual(["24x4n", "24x4n", "16x4n", "4x4m", "8x4n", "1x4n"]);
    const software = { ...portableTarget, class: "software", subgroupSize: 8 } as const;
    const small = ([[8, 64], [200, 2], [64, 3], [1, 1]] as const).map(([m, n]) => matmulPlan({ m, n, k: 64, epilogue: { activation: m === 8 ? "relu" : "none" } }, software).kernels[0]?.kernel.wgsl);
    expect(new Set(small).size).toBe(1);
  });

  it("does without subgroup operations where their size is not known", () => {
    expect(matmul({ m: 100, n: 100, k: 8 }, { ...portableTarget, class: "software" }).wgsl).not.toContain("subgroup");
    expect(matmul({ m: 100, n: 100, k: 8 }, { ...portableTarget, class: "software", subgroupSize: 8 }).wgsl).toContain("subgroupBroadcast");
  });
});

describe("matmul options", () => {
  it("refuses bad sizes", () => {
    expect(() => matmul({ m: -1, n: 2, k: 3 })).toThrow(ShapeError);
    expect(() => matmul({ m: 1.5, n: 2, k: 3 })).toThrow(/bad size m, expected an integer >= 0, got 1.5/);
  });

  it("refuses a dropout that keeps nothing", () => {
    expect(() => matmul({ m: 1, n: 2, k: 3, epilogue: { dropout: { rate: 1, opId: 0 } } })).toThrow(/bad dropout rate, expected 0 <= rate < 1, got 1/);
  });

  it("refuses a batch sum with a shared operand", () => {
    expect(() => matmulPlan({ batch: 2, m: 1, n: 1, k: 1, batchB: false, reduceBatch: true })).toThrow(ShapeError);
  });

  it("folds batches that share b into rows", () => {
    expect(matmul({ batch: 4, m: 3, n: 2, k: 5, batchB: false }).uniforms.find(({ name }) => name === "m")?.value).toBe(12);
  });
});
