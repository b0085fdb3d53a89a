import { ShapeError } from "../errors.js";
import type { Binding } from "../kernel.js";
import type { Activation } from "../matmul/shape.js";
import { requireSizes } from "../sizes.js";

/** Distance in elements between neighbours along each axis of an image tensor. */
export interface ImageStrides {
  readonly image: number;
  readonly y: number;
  readonly x: number;
  readonly channel: number;
}

/** Distance in elements between neighbours along each axis of a weight tensor. */
export interface WeightStrides {
  readonly out: number;
  readonly y: number;
  readonly x: number;
  readonly channel: number;
}

/** One axis of a convolution: out[o] reads in[o * stride - padding + tap * dilation]. */
export interface Axis {
  readonly size: number;
  readonly outSize: number;
  readonly taps: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}

/** A convolution over up to two axes in any memory layout; conv1d has one row. */
export interface Convolution {
  /** "conv1d" or "conv2d", for names and messages. */
  readonly name: string;
  readonly batch: number;
  readonly channels: number;
  readonly outChannels: number;
  readonly groups: number;
  readonly y: Axis;
  readonly x: Axis;
  readonly bias: boolean;
  readonly activation: Activation;
  readonly input: ImageStrides;
  readonly output: ImageStrides;
  readonly weight: WeightStrides;
}

/** A number for both axes, or one for y and one for x. */
export type Pair = number | readonly [number, number];

/** Values for y and x. */
export function pairOf(pair: Pair): readonly [number, number] {
  return typeof pair === "number" ? [pair, pair] : pair;
}

/** Completes an axis. @throws ShapeError when a size is bad or the kernel does not fit into the padded input */
export function axisOf(where: string, name: string, sizes: Omit<Axis, "outSize">): Axis {
  const { size, taps, stride, padding, dilation } = sizes;
  requireSizes(`${where} ${name}`, { size, padding });
  requireSizes(`${where} ${name}`, { taps, stride, dilation }, 1);
  const room = size + 2 * padding - dilation * (taps - 1) - 1;
  if (room < 0) throw new ShapeError(`${where}: the kernel is longer than the padded ${name} axis, expected at most ${size + 2 * padding}, got ${dilation * (taps - 1) + 1}. Pad more or use a smaller kernel.`);
  return { ...sizes, outSize: Math.floor(room / stride) + 1 };
}

/** @throws ShapeError when channels do not divide into groups */
export function requireChannels(where: string, batch: number, channels: number, outChannels: number, groups: number): void {
  requireSizes(where, { batch });
  requireSizes(where, { channels, outChannels, groups }, 1);
  if (channels % groups !== 0 || outChannels % groups !== 0) throw new ShapeError(`${where}: channels do not divide into groups, expected multiples of ${groups}, got channels ${channels} and outChannels ${outChannels}. Change groups.`);
}

/** The tensors of a convolution as read-only bindings. */
export function convolutionTensors(c: Convolution): Readonly<Record<"x" | "weight" | "bias" | "out", Binding>> {
  const read = (name: string, length: number): Binding => ({ name, access: "read", dtype: "f32", length });
  return {
    x: read("x", c.batch * c.y.size * c.x.size * c.channels),
    weight: read("weight", (c.outChannels * c.y.taps * c.x.taps * c.channels) / c.groups),
    bias: read("bias", c.outChannels),
    out: read("out", c.batch * c.y.outSize * c.x.outSize * c.outChannels),
  };
}

/** Floating point operations of the forward pass, and of either gradient: two per product. */
export function convolutionFlops(c: Convolution): number {
  return 2 * c.batch * c.y.outSize * c.x.outSize * c.outChannels * c.y.taps * c.x.taps * (c.channels / c.groups);
}
