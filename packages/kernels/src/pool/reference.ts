import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import type { Axis } from "../convolution/geometry.js";
import type { Pool2dGeometry } from "./geometry.js";

/** Calls `visit` for every output element, with the places in x its window covers: the pixel's number in its image and the element. */
function eachWindow({ batch, channels, y, x }: Pool2dGeometry, visit: (output: number, covered: readonly { readonly pixel: number; readonly element: number }[]) => void): void {
  const inside = (axis: Axis, out: number): number[] =>
    Array.from({ length: axis.taps }, (_, tap) => out * axis.stride - axis.padding + tap * axis.dilation).filter((place) => place >= 0 && place < axis.size);
  for (let b = 0; b < batch; b++) for (let oy = 0; oy < y.outSize; oy++) for (let ox = 0; ox < x.outSize; ox++) {
    const pixels = inside(y, oy).flatMap((iy) => inside(x, ox).map((ix) => iy * x.size + ix));
    for (let c = 0; c < channels; c++) {
      visit(((b * y.outSize + oy) * x.outSize + ox) * channels + c, pixels.map((pixel) => ({ pixel, element: (b * y.size * x.size + pixel) * channels + c })));
    }
  }
}

/** Elements of a pooling's input and output. */
export function poolLengths({ batch, channels, y, x }: Pool2dGeometry): { input: number; output: number } {
  return { input: batch * y.size * x.size * channels, output: batch * y.outSize * x.outSize * channels };
}

/** Plain-loop maximum of every window and the pixel it came from, the first among equals. */
export function maxPool2dReference(pool: Pool2dGeometry, inputs: Arrays): { y: Float64Array; index: Float64Array } {
  const { input, output } = poolLengths(pool);
  const values = arrayOf(inputs, "x", input);
  const y = new Float64Array(output);
  const index = new Float64Array(output).fill(-1);
  eachWindow(pool, (to, covered) => {
    for (const { pixel, element } of covered) {
      const value = at(values, element);
      if (at(index, to) >= 0 && value <= at(y, to)) continue;
      y[to] = value;
      index[to] = pixel;
    }
  });
  return { y, index };
}

/** Plain-loop gradient: dy goes to the pixel it came from. */
export function maxPool2dBackwardReference(pool: Pool2dGeometry, inputs: Arrays): { dx: Float64Array } {
  const { input, output } = poolLengths(pool);
  const index = arrayOf(inputs, "index", output);
  const dy = arrayOf(inputs, "dy", output);
  const dx = new Float64Array(input);
  eachWindow(pool, (from, covered) => {
    for (const { pixel, element } of covered) if (pixel === at(index, from)) dx[element] = at(dx, element) + at(dy, from);
  });
  return { dx };
}

const divisor = ({ y, x, countPadding }: Pool2dGeometry, covered: number): number => (countPadding ? y.taps * x.taps : covered);

/** Plain-loop average of every window. */
export function averagePool2dReference(pool: Pool2dGeometry, inputs: Arrays): { y: Float64Array } {
  const { input, output } = poolLengths(pool);
  const values = arrayOf(inputs, "x", input);
  const y = new Float64Array(output);
  eachWindow(pool, (to, covered) => {
    y[to] = covered.reduce((sum, { element }) => sum + at(values, element), 0) / divisor(pool, covered.length);
  });
  return { y };
}

/** Plain-loop gradient: every pixel of a window gets its share of dy. */
export function averagePool2dBackwardReference(pool: Pool2dGeometry, inputs: Arrays): { dx: Float64Array } {
  const { input, output } = poolLengths(pool);
  const dy = arrayOf(inputs, "dy", output);
  const dx = new Float64Array(input);
  eachWindow(pool, (from, covered) => {
    for (const { element } of covered) dx[element] = at(dx, element) + at(dy, from) / divisor(pool, covered.length);
  });
  return { dx };
}
