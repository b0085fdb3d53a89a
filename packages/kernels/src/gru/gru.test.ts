import { checkGradient, compare, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { sequenceReference } from "../kernel.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { gru, gruBackward } from "./gru.js";
import { gruReference } from "./reference.js";
import type { GruShape } from "./reference.js";

const shapes = fc.record({ batch: dims({ tile: 8, max: 12 }), steps: fc.integer({ min: 1, max: 5 }), hidden: fc.constantFrom(1, 4, 7, 16) });

function data({ batch, steps, hidden }: GruShape, seed: number) {
  return {
    gi: uniformData(batch * steps * 3 * hidden, seed, -2, 2),
    weight: uniformData(3 * hidden * hidden, seed + 1, -0.5, 0.5),
    bias: uniformData(3 * hidden, seed + 2),
    h0: uniformData(batch * hidden, seed + 3),
  };
}
const wide = (inputs: Readonly<Record<string, Float32Array>>): Record<string, Float64Array> => Object.fromEntries(Object.entries(inputs).map(([name, array]) => [name, Float64Array.from(array)]));

describe("gru [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward, on this target and on a GPU's", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), dataSeed, async (shape, portable, seed) => {
        const target = portable ? portableTarget : targetOf(own);
        const inputs = data(shape, seed);
        const note = { shape, seed };
        const tolerance = f32Reduce(shape.hidden * shape.steps, 4);
        const { weight } = inputs;
        const saved = await expectAgreement(own, gru(shape, target), inputs, { y: tolerance, gates: tolerance, previous: tolerance }, note);
        compare(saved("y"), gruReference(shape, wide(inputs)).y, tolerance, { op: "gru", ...note });
        const slopes = { gates: saved("gates"), previous: saved("previous"), weight, dy: uniformData(shape.batch * shape.steps * shape.hidden, seed + 4) };
        await expectAgreement(own, gruBackward(shape, target), slopes, { dgi: tolerance, dgh: tolerance, dh0: tolerance }, note);
      }),
      lawRuns({ runs: 100, name: "gru" }),
    );
  });

  it("refuses sequences without steps", () => {
    expect(() => gru({ batch: 1, steps: 0, hidden: 4 }, portableTarget)).toThrow(ShapeError);
    expect(() => gruBackward({ batch: 1, steps: 0, hidden: 4 }, portableTarget)).toThrow(ShapeError);
  });

  it("stays finite for gates far from zero", async (context) => {
    if (device === undefined) return context.skip();
    const inputs = { gi: Float32Array.of(1e4, -1e4, 1e4, -1e4, 1e4, -1e4), weight: new Float32Array(3), bias: new Float32Array(3), h0: Float32Array.of(0.5, 0.5) };
    const outputs = await expectAgreement(device, gru({ batch: 2, steps: 1, hidden: 1 }, targetOf(device)), inputs, { y: f32Reduce(1), gates: f32Reduce(1) });
    expect(Array.from(outputs("y"), (value) => Math.round(value * 1e6) / 1e6)).toEqual([1, 0.5]);
  });
});

describe("gru gradients", () => {
  it("match central differences for inputs, state, weight and bias", () => {
    fc.assert(
      fc.property(fc.record({ batch: fc.integer({ min: 1, max: 3 }), steps: fc.integer({ min: 1, max: 4 }), hidden: fc.integer({ min: 1, max: 5 }) }), dataSeed, (shape, seed) => {
        const { batch, steps, hidden } = shape;
        const inputs = data(shape, seed);
        const sizes = Object.values(inputs).map(({ length }) => length);
        const parts = (all: Float64Array): Record<string, Float64Array> => {
          let first = 0;
          return Object.fromEntries(Object.keys(inputs).map((name, i) => [name, all.slice(first, (first += sizes[i] ?? 0))]));
        };
        const point = Float64Array.of(...Object.values(inputs).flatMap((array) => [...array]));
        const { gates = point, previous = point } = sequenceReference(gru(shape, portableTarget), parts(point));
        checkGradient({
          op: "gru",
          seed,
          point,
          forward: (moved) => gruReference(shape, parts(moved)).y,
          backward: (dy) => {
            const { dgi = dy, dgh = dy, dh0 = dy } = sequenceReference(gruBackward(shape, portableTarget), { ...parts(point), gates, previous, dy });
            const dweight = new Float64Array(3 * hidden * hidden);
            const dbias = new Float64Array(3 * hidden);
            for (let row = 0; row < batch * steps; row++) {
              for (let gate = 0; gate < 3 * hidden; gate++) {
                const slope = dgh[row * 3 * hidden + gate] ?? 0;
                dbias[gate] = (dbias[gate] ?? 0) + slope;
                for (let i = 0; i < hidden; i++) dweight[gate * hidden + i] = (dweight[gate * hidden + i] ?? 0) + slope * (previous[row * hidden + i] ?? 0);
              }
            }
            return Float64Array.of(...dgi, ...dweight, ...dbias, ...dh0);
          },
        });
      }),
      lawRuns({ runs: 100, name: "gru gradient" }),
    );
  });
});
