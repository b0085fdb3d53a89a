import { checkGradient, compare, dataSeed, dims, exact, f32Reduce, lawRuns, openTestDevice, uniformData, uniformSource } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { gatherRows } from "./gather.js";
import { gatherReference, scatterAddReference } from "./reference.js";
import { scatterAddRows } from "./scatter-add.js";

/** Row numbers from -2 to rows + 1, so some are outside the table. */
function rowNumbers(length: number, seed: number, rows: number): Int32Array {
  const next = uniformSource(seed);
  return Int32Array.from({ length }, () => Math.floor(next() * (rows + 4)) - 2);
}

const shapes = fc.oneof(
  fc.record({ batch: dims({ tile: 2 }), rows: dims({ tile: 8 }), indices: dims({ tile: 16 }), width: dims({ tile: 8 }) }),
  fc.record({ batch: fc.constant(2), rows: fc.constantFrom(3, 200), indices: fc.constantFrom(127, 128), width: dims({ tile: 8 }) }),
);

describe("gatherRows and scatterAddRows [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agree with the reference, indices outside the table included", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.constantFrom("chains", "bins"), dataSeed, async (shape, way, seed) => {
        const { batch, rows, indices, width } = shape;
        const index = rowNumbers(batch * indices, seed, rows);
        const src = uniformData(batch * rows * width, seed + 1);
        const dy = uniformData(batch * indices * width, seed + 2);
        for (const base of [targetOf(own), portableTarget]) {
          const target = { ...base, tuning: { choose: () => way } };
          await expectAgreement(own, gatherRows(shape, target), { src, index }, { y: exact }, { shape, seed });
          const sums = await expectAgreement(own, scatterAddRows(shape, target), { dy, index }, { dsrc: f32Reduce(indices) }, { shape, seed });
          const plain = scatterAddReference(shape, { dy: Float64Array.from(dy), index: Float64Array.from(index) });
          compare(sums("dsrc"), plain.dsrc, f32Reduce(indices), { op: "scatterAddRows", shape, seed });
        }
      }),
      lawRuns({ runs: 100, name: "gather" }),
    );
  });

  it("adds many rows up the same way every time", async (context) => {
    if (device === undefined) return context.skip();
    const shape = { batch: 1, rows: 40, indices: 4000, width: 4 };
    const inputs = { dy: uniformData(shape.indices * shape.width, 5), index: rowNumbers(shape.indices, 6, shape.rows) };
    const sums = scatterAddRows(shape, targetOf(device));
    expect(sums.name).toBe("scatterAddRows.bins");
    const first = await expectAgreement(device, sums, inputs, { dsrc: f32Reduce(200) }, { shape });
    const second = await expectAgreement(device, sums, inputs, { dsrc: f32Reduce(200) }, { shape });
    expect(second("dsrc")).toEqual(first("dsrc"));
  });

  it("looks embeddings up", async (context) => {
    if (device === undefined) return context.skip();
    const outputs = await expectAgreement(device, gatherRows({ batch: 1, rows: 3, indices: 4, width: 2 }, targetOf(device)), { src: Float32Array.of(1, 2, 3, 4, 5, 6), index: Int32Array.of(2, 0, -1, 2) }, {});
    expect([...outputs("y")]).toEqual([5, 6, 1, 2, 0, 0, 5, 6]);
  });
});

describe("gatherRows gradient", () => {
  it("is the scatter-add", () => {
    fc.assert(
      fc.property(shapes, dataSeed, (shape, seed) => {
        const index = Float64Array.from(rowNumbers(shape.batch * shape.indices, seed, shape.rows));
        checkGradient({
          op: "gatherRows",
          seed,
          point: Float64Array.from(uniformData(shape.batch * shape.rows * shape.width, seed)),
          forward: (src) => gatherReference(shape, { src, index }).y,
          backward: (dy) => scatterAddReference(shape, { dy, index }).dsrc,
        });
      }),
      lawRuns({ runs: 100, name: "gather gradient" }),
    );
  });
});
