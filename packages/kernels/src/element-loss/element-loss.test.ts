import { checkGradient, dataSeed, dims, f32Reduce, indexData, lawRuns, maskData, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import type { HostArray } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { elementLoss, elementLossBackward } from "./element-loss.js";
import { absoluteError, binaryCrossEntropy, gaussianFocal, sigmoidFocal, smoothAbsoluteError, squaredError } from "./losses.js";
import type { ElementLoss } from "./losses.js";
import { elementLossBackwardReference, elementLossReference, weightLength } from "./reference.js";
import type { ElementLossShape } from "./reference.js";

const losses = [
  absoluteError(),
  smoothAbsoluteError({ beta: 0.3 }),
  squaredError(),
  binaryCrossEntropy({ positiveWeight: 2.5 }),
  sigmoidFocal(),
  sigmoidFocal({ alpha: 0.4, gamma: 1.5 }),
  gaussianFocal(),
  gaussianFocal({ alpha: 1.5, gamma: 3 }),
] as const;

const forms = fc.constantFrom("all", "row", "element" as const);

/** Inputs of a loss: logits up to `range`, targets of its kind (heat maps with exact ones), a third of the weights zero. */
function inputsOf(loss: ElementLoss, shape: ElementLossShape, range: number, seed: number): Record<string, HostArray> {
  const { rows, width } = shape;
  const weights = weightLength(shape);
  const mask = maskData(weights, seed, shape.weight === "all" ? 1 : 0.7);
  return {
    x: uniformData(rows * width, seed, -range, range),
    // Labels beyond the classes are background.
    goal: loss.labels ? Int32Array.from(indexData(rows, seed + 1, width + 2)) : uniformData(rows * width, seed + 1, 0, 1.2).map((value) => Math.min(1, value)),
    weight: uniformData(weights, seed + 2, 0, 2).map((value, i) => value * (mask[i] ?? 0)),
    divisor: Float32Array.of(1 + (seed % 7)),
    dloss: Float32Array.of(0.5 + (seed % 3)),
  };
}

function only(inputs: Readonly<Record<string, HostArray>>, unwanted: string): Record<string, HostArray> {
  return Object.fromEntries(Object.entries(inputs).filter(([name]) => name !== unwanted));
}

describe("element losses [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it.for(losses.map((loss) => [`${loss.name} ${JSON.stringify(loss.parameters)}`, loss] as const))("%s agrees with the reference, forward and backward", async ([name, loss], context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(dims({ tile: 16, max: 60 }), dims({ tile: 8, max: 40 }), forms, fc.constantFrom(2, 80), dataSeed, async (rows, width, weight, range, seed) => {
        const shape: ElementLossShape = { rows, width, weight };
        const inputs = inputsOf(loss, shape, range, seed);
        const note = { shape: [rows, width, weight, range], seed };
        // A squared difference of 80 is 6400; everything else grows with the logit.
        const size = 4 * (loss.name === "squaredError" ? range * range : range);
        await expectAgreement(own, elementLoss(loss, shape), only(inputs, "dloss"), { loss: f32Reduce(rows * width, size) }, note);
        const target = seed % 2 === 0 ? targetOf(own) : portableTarget;
        await expectAgreement(own, elementLossBackward(loss, shape, target), inputs, { dx: f32Reduce(4, 4 * range) }, note);
      }),
      lawRuns({ runs: 100, name }),
    );
  });

  it("adds up more elements than one workgroup takes, in two stages and the same way twice", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    for (const [rows, width] of [[4096, 4], [4097, 4], [5000, 13]] as const) {
      const shape: ElementLossShape = { rows, width, weight: "row" };
      const sequence = elementLoss(sigmoidFocal(), shape);
      expect(sequence.kernels.length).toBe(rows === 4096 ? 1 : 2);
      const inputs = only(inputsOf(sigmoidFocal(), shape, 4, rows), "dloss");
      const first = await expectAgreement(own, sequence, inputs, { loss: f32Reduce(Math.sqrt(rows * width), 8) }, { shape });
      const second = await expectAgreement(own, sequence, inputs, { loss: f32Reduce(Math.sqrt(rows * width), 8) }, { shape });
      expect(second("loss")[0]).toBe(first("loss")[0]);
    }
  });

  it("counts elements of weight zero as zero whatever they hold, and nothing counted as zero", async (context) => {
    if (device === undefined) return context.skip();
    for (const loss of losses) {
      const shape: ElementLossShape = { rows: 2, width: 3, weight: "row" };
      const inputs = { x: Float32Array.of(1e38, -1e38, 3e38, 0, -3e38, 1), goal: loss.labels ? Int32Array.of(0, 5) : new Float32Array(6).fill(-1e38), weight: new Float32Array(2), divisor: Float32Array.of(0) };
      const forward = await expectAgreement(device, elementLoss(loss, shape), inputs, {});
      const backward = await expectAgreement(device, elementLossBackward(loss, shape, targetOf(device)), { ...inputs, dloss: Float32Array.of(1) }, {});
      expect([...forward("loss"), ...backward("dx")]).toEqual(new Array(7).fill(0));
    }
  });

  it("refuses options that make no sense", () => {
    expect(() => smoothAbsoluteError({ beta: 0 })).toThrow("smoothAbsoluteError: bad beta, expected a positive number, got 0");
    expect(() => sigmoidFocal({ gamma: -1 })).toThrow(ShapeError);
    expect(() => elementLoss(squaredError(), { rows: -1, width: 2, weight: "all" })).toThrow("squaredError: bad size rows");
  });
});

describe("element loss gradients", () => {
  it.each(losses.map((loss) => [`${loss.name} ${JSON.stringify(loss.parameters)}`, loss] as const))("%s matches central differences", (name, loss) => {
    fc.assert(
      fc.property(dims({ tile: 4 }), dims({ tile: 4 }), forms, dataSeed, (rows, width, weight, seed) => {
        const shape: ElementLossShape = { rows, width, weight };
        const inputs = Object.fromEntries(Object.entries(inputsOf(loss, shape, 3, seed)).map(([key, array]) => [key, Float64Array.from(array)]));
        // Logits and targets on different grids: no difference lies on the kink of an absolute value.
        const point = (inputs["x"] ?? new Float64Array(0)).map((value) => Math.round(value * 16) / 16 + 1 / 64);
        const goal = loss.labels ? inputs["goal"] : inputs["goal"]?.map((value) => (loss.name === "gaussianFocal" ? value : Math.round(value * 16) / 16));
        const data = { ...inputs, goal: goal ?? new Float64Array(0) };
        checkGradient({
          op: name,
          seed,
          point,
          forward: (x) => elementLossReference(loss, shape, { ...data, x }).loss,
          backward: (dloss) => elementLossBackwardReference(loss, shape, { ...data, x: point, dloss }).dx,
        });
      }),
      lawRuns({ runs: 100, name }),
    );
  });
});
