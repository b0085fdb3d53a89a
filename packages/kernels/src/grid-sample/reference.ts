import { sampleAt } from "../bilinear/reference.js";
import type { BilinearSample } from "../bilinear/reference.js";
import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import { requireSizes } from "../sizes.js";

/** Sizes and conventions of a grid sample. */
export interface GridSampleShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Positions per image. */
  readonly samples: number;
  /** "zeros": outside the image there are zeros; "border": positions are moved onto it. Default "zeros". */
  readonly padding?: "zeros" | "border";
  /** -1 and 1 are the centres of the outermost pixels, instead of their outer edges. Default false. */
  readonly alignCorners?: boolean;
}

/** How grid coordinates become pixels: position = coordinate x scale + (size - 1) / 2, kept within `margin` of the image. */
export interface GridMapping {
  readonly scaleX: number;
  readonly scaleY: number;
  readonly margin: number;
}

/** @throws ShapeError on bad sizes */
export function gridMapping(where: string, { batch, height, width, channels, samples, padding = "zeros", alignCorners = false }: GridSampleShape): GridMapping {
  requireSizes(where, { batch, channels, samples });
  requireSizes(where, { height, width }, 1);
  const edge = alignCorners ? 1 : 0;
  // Two pixels outside an image of zeros nothing is left; further positions need not be told apart.
  return { scaleX: (width - edge) / 2, scaleY: (height - edge) / 2, margin: padding === "border" ? 0 : 2 };
}

/** Samples whose position lies less than a pixel outside the image, or inside, in order; `free` along each axis where the position was not moved. */
export function gridSamples(shape: GridSampleShape, grid: Float64Array): (BilinearSample & { readonly free: readonly [boolean, boolean] })[] {
  const { batch, height, width, samples } = shape;
  const { scaleX, scaleY, margin } = gridMapping("gridSample", shape);
  const found: (BilinearSample & { readonly free: readonly [boolean, boolean] })[] = [];
  for (let entry = 0; entry < batch * samples; entry++) {
    const place = (value: number, scale: number, size: number): { position: number; free: boolean } => {
      const position = value * scale + (size - 1) / 2;
      return { position: Math.min(Math.max(position, -margin), size - 1 + margin), free: position > -margin && position < size - 1 + margin };
    };
    const x = place(at(grid, 2 * entry), scaleX, width);
    const y = place(at(grid, 2 * entry + 1), scaleY, height);
    if (x.position <= -1 || x.position >= width || y.position <= -1 || y.position >= height) continue;
    const image = Math.floor(entry / samples);
    const map = { height, width, firstRow: image * height * width, firstCell: image * (height + 1) * (width + 1) };
    found.push({ ...sampleAt({ entry, x: x.position, y: y.position }, map), free: [x.free, y.free] });
  }
  return found;
}

/** Plain-loop bilinear sampling. */
export function gridSampleReference(shape: GridSampleShape, inputs: Arrays): { y: Float64Array } {
  const { batch, height, width, channels, samples } = shape;
  const x = arrayOf(inputs, "x", batch * height * width * channels);
  const y = new Float64Array(batch * samples * channels);
  for (const { entry, corners } of gridSamples(shape, arrayOf(inputs, "grid", batch * samples * 2))) {
    for (const { row, share } of corners) {
      for (let c = 0; c < channels; c++) y[entry * channels + c] = at(y, entry * channels + c) + share * at(x, row * channels + c);
    }
  }
  return { y };
}

/** Plain-loop gradients to the image and to the positions. */
export function gridSampleBackwardReference(shape: GridSampleShape, inputs: Arrays): { dx: Float64Array; dgrid: Float64Array } {
  const { batch, height, width, channels, samples } = shape;
  const { scaleX, scaleY } = gridMapping("gridSample", shape);
  const x = arrayOf(inputs, "x", batch * height * width * channels);
  const dy = arrayOf(inputs, "dy", batch * samples * channels);
  const dx = new Float64Array(x.length);
  const dgrid = new Float64Array(batch * samples * 2);
  for (const { entry, corners, free } of gridSamples(shape, arrayOf(inputs, "grid", batch * samples * 2))) {
    for (const { row, share, slopeX, slopeY } of corners) {
      for (let c = 0; c < channels; c++) {
        const slope = at(dy, entry * channels + c);
        dx[row * channels + c] = at(dx, row * channels + c) + share * slope;
        if (free[0]) dgrid[2 * entry] = at(dgrid, 2 * entry) + slope * at(x, row * channels + c) * slopeX * scaleX;
        if (free[1]) dgrid[2 * entry + 1] = at(dgrid, 2 * entry + 1) + slope * at(x, row * channels + c) * slopeY * scaleY;
      }
    }
  }
  return { dx, dgrid };
}
