import { type Axis, axisOf, type Pair, pairOf } from "../convolution/geometry.js";
import { ShapeError } from "../errors.js";
import { requireSizes } from "../sizes.js";

/** Sizes of a pooling over images, channels last: x [B, H, W, C] -> y [B, Ho, Wo, C], with Ho and Wo rounded down as in PyTorch. */
export interface Pool2dOptions {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Pixels of a window. */
  readonly kernel: Pair;
  /** Default: the kernel. */
  readonly stride?: Pair;
  /** Pixels around the image, at most half the kernel. A maximum ignores them; an average counts them as zeros unless told otherwise. Default 0. */
  readonly padding?: Pair;
  /** Between the pixels of a window; maximum only. Default 1. */
  readonly dilation?: Pair;
  /** An average divides by all pixels of a window, those outside the image included. Default true. */
  readonly countPadding?: boolean;
}

/** {@link Pool2dOptions} completed. */
export interface Pool2dGeometry {
  readonly batch: number;
  readonly channels: number;
  readonly y: Axis;
  readonly x: Axis;
  readonly countPadding: boolean;
}

/** @throws ShapeError when a size is bad, the window does not fit, or a window could lie outside the image */
export function pool2dGeometry(where: string, options: Pool2dOptions): Pool2dGeometry {
  const { batch, height, width, channels, countPadding = true } = options;
  requireSizes(where, { batch, channels });
  requireSizes(where, { height, width }, 1);
  const [taps, padding, dilation] = [pairOf(options.kernel), pairOf(options.padding ?? 0), pairOf(options.dilation ?? 1)];
  const stride = options.stride === undefined ? taps : pairOf(options.stride);
  const axis = (name: string, size: number, i: 0 | 1): Axis => {
    if (padding[i] > taps[i] / 2) throw new ShapeError(`${where}: too much padding along ${name}, expected at most half the kernel (${Math.floor(taps[i] / 2)}), got ${padding[i]}. Use a larger kernel or less padding.`);
    return axisOf(where, name, { size, taps: taps[i], stride: stride[i], padding: padding[i], dilation: dilation[i] });
  };
  return { batch, channels, y: axis("y", height, 0), x: axis("x", width, 1), countPadding };
}
