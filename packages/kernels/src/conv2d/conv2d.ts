import { axisOf, type Convolution, type Pair, pairOf, requireChannels } from "../convolution/geometry.js";
import { convolutionBackwardInput, convolutionForward } from "../convolution/forward-plan.js";
import { convolutionBackwardBias } from "../convolution/bias-gradient.js";
import { convolutionBackwardWeight } from "../convolution/weight-gradient.js";
import type { KernelSequence, KernelTarget } from "../kernel.js";
import type { Activation } from "../matmul/shape.js";
import { portableTarget } from "../target.js";

/** Sizes and variants of a 2-D convolution; x [B, H, W, C], weight [Co, KH, KW, C / groups], bias [Co], out [B, Ho, Wo, Co]. */
export interface Conv2dOptions {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly outChannels: number;
  /** KH and KW. */
  readonly kernel: Pair;
  /** Default 1. */
  readonly stride?: Pair;
  /** Zeros on both sides of each axis. Default 0. */
  readonly padding?: Pair;
  /** Default 1. */
  readonly dilation?: Pair;
  /** Default 1. */
  readonly groups?: number;
  /** Adds `bias`. Default false. */
  readonly bias?: boolean;
  /** Applied to the output. Default "none". */
  readonly activation?: Activation;
}

/** The geometry of a 2-D convolution in NHWC. @throws ShapeError */
export function conv2dGeometry(options: Conv2dOptions): Convolution {
  const { batch, height, width, channels, outChannels, groups = 1, bias = false, activation = "none" } = options;
  requireChannels("conv2d", batch, channels, outChannels, groups);
  const [taps, stride, padding, dilation] = [pairOf(options.kernel), pairOf(options.stride ?? 1), pairOf(options.padding ?? 0), pairOf(options.dilation ?? 1)];
  const y = axisOf("conv2d", "y", { size: height, taps: taps[0], stride: stride[0], padding: padding[0], dilation: dilation[0] });
  const x = axisOf("conv2d", "x", { size: width, taps: taps[1], stride: stride[1], padding: padding[1], dilation: dilation[1] });
  const depth = channels / groups;
  return {
    name: "conv2d", batch, channels, outChannels, groups, y, x, bias, activation,
    input: { image: height * width * channels, y: width * channels, x: channels, channel: 1 },
    output: { image: y.outSize * x.outSize * outChannels, y: x.outSize * outChannels, x: outChannels, channel: 1 },
    weight: { out: taps[0] * taps[1] * depth, y: taps[1] * depth, x: depth, channel: 1 },
  };
}

/**
 * 2-D convolution in NHWC and its gradients. Channels last through a whole network: no layer converts, a 1 x 1 convolution is a plain matrix
 * product with its bias and activation, and pools and interpolation move whole vectors of channels.
 * `dout` [B, Ho, Wo, Co] is always the gradient before the activation. All throw ShapeError on sizes that do not fit.
 */
export const conv2d = {
  /** Bindings: x, weight, bias (where asked for), out. */
  forward: (options: Conv2dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionForward(conv2dGeometry(options), target),
  /** Bindings: dout, weight, dx [B, H, W, C]. */
  backwardInput: (options: Conv2dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionBackwardInput(conv2dGeometry(options), target),
  /** Tensors: x, dout, dweight [Co, KH, KW, C / groups]. Bit-identical from run to run. */
  backwardWeight: (options: Conv2dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionBackwardWeight(conv2dGeometry(options), target),
  /** Tensors: dout, dbias [Co]. Bit-identical from run to run. */
  backwardBias: (options: Conv2dOptions, target: KernelTarget = portableTarget): KernelSequence => convolutionBackwardBias(conv2dGeometry(options), target),
} as const;
