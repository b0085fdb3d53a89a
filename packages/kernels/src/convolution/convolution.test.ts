import fc from "fast-check";
import { compare, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { conv1d, conv1dGeometry } from "../conv1d/conv1d.js";
import { conv2d, conv2dGeometry } from "../conv2d/conv2d.js";
import { ShapeError } from "../errors.js";
import { type Arrays, type Kernel, type KernelSequence, type KernelTarget, sequenceOf, sequenceReference } from "../kernel.js";
import { runSequence } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { convolutionFlops, convolutionTensors, type Convolution } from "./geometry.js";
import { convolutionGradientReference, convolutionReference } from "./reference.js";

const device = await openTestDevice();
const target = device === undefined ? portableTarget : targetOf(device);

type Family<Options> = {
  forward(options: Options, target?: KernelTarget): Kernel;
  backwardInput(options: Options, target?: KernelTarget): Kernel;
  backwardWeight(options: Options, target?: KernelTarget): KernelSequence;
  backwardBias(options: Options, target?: KernelTarget): KernelSequence;
};

const float64 = (inputs: Readonly<Record<string, Float32Array>>): Arrays => Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, Float64Array.from(values)]));

/** Inputs of all four kernels. */
function inputsFor(c: Convolution, seed: number): Record<"x" | "weight" | "bias" | "dout", Float32Array> {
  const tensors = convolutionTensors(c);
  return {
    x: uniformData(tensors.x.length, seed),
    weight: uniformData(tensors.weight.length, seed + 1),
    bias: uniformData(c.outChannels, seed + 2),
    dout: uniformData(tensors.out.length, seed + 3),
  };
}

async function agree<Options>(family: Family<Options>, options: Options, c: Convolution, seed: number, on: KernelTarget = target): Promise<void> {
  if (device === undefined) return;
  const inputs = inputsFor(c, seed);
  const gradients = convolutionGradientReference(c, float64(inputs));
  const products = convolutionFlops(c) / 2;
  const checks: readonly [KernelSequence, string, Float64Array, number][] = [
    [sequenceOf(family.forward(options, on)), "out", convolutionReference(c, float64(inputs)).out, products / Math.max(1, convolutionTensors(c).out.length)],
    [sequenceOf(family.backwardInput(options, on)), "dx", gradients.dx, (c.outChannels / c.groups) * c.y.taps * c.x.taps],
    [family.backwardWeight(options, on), "dweight", gradients.dweight, c.batch * c.y.outSize * c.x.outSize],
    [family.backwardBias(options, on), "dbias", gradients.dbias, c.batch * c.y.outSize * c.x.outSize],
  ];
  for (const [sequence, name, expected, terms] of checks) {
    const context = { op: sequence.name, shape: options, seed };
    const actual = await runSequence(device, sequence, inputs);
    compare(actual[name] ?? [], expected, f32Reduce(terms), context);
    compare(sequenceReference(sequence, float64(inputs))[name] ?? [], expected, f32Reduce(1), { ...context, op: `${sequence.name} reference` });
  }
}

/** Channel counts: one text each for depth below, at and above a subgroup. */
const channels = [
  { channels: 3, outChannels: 5, groups: 1 },
  { channels: 8, outChannels: 17, groups: 1 },
  { channels: 12, outChannels: 4, groups: 2 },
] as const;

