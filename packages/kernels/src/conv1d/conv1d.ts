import { axisOf, requireChannels, type Convolution } from "../convolution/geometry.js";
import { convolutionBackwardInput, convolutionForward } from "../convolution/forward-plan.js";
import { convolutionBackwardBias } from "../convolution/bias-gradient.js";
import { convolutionBackwardWeight } from "../convolution/weight-gradient.js";
import type { KernelSequence, KernelTarget } from "../kernel.js";
import type { Activation } from "../matmul/shape.js";
import { portableTarget } from "../target.js";

/** Sizes and variants of a 1-D convolution; x [B, C, L], weight [Co, C / groups, K], bias [Co], out [B, Co, Lo]. */
export interface Conv1dOptions {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly outChannels: number;
  /** K */
  readonly kernel: number;
  /** Default 1. */
  readonly stride?: number;
  /** Zeros on both sides. Default 0. */
  readonly padding?: number;
  /** Default 1. */
  readonly dilation?: number;
  /** Default 1. */
  readonly groups?: number;
  /** Adds `bias`. Default false. */
  readonly bias?: boolean;
  /** Applied to the output. Default "none". */
  readonly activation?: Activation;
}

/** The geometry of a 1-D convolution in NCL: an image of one row. @throws ShapeError */
export function conv1dGeometry(options: Conv1dOptions): Convolution {
  const { batch, length, channels, outChannels, kernel, stride = 1, padding = 0, dilation = 1, groups = 1, bias = false, activation = "none" } = options;
  requireChannels("conv1d", batch, channels, outChannels, groups);
  const x = axisOf("conv1d", "x", { size: length, taps: kernel, stride, padding, dilation });
  return {
    name: "conv1d", batch, channels, outChannels, groups, x, bias, activation,
    y: { size: 1, outSize: 1, taps: 1, stride: 1, padding: 0, dilation: 1 },
    input: { image: channels * length, y: 0, x: 1, channel: length },
    output: { image: outChannels * x.outSize, y: 0, x: 1, channel: x.outSize },
    weight: { out: (channels / groups) * kernel, y: 0, x: 1, channel: kernel },
  };
}

/**
 * 1-D convolution in NCL and its gradients.
 * `dout` [B, Co, Lo] is always the gradient before the activation. All throw ShapeError on sizes that do not fit.
 */
export const conv1d = {
  /** Bindings: x, weight, bias (where asked for), out. */
  forward: (options: Conv1dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionForward(conv1dGeometry(options), target),
  /** Bindings: dout, weight, dx [B, C, L]. */
  backwardInput: (options: Conv1dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionBackwardInput(conv1dGeometry(options), target),
  /** Tensors: x, dout, dweight [Co, C / groups, K]. Bit-identical from run to run. */
  backwardWeight: (options: Conv1dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionBackwardWeight(conv1dGeometry(options), target),
  /** Tensors: dout, dbias [Co]. Bit-identical from run to run. */
  backwardBias: (options: Conv1dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionBackwardBias(conv1dGeometry(options), target),
} as const;
