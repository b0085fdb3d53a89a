import { ShapeError } from "../errors.js";
import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import { requireSizes } from "../sizes.js";

/** "nearest": the pixel whose area holds the new pixel's corner; "bilinear": between the four pixel centres around the new one's. */
export type InterpolationMode = "nearest" | "bilinear";

/** Sizes of a change of resolution, channels last: x [B, H, W, C] -> y [B, outHeight, outWidth, C]. */
export interface Interpolate2dOptions {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly mode: InterpolationMode;
}

/** Positions are worked out exactly, in 32-bit integers. */
const largest = 2 ** 30;

/** @throws ShapeError on bad sizes, or axes so long that positions would not fit into 32 bits */
export function requireInterpolation(where: string, { batch, height, width, channels, outHeight, outWidth }: Interpolate2dOptions): void {
  requireSizes(where, { batch, channels });
  requireSizes(where, { height, width, outHeight, outWidth }, 1);
  for (const [size, out] of [[height, outHeight], [width, outWidth]] as const) {
    if (2 * (size + 1) * (out + 1) >= largest) throw new ShapeError(`${where}: axes are too long, expected 2 * (size + 1) * (out + 1) below ${largest}, got ${size} -> ${out}. Interpolate tiles.`);
  }
}

/** The pixels a new pixel is made of, with their weights, along one axis. */
function sources(mode: InterpolationMode, size: number, out: number, o: number): { readonly place: number; readonly weight: number }[] {
  if (mode === "nearest") return [{ place: Math.floor((o * size) / out), weight: 1 }];
  const position = Math.max(0, (o + 0.5) * (size / out) - 0.5);
  const first = Math.floor((Math.max(0, (2 * o + 1) * size - out)) / (2 * out));
  const rest = position - first;
  return [{ place: first, weight: 1 - rest }, { place: Math.min(first + 1, size - 1), weight: rest }];
}

function eachContribution(options: Interpolate2dOptions, visit: (input: number, output: number, weight: number) => void): void {
  const { batch, height, width, channels, outHeight, outWidth, mode } = options;
  for (let b = 0; b < batch; b++) for (let oy = 0; oy < outHeight; oy++) for (let ox = 0; ox < outWidth; ox++) {
    for (const y of sources(mode, height, outHeight, oy)) for (const x of sources(mode, width, outWidth, ox)) {
      for (let c = 0; c < channels; c++) {
        visit(((b * height + y.place) * width + x.place) * channels + c, ((b * outHeight + oy) * outWidth + ox) * channels + c, y.weight * x.weight);
      }
    }
  }
}

/** Plain-loop interpolation. */
export function interpolate2dReference(options: Interpolate2dOptions, inputs: Arrays): { y: Float64Array } {
  const { batch, height, width, channels, outHeight, outWidth } = options;
  const x = arrayOf(inputs, "x", batch * height * width * channels);
  const y = new Float64Array(batch * outHeight * outWidth * channels);
  eachContribution(options, (input, output, weight) => (y[output] = at(y, output) + weight * at(x, input)));
  return { y };
}

/** Plain-loop gradient: every output hands its gradient to the pixels it was made of. */
export function interpolate2dBackwardReference(options: Interpolate2dOptions, inputs: Arrays): { dx: Float64Array } {
  const { batch, height, width, channels, outHeight, outWidth } = options;
  const dy = arrayOf(inputs, "dy", batch * outHeight * outWidth * channels);
  const dx = new Float64Array(batch * height * width * channels);
  eachContribution(options, (input, output, weight) => (dx[input] = at(dx, input) + weight * at(dy, output)));
  return { dx };
}