const axis = fc.record({
  kernel: fc.integer({ min: 1, max: 4 }),
  stride: fc.integer({ min: 1, max: 3 }),
  padding: fc.integer({ min: 0, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
});

describe.skipIf(device === undefined)("[gpu] convolution", () => {
  it("conv2d agrees with its reference, forward and all gradients", async () => {
    await fc.assert(
      fc.asyncProperty(dims({ tile: 2, max: 3 }), dims({ tile: 7, min: 1, max: 16 }), dims({ tile: 7, min: 1, max: 16 }), axis, axis, fc.integer({ min: 0, max: 2 }), dataSeed, async (batch, height, width, y, x, variant, seed) => {
        const options = {
          batch, height, width,
          kernel: [y.kernel, x.kernel], stride: [y.stride, x.stride], dilation: [y.dilation, x.dilation], padding: [y.padding, x.padding],
          ...channels[variant as 0], bias: variant !== 1, activation: variant === 0 ? "relu" : "none",
        } as const;
        fc.pre(height + 2 * y.padding > y.dilation * (y.kernel - 1) && width + 2 * x.padding > x.dilation * (x.kernel - 1));
        await agree(conv2d, options, conv2dGeometry(options), seed);
      }),
      lawRuns({ name: "conv2d", runs: 20 }),
    );
  });

  it("conv1d agrees with its reference, forward and all gradients", async () => {
    await fc.assert(
      fc.asyncProperty(dims({ tile: 2, max: 3 }), dims({ tile: 7, min: 1, max: 30 }), axis, fc.integer({ min: 0, max: 2 }), dataSeed, async (batch, length, x, variant, seed) => {
        const options = { batch, length, ...x, ...channels[variant as 0], bias: variant !== 1, activation: variant === 0 ? "relu" : "none" } as const;
        fc.pre(length + 2 * x.padding > x.dilation * (x.kernel - 1));
        await agree(conv1d, options, conv1dGeometry(options), seed);
      }),
      lawRuns({ name: "conv1d", runs: 20 }),
    );
  });

  it("does without subgroups, as GPUs do", async () => {
    const options = { batch: 2, height: 9, width: 15, channels: 6, outChannels: 40, kernel: 3, stride: 2, padding: 1, bias: true } as const;
    await agree(conv2d, options, conv2dGeometry(options), 4, portableTarget);
  });

  it("gives the same gradient bits every time", async () => {
    if (device === undefined) return;
    const options = { batch: 7, height: 8, width: 8, channels: 8, outChannels: 8, kernel: 3, padding: 1 };
    const inputs = inputsFor(conv2dGeometry(options), 6);
    const plan = conv2d.backwardWeight(options, target);
    expect(plan.kernels.length).toBe(2);
    const first = await runSequence(device, plan, inputs);
    const second = await runSequence(device, plan, inputs);
    expect(first["dweight"]).toEqual(second["dweight"]);
  });
});

describe("convolution reference", () => {
  it("convolves by hand", () => {
    const c = conv1dGeometry({ batch: 1, length: 4, channels: 1, outChannels: 1, kernel: 3, padding: 1, stride: 2, bias: true });
    const { out } = convolutionReference(c, { x: Float64Array.of(1, 2, 3, 4), weight: Float64Array.of(1, 10, 100), bias: Float64Array.of(0.5) });
    expect([...out]).toEqual([210.5, 432.5]);
  });

  it("has the gradient its central differences say", () => {
    const c = conv2dGeometry({ batch: 2, height: 5, width: 4, channels: 4, outChannels: 6, kernel: [3, 2], stride: [2, 1], padding: 1, groups: 2, bias: true });
    const inputs = float64(inputsFor(c, 3));
    const gradients = convolutionGradientReference(c, inputs);
    const objective = (at: Arrays): number => convolutionReference(c, at).out.reduce((sum, value, i) => sum + value * (inputs["dout"]?.[i] ?? 0), 0);
    for (const [name, gradient] of [["x", gradients.dx], ["weight", gradients.dweight], ["bias", gradients.dbias]] as const) {
      const direction = Float64Array.from(uniformData(gradient.length, 9));
      const moved = (h: number): Arrays => ({ ...inputs, [name]: (inputs[name] ?? gradient).map((v, i) => v + h * (direction[i] ?? 0)) });
      expect(gradient.reduce((sum, g, i) => sum + g * (direction[i] ?? 0), 0)).toBeCloseTo((objective(moved(1e-4)) - objective(moved(-1e-4))) / 2e-4, 7);
    }
  });

  it("refuses what does not fit", () => {
    expect(() => conv2d.forward({ batch: 1, height: 2, width: 2, channels: 1, outChannels: 1, kernel: 3 })).toThrow(ShapeError);
    expect(() => conv1d.forward({ batch: 1, length: 9, channels: 3, outChannels: 4, kernel: 3, groups: 2 })).toThrow(/expected multiples of 2, got channels 3 and outChannels 4/);
  });
});
