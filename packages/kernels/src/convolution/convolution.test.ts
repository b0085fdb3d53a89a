import fc from "fast-check";
import { compare, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { conv1d, conv1dGeometry } from "../conv1d/conv1d.js";
import { conv2d, conv2dGeometry } from "../conv2d/conv2d.js";
import { ShapeError } from "../errors.js";
import { type Arrays, type KernelSequence, type KernelTarget, sequenceReference, type Tuning } from "../kernel.js";
import { runSequence } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { convolutionFlops, convolutionTensors, type Convolution } from "./geometry.js";
import { convolutionGradientReference, convolutionReference } from "./reference.js";

const device = await openTestDevice();
const target = device === undefined ? portableTarget : targetOf(device);

type Family<Options> = {
  forward(options: Options, target?: KernelTarget): KernelSequence;
  backwardInput(options: Options, target?: KernelTarget): KernelSequence;
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
    [family.forward(options, on), "out", convolutionReference(c, float64(inputs)).out, products / Math.max(1, convolutionTensors(c).out.length)],
    [family.backwardInput(options, on), "dx", gradients.dx, (c.outChannels / c.groups) * c.y.taps * c.x.taps],
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

/** Channel counts below, at and above a lane's vector and a subgroup; each compiles a few texts of its own. */
const channels = [
  { channels: 3, outChannels: 5, groups: 1, bias: true, activation: "relu" },
  { channels: 8, outChannels: 17, groups: 1, bias: false, activation: "none" },
  { channels: 24, outChannels: 40, groups: 2, bias: true, activation: "none" },
] as const;

/** Chooses a candidate by name wherever it is offered. */
const choosing = (name: string): Tuning => ({ choose: () => name });
/** Register tiles with and without subgroups, and the workgroup tile of GPUs; one tile of each family, because every text is compiled. */
const targets: readonly KernelTarget[] = [
  { ...target, tuning: choosing("register8") },
  { ...portableTarget, class: "software", tuning: choosing("register8") },
  { ...portableTarget, tuning: choosing("workgroup") },
];
const drawnTarget = fc.constantFrom(0, 0, 0, 1, 2).map((index) => targets[index] ?? target);

const axis = fc.record({
  kernel: fc.integer({ min: 1, max: 4 }),
  stride: fc.integer({ min: 1, max: 3 }),
  padding: fc.integer({ min: 0, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
});

describe.skipIf(device === undefined)("[gpu] convolution", () => {
  it("conv2d agrees with its reference, forward and all gradients", async () => {
    await fc.assert(
      fc.asyncProperty(dims({ tile: 2, max: 3 }), dims({ tile: 4, min: 1, max: 11 }), dims({ tile: 4, min: 1, max: 11 }), axis, axis, fc.constantFrom(...channels), drawnTarget, dataSeed, async (batch, height, width, y, x, sizes, on, seed) => {
        const options = {
          batch, height, width, ...sizes,
          kernel: [y.kernel, x.kernel], stride: [y.stride, x.stride], dilation: [y.dilation, x.dilation], padding: [y.padding, x.padding],
        } as const;
        fc.pre(height + 2 * y.padding > y.dilation * (y.kernel - 1) && width + 2 * x.padding > x.dilation * (x.kernel - 1));
        await agree(conv2d, options, conv2dGeometry(options), seed, on);
      }),
      lawRuns({ name: "conv2d", runs: 100 }),
    );
  });

  it("conv1d agrees with its reference, forward and all gradients", async () => {
    await fc.assert(
      fc.asyncProperty(dims({ tile: 2, max: 3 }), dims({ tile: 4, min: 1, max: 30 }), axis, fc.constantFrom(...channels), drawnTarget, dataSeed, async (batch, length, x, sizes, on, seed) => {
        const options = { batch, length, ...x, ...sizes };
        fc.pre(length + 2 * x.padding > x.dilation * (x.kernel - 1));
        await agree(conv1d, options, conv1dGeometry(options), seed, on);
      }),
      lawRuns({ name: "conv1d", runs: 100 }),
    );
  });

  it("agrees whichever candidate a tuning chooses", async () => {
    const image = { batch: 2, height: 9, width: 15, channels: 12, outChannels: 40, kernel: 3, stride: 2, padding: 1, bias: true } as const;
    const pointwise = { batch: 3, length: 10, channels: 12, outChannels: 20, kernel: 1 } as const;
    await agree(conv2d, image, conv2dGeometry(image), 4, { ...target, tuning: choosing("register16") });
    const deep = { batch: 2, length: 21, channels: 66, outChannels: 65, kernel: 3, padding: 1, stride: 2 };
    await agree(conv1d, deep, conv1dGeometry(deep), 6, { ...target, tuning: choosing("register8") });
    expect(conv1d.forward(deep, { ...target, class: "software" }).temporaries.map(({ name }) => name)).toEqual(["pixels", "arranged"]);
    const pixels = { ...pointwise, height: 3, width: 7, bias: true, activation: "relu" } as const;
    await agree(conv2d, pixels, conv2dGeometry(pixels), 5, { ...target, tuning: choosing("matmul") });
    await agree(conv1d, pointwise, conv1dGeometry(pointwise), 5, { ...target, tuning: choosing("matmul") });
    const offered: string[] = [];
    conv1d.forward(pointwise, { ...target, tuning: { choose: (key, candidates) => (offered.push(key, ...candidates.map(({ name }) => name)), undefined) } });
    // Rows of ten are not whole vectors: there the register tile comes before the matrix product.
    expect(offered).toEqual(["conv1d.forward 4x1x16x16x32 k1x1 s1x1 g1", "register16", "register8", "register32", "workgroup", "matmul"]);
  });

  it("gives the same gradient bits every time", async () => {
    if (device === undefined) return;
    const options = { batch: 7, height: 8, width: 8, channels: 8, outChannels: 8, kernel: [1, 3] } as const;
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
