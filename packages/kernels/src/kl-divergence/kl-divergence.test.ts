import { fileURLToPath } from "node:url";
import { checkGradient, compare, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, readNpz, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { runKernel } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement, targetsOf } from "../testing/agreement.js";
import { klDivergence, klDivergenceBackward } from "./kl-divergence.js";
import { klDivergenceBackwardReference, klDivergenceReference } from "./reference.js";

/** Non-negative targets, about a third of them exactly zero. */
function someTargets(length: number, seed: number): Float32Array {
  return uniformData(length, seed, -0.5, 1).map((value) => Math.max(0, value));
}

describe("klDivergence [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 16, max: 40 }), dims({ tile: 18, min: 1, max: 68 }), fc.constantFrom(1, 80), dataSeed, async (rows, width, range, seed) => {
        const shape = { rows, width };
        const note = { shape: [rows, width, range], seed };
        const inputs = { logits: uniformData(rows * width, seed, -range, range), targets: someTargets(rows * width, seed + 1), weight: uniformData(rows, seed + 2, -1, 2).map((value) => Math.max(0, value)) };
        const size = 4 * range;
        for (const target of targetsOf(own)) {
          await expectAgreement(own, klDivergence(shape, target), inputs, { loss: f32Reduce(width, size) }, note);
          const dloss = uniformData(rows, seed + 3);
          await expectAgreement(own, klDivergenceBackward(shape, target), { ...inputs, dloss }, { dlogits: f32Reduce(width, 4) }, note);
        }
      }),
      lawRuns({ runs: 100, name: "klDivergence" }),
    );
  });

  it("reproduces the published loss and gradient", async (context) => {
    if (device === undefined) return context.skip();
    const golden = readNpz(fileURLToPath(new URL("../../fixtures/unit_klloss.npz", import.meta.url)));
    const cases = golden.names.filter((name) => name.endsWith(".loss")).map((name) => name.slice(0, -".loss".length));
    expect(cases.length).toBeGreaterThanOrEqual(8);
    for (const name of cases) {
      const of = (field: string): Float64Array => golden.get(`${name}.${field}`).numbers();
      const [rows = 0, width = 0] = golden.get(`${name}.pred`).shape;
      const rowsCounted = of("weight").filter((value) => value > 0).length;
      const scale = (of("loss_weight")[0] ?? 1) / Math.max(1, rowsCounted);
      const inputs = { logits: Float32Array.from(of("pred")), targets: Float32Array.from(of("target")), weight: Float32Array.from(of("weight"), (value) => (value > 0 ? scale : 0)) };
      const { loss } = await runKernel(device, klDivergence({ rows, width }, targetOf(device)), inputs);
      compare([Array.from(loss ?? []).reduce((sum, value) => sum + value, 0)], of("loss"), f32Reduce(rows * width), { op: `klDivergence golden ${name}` });
      const { dlogits } = await runKernel(device, klDivergenceBackward({ rows, width }, targetOf(device)), { ...inputs, dloss: new Float32Array(rows).fill(1) });
      compare(dlogits ?? [], of("grad.pred"), f32Reduce(width), { op: `klDivergence golden gradient ${name}` });
    }
  });

  it("is finite for extreme logits, zero targets and rows of weight zero", async (context) => {
    if (device === undefined) return context.skip();
    const inputs = { logits: Float32Array.of(1e4, -1e4, 0, 1e30, -1e30, 5), targets: Float32Array.of(1, 0, 0, 0, 0, 0), weight: Float32Array.of(1, 0) };
    const outputs = await expectAgreement(device, klDivergence({ rows: 2, width: 3 }, targetOf(device)), inputs, {});
    expect([...outputs("loss")]).toEqual([0, 0]);
  });

  it("refuses rows without classes", () => {
    expect(() => klDivergence({ rows: 1, width: 0 }, portableTarget)).toThrow(ShapeError);
  });
});

describe("klDivergence gradient", () => {
  it("matches central differences", () => {
    fc.assert(
      fc.property(dims({ tile: 4 }), dims({ tile: 6, min: 1 }), dataSeed, (rows, width, seed) => {
        const shape = { rows, width };
        const data = { targets: Float64Array.from(someTargets(rows * width, seed)), weight: Float64Array.from(uniformData(rows, seed + 1, 0, 2)) };
        const logits = Float64Array.from(uniformData(rows * width, seed + 2, -3, 3));
        checkGradient({
          op: "klDivergence",
          seed,
          point: logits,
          forward: (point) => klDivergenceReference(shape, { ...data, logits: point }).loss,
          backward: (dloss) => klDivergenceBackwardReference(shape, { ...data, logits, dloss }).dlogits,
        });
      }),
      lawRuns({ runs: 100, name: "klDivergence gradient" }),
    );
  });
});
