import { checkGradient, dataSeed, dims, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { sortBackwardReference, sortReference } from "./reference.js";
import { sortRows, sortRowsBackward } from "./sort.js";

const shapes = fc
  .record({ rows: dims({ tile: 4, max: 6 }), width: fc.oneof(dims({ tile: 64, max: 90 }), fc.constantFrom(255, 256, 257, 600)), share: fc.constantFrom(0, 0.1, 0.5, 1), descending: fc.boolean() })
  .map(({ share, ...rest }) => ({ ...rest, keep: Math.ceil(share * rest.width) }));

describe("sortRows [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference to the bit and keeps the order of equals, in both ways", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.constantFrom("rank", "network"), fc.boolean(), dataSeed, async (shape, way, ties, seed) => {
        const { rows, width, keep } = shape;
        const target = { ...targetOf(own), tuning: { choose: () => way } };
        const x = uniformData(rows * width, seed).map((value) => (ties ? Math.round(value * 3) : value));
        const outputs = await expectAgreement(own, sortRows(shape, target), { x }, {}, { shape, seed });
        await expectAgreement(own, sortRowsBackward(shape, target), { index: outputs("index"), dvalues: uniformData(rows * keep, seed + 1) }, {}, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "sortRows" }),
    );
  });

  it("sorts rows of 2048 and more", async (context) => {
    if (device === undefined) return context.skip();
    for (const width of [2047, 2048, 2049]) {
      const x = uniformData(2 * width, width);
      for (const target of [targetOf(device), portableTarget]) await expectAgreement(device, sortRows({ rows: 2, width, keep: width, descending: true }, target), { x }, {}, { shape: [width] });
    }
  });

  it("takes the way its target is quick at", () => {
    const shape = { rows: 2, width: 900, keep: 50 };
    expect(sortRows(shape, portableTarget).name).toMatch(/network/);
    expect(sortRows(shape, { ...portableTarget, class: "software" }).name).toMatch(/rank/);
    expect(sortRows({ ...shape, width: 5000 }, portableTarget).name).toMatch(/rank/);
  });

  it("refuses to keep more than a row has", () => {
    expect(() => sortRows({ rows: 1, width: 3, keep: 4 }, portableTarget)).toThrow(ShapeError);
  });
});

describe("sortRows gradient", () => {
  it("matches central differences away from ties", () => {
    fc.assert(
      fc.property(shapes, dataSeed, (shape, seed) => {
        const noise = uniformData(shape.rows * shape.width, seed);
        const rungs = Array.from(noise.keys()).sort((a, b) => (noise[a] ?? 0) - (noise[b] ?? 0));
        const x = new Float64Array(noise.length);
        rungs.forEach((position, rank) => (x[position] = rank * 1e-3));
        const { index } = sortReference(shape, { x });
        checkGradient({ op: "sortRows", seed, point: x, forward: (moved) => sortReference(shape, { x: moved }).values, backward: (dvalues) => sortBackwardReference(shape, { dvalues, index }).dx });
      }),
      lawRuns({ runs: 100, name: "sortRows gradient" }),
    );
  });
});
