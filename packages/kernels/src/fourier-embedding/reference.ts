import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a Fourier embedding. */
export interface FourierShape {
  readonly rows: number;
  /** Numbers of a row. */
  readonly width: number;
  /** Frequencies of each number. */
  readonly frequencies: number;
}

/** Plain-loop embedding: sine and cosine of 2 pi x f for every number and frequency. */
export function fourierReference({ rows, width, frequencies }: FourierShape, inputs: Arrays): { y: Float64Array } {
  const x = arrayOf(inputs, "x", rows * width);
  const frequency = arrayOf(inputs, "frequency", width * frequencies);
  const y = new Float64Array(rows * width * frequencies * 2);
  for (let i = 0; i < y.length / 2; i++) {
    const angle = 2 * Math.PI * at(x, Math.floor(i / frequencies)) * at(frequency, i % (width * frequencies));
    y[2 * i] = Math.sin(angle);
    y[2 * i + 1] = Math.cos(angle);
  }
  return { y };
}

/** Plain-loop gradient to the products x f: 2 pi (dsin cos - dcos sin). */
export function fourierBackwardReference({ rows, width, frequencies }: FourierShape, inputs: Arrays): { dproduct: Float64Array } {
  const y = arrayOf(inputs, "y", rows * width * frequencies * 2);
  const dy = arrayOf(inputs, "dy", rows * width * frequencies * 2);
  return { dproduct: Float64Array.from({ length: rows * width * frequencies }, (_, i) => 2 * Math.PI * (at(dy, 2 * i) * at(y, 2 * i + 1) - at(dy, 2 * i + 1) * at(y, 2 * i))) };
}
