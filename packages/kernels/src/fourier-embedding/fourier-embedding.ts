import { flatGrid } from "../flat-grid.js";
import type { Kernel, KernelTarget } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { sineCosineOfTurns } from "../sine-embedding/sine-embedding.js";
import { declare } from "../wgsl.js";
import { fourierBackwardReference, fourierReference } from "./reference.js";
import type { FourierShape } from "./reference.js";

/**
 * Fourier features: x [rows, width], frequency [width, frequencies] (turns per unit of x) -> y [rows, width, frequencies, 2] = sine and
 * cosine of 2 pi x frequency. Whole turns are taken off first; the error is about 2^-22 of the number of turns.
 * @throws ShapeError on bad sizes
 */
export function fourierEmbedding(shape: FourierShape, target: KernelTarget): Kernel {
  const { rows, width, frequencies } = shape;
  requireSizes("fourierEmbedding", { rows, width, frequencies });
  const items = rows * width * frequencies;
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: rows * width },
    { name: "frequency", access: "read", dtype: "f32", length: width * frequencies },
    { name: "y", access: "write", dtype: "f32", length: 2 * items },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "frequencies", type: "u32", value: frequencies },
    { name: "table", type: "u32", value: width * frequencies },
  ] as const;
  return {
    name: "fourierEmbedding",
    wgsl: declare(bindings, uniforms, { y: "vec2f" }) + sineCosineOfTurns + plan.main("    y[item] = sine_cosine(vec2f(x[item / params.frequencies] * frequency[item % params.table])).xy;"),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 25 * items, bytes: 4 * (rows * width + width * frequencies + 2 * items) },
    reference: (inputs) => fourierReference(shape, inputs),
  };
}

/**
 * Gradient of {@link fourierEmbedding} to the products of x and frequency: y, dy [rows, width, frequencies, 2] -> dproduct [rows, width,
 * frequencies]. Its sums with frequency and x are the gradients to x and frequency.
 * @throws ShapeError on bad sizes
 */
export function fourierEmbeddingBackward(shape: FourierShape, target: KernelTarget): Kernel {
  const { rows, width, frequencies } = shape;
  requireSizes("fourierEmbeddingBackward", { rows, width, frequencies });
  const items = rows * width * frequencies;
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: "y", access: "read", dtype: "f32", length: 2 * items },
    { name: "dy", access: "read", dtype: "f32", length: 2 * items },
    { name: "dproduct", access: "write", dtype: "f32", length: items },
  ] as const;
  const uniforms = [{ name: "items", type: "u32", value: items }] as const;
  return {
    name: "fourierEmbeddingBackward",
    wgsl: declare(bindings, uniforms, { y: "vec2f", dy: "vec2f" }) + plan.main(`    dproduct[item] = ${2 * Math.PI} * (dy[item].x * y[item].y - dy[item].y * y[item].x);`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 4 * items, bytes: 20 * items },
    reference: (inputs) => fourierBackwardReference(shape, inputs),
  };
}
