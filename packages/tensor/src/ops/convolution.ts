import {
  conv1d as conv1dKernels,
  conv1dGeometry,
  type Conv1dOptions,
  conv2d as conv2dKernels,
  conv2dGeometry,
  type Conv2dOptions,
  type KernelSequence,
  type KernelTarget,
  ShapeError,
} from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample } from "../op.js";
import { formatType, type Shape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { greater, mul } from "./elementwise.js";
import { defineKernelOp, renameTensors } from "./kernel-op.js";
import { sum } from "./reduce.js";

/** Variants of a convolution; the same number for both axes of an image. */
interface ConvolutionAttributes {
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly groups: number;
  readonly bias: boolean;
  readonly activation: "none" | "relu";
}

/** What tells conv1d [B, C, L] and conv2d [B, H, W, C] apart. */
interface Family<Options> {
  readonly name: "conv1d" | "conv2d";
  readonly layout: string;
  /** Sizes from the shapes of input and weight. */
  readonly options: (x: Shape, weight: Shape, attributes: ConvolutionAttributes) => Options;
  readonly outShape: (options: Options) => Shape;
  readonly kernels: {
    readonly forward: (options: Options, target: KernelTarget) => KernelSequence;
    readonly backwardInput: (options: Options, target: KernelTarget) => KernelSequence;
    readonly backwardWeight: (options: Options, target: KernelTarget) => KernelSequence;
  };
  readonly rank: number;
  /** Axes of the output a bias is shared along. */
  readonly biasAxes: readonly number[];
  readonly sample: (draw: Draw) => { readonly x: Shape; readonly weight: Shape };
}

interface ConvolutionOps {
  readonly forward: OpDefinition<ConvolutionAttributes>;
  readonly backwardInput: OpDefinition<ConvolutionAttributes & { readonly shape: Shape }>;
  readonly backwardWeight: OpDefinition<ConvolutionAttributes & { readonly shape: Shape }>;
}

function convolutionOps<Options>(family: Family<Options>): ConvolutionOps {
  const { name, kernels, rank } = family;
  const plain = (attributes: ConvolutionAttributes): ConvolutionAttributes => ({ ...attributes, bias: false, activation: "none" });
  const termsOf = (weight: TensorType | undefined): number => sizeOf((weight?.shape ?? []).slice(1));
  const draw = (drawer: Draw): { x: Shape; weight: Shape; out: Shape; attributes: ConvolutionAttributes } => {
    const { x, weight } = family.sample(drawer);
    const channelAxis = name === "conv1d" ? 1 : 3;
    const depthAxis = name === "conv1d" ? 1 : 3;
    const attributes = {
      stride: drawer.integer(1, 2),
      padding: drawer.integer(0, 2),
      dilation: drawer.integer(1, 2),
      groups: (x[channelAxis] ?? 1) / (weight[depthAxis] ?? 1),
      bias: drawer.boolean(),
      activation: drawer.boolean() ? ("relu" as const) : ("none" as const),
    };
    return { x, weight, out: family.outShape(family.options(x, weight, attributes)), attributes };
  };

  const backwardInput: ConvolutionOps["backwardInput"] = defineKernelOp({
    name: `${name}BackwardInput`,
    inputs: ["dout", "weight"],
    outputs: ["dx"],
    shape: (_, { shape }) => [typeOf(shape)],
    kernels: ({ target, inputs: [, weight], attributes }) => kernels.backwardInput(family.options(attributes.shape, weight?.shape ?? [], attributes), target),
    vjp: { none: "second derivatives are not needed" },
    tolerance: ([, weight]) => ({ terms: termsOf(weight) * 4, scale: 4 }),
    samples: (drawer): Sample<ConvolutionAttributes & { readonly shape: Shape }> => {
      const { x, weight, out, attributes } = draw(drawer);
      return { inputs: [typeOf(out), typeOf(weight)], attributes: { ...plain(attributes), shape: x } };
    },
  });

  const backwardWeight: ConvolutionOps["backwardWeight"] = defineKernelOp({
    name: `${name}BackwardWeight`,
    inputs: ["x", "dout"],
    outputs: ["dweight"],
    shape: (_, { shape }) => [typeOf(shape)],
    kernels: ({ target, inputs: [x], attributes }) => kernels.backwardWeight(family.options(x?.shape ?? [], attributes.shape, attributes), target),
    vjp: { none: "second derivatives are not needed" },
    tolerance: ([, dout]) => ({ terms: sizeOf(dout?.shape ?? []), scale: 4 }),
    samples: (drawer): Sample<ConvolutionAttributes & { readonly shape: Shape }> => {
      const { x, weight, out, attributes } = draw(drawer);
      return { inputs: [typeOf(x), typeOf(out)], attributes: { ...plain(attributes), shape: weight } };
    },
  });

  const forward: ConvolutionOps["forward"] = defineKernelOp({
    name,
    inputs: ["x", "weight", "bias..."],
    outputs: ["out"],
    shape: ([x, weight], attributes) => {
      if (x?.shape.length !== rank || weight?.shape.length !== rank) {
        throw new ShapeError(`${name}: wrong number of axes, expected ${family.layout}, got ${x ? formatType(x) : "nothing"} and ${weight ? formatType(weight) : "nothing"}.`);
      }
      return [typeOf(family.outShape(family.options(x.shape, weight.shape, attributes)))];
    },
    kernels: ({ target, inputs: [x, weight], attributes }) =>
      renameTensors(kernels.forward(family.options(x?.shape ?? [], weight?.shape ?? [], attributes), target), { bias: "bias0" }),
    vjp: {
      saves: ["x", "weight", "out"],
      recompute: "costly",
      rule: ({ inputs: [x, weight], outputs: [out], cotangents: [dy], attributes, needs }) => {
        if (!x || !weight || !out || !dy) return [];
        const dz = attributes.activation === "relu" ? mul(dy, greater(out, 0)) : dy;
        return [
          needs[0] ? applyOp(backwardInput, [dz, weight], { ...plain(attributes), shape: x.shape }) : undefined,
          needs[1] ? applyOp(backwardWeight, [x, dz], { ...plain(attributes), shape: weight.shape }) : undefined,
          needs[2] ? sum(dz, { axes: family.biasAxes }) : undefined,
        ];
      },
    },
    tolerance: ([, weight]) => ({ terms: termsOf(weight), scale: 4 }),
    samples: (drawer) => {
      const { x, weight, attributes } = draw(drawer);
      return { inputs: [typeOf(x), typeOf(weight), ...(attributes.bias ? [typeOf([weight[0] ?? 1])] : [])], attributes };
    },
  });
  return { forward, backwardInput, backwardWeight };
}

/** 1-D convolution and its two gradients: x [B, C, L], weight [Co, C / groups, K] -> y [B, Co, L']. */
export const conv1dOps = convolutionOps<Conv1dOptions>({
  name: "conv1d",
  layout: "x [B, C, L] and weight [Co, C / groups, K]",
  rank: 3,
  biasAxes: [0, 2],
  kernels: conv1dKernels,
  options: ([batch = 0, channels = 0, length = 0], [outChannels = 0, , kernel = 1], { stride, padding, dilation, groups, bias, activation }) => ({
    batch, channels, length, outChannels, kernel, stride, padding, dilation, groups, bias, activation,
  }),
  outShape: (options) => [options.batch, options.outChannels, conv1dGeometry(options).x.outSize],
  sample: (draw) => {
    const [groups, depth, perGroup] = [draw.integer(1, 2), draw.size(9), draw.size(9)];
    return { x: [draw.size(4), groups * depth, 5 + draw.size(20)], weight: [groups * perGroup, depth, draw.integer(1, 3)] };
  },
});

/** 2-D convolution and its two gradients: x [B, H, W, C], weight [Co, KH, KW, C / groups] -> y [B, H', W', Co]. */
export const conv2dOps = convolutionOps<Conv2dOptions>({
  name: "conv2d",
  layout: "x [B, H, W, C] and weight [Co, KH, KW, C / groups]",
  rank: 4,
  biasAxes: [0, 1, 2],
  kernels: conv2dKernels,
  options: ([batch = 0, height = 0, width = 0, channels = 0], [outChannels = 0, kh = 1, kw = 1], { stride, padding, dilation, groups, bias, activation }) => ({
    batch, height, width, channels, outChannels, kernel: [kh, kw], stride, padding, dilation, groups, bias, activation,
  }),
  outShape: (options) => {
    const { y, x } = conv2dGeometry(options);
    return [options.batch, y.outSize, x.outSize, options.outChannels];
  },
  sample: (draw) => {
    const [groups, depth, perGroup] = [draw.integer(1, 2), draw.size(8), draw.size(9)];
    return { x: [draw.size(3), 5 + draw.size(7), 5 + draw.size(9), groups * depth], weight: [groups * perGroup, draw.integer(1, 3), draw.integer(1, 3), depth] };
  },
});

/** Options of {@link conv1d} and {@link conv2d}. */
export interface ConvolutionOptions {
  /** Default 1. */
  readonly stride?: number;
  /** Zeros on both sides of each axis. Default 0. */
  readonly padding?: number;
  /** Default 1. */
  readonly dilation?: number;
  /** Default 1. */
  readonly groups?: number;
  /** Applied in the same kernel. Default "none". */
  readonly activation?: "none" | "relu";
}

function convolve(ops: ConvolutionOps, x: Tensor, weight: Operand, bias: Operand | undefined, options: ConvolutionOptions): Tensor {
  const { stride = 1, padding = 0, dilation = 1, groups = 1, activation = "none" } = options;
  const graph = graphOf(ops.forward.name, [x]);
  const [out] = graph.apply(ops.forward, [x, weight, ...(bias === undefined ? [] : [bias])], { stride, padding, dilation, groups, activation, bias: bias !== undefined });
  return out ?? x;
}

/**
 * 1-D convolution.
 * @param x [B, C, L]
 * @param weight [Co, C / groups, K]
 * @param bias [Co]
 * @returns [B, Co, Lo]
 * @throws ShapeError
 */
export function conv1d(x: Tensor, weight: Operand, bias?: Operand, options: ConvolutionOptions = {}): Tensor {
  return convolve(conv1dOps, x, weight, bias, options);
}

/**
 * 2-D convolution, channels last.
 * @param x [B, H, W, C]
 * @param weight [Co, KH, KW, C / groups]
 * @param bias [Co]
 * @returns [B, Ho, Wo, Co]
 * @throws ShapeError
 */
export function conv2d(x: Tensor, weight: Operand, bias?: Operand, options: ConvolutionOptions = {}): Tensor {
  return convolve(conv2dOps, x, weight, bias, options);
}
