import { accumulateProduct, denseView, transposed } from "./matmul.js";
import type { Conv1dProblem, Conv2dProblem, Definition, Reference, Values } from "./problem.js";

/**
 * Rows of patches of an image in channels-last order: [height * width, kernel * kernel * channels], zeros outside.
 * @param at element index of (y, x, channel) in the source
 */
function patches(height: number, width: number, channels: number, kernelY: number, kernelX: number, read: (y: number, x: number, channel: number) => number): Float64Array {
  const [padY, padX] = [(kernelY - 1) >> 1, (kernelX - 1) >> 1];
  const out = new Float64Array(height * width * kernelY * kernelX * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let ky = 0; ky < kernelY; ky++) {
        for (let kx = 0; kx < kernelX; kx++) {
          const [sy, sx] = [y + ky - padY, x + kx - padX];
          const inside = sy >= 0 && sy < height && sx >= 0 && sx < width;
          for (let c = 0; c < channels; c++) out[to++] = inside ? read(sy, sx, c) : 0;
        }
      }
    }
  }
  return out;
}

/** One geometry for both: conv1d is an image of height 1 whose channels lie outermost. */
interface Geometry {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly outChannels: number;
  readonly kernelY: number;
  readonly kernelX: number;
  /** Index of (sample, y, x, channel) in x, and likewise in out. */
  xAt(b: number, y: number, x: number, c: number): number;
  outAt(b: number, y: number, x: number, c: number): number;
  /** Index of (out channel, ky, kx, channel) in the weight. */
  weightAt(o: number, ky: number, kx: number, c: number): number;
}

/** The weight as [outChannels, kernelY * kernelX * channels], and where each element comes from. */
function weightOrder(g: Geometry): Int32Array {
  const order = new Int32Array(g.outChannels * g.kernelY * g.kernelX * g.channels);
  let to = 0;
  for (let o = 0; o < g.outChannels; o++) for (let ky = 0; ky < g.kernelY; ky++) for (let kx = 0; kx < g.kernelX; kx++) for (let c = 0; c < g.channels; c++) order[to++] = g.weightAt(o, ky, kx, c);
  return order;
}

/** One sample of `out` as [height * width, outChannels]. */
function outOrder(g: Geometry, b: number): Int32Array {
  const order = new Int32Array(g.height * g.width * g.outChannels);
  let to = 0;
  for (let y = 0; y < g.height; y++) for (let x = 0; x < g.width; x++) for (let o = 0; o < g.outChannels; o++) order[to++] = g.outAt(b, y, x, o);
  return order;
}

function forward(g: Geometry, { x, weight }: Values): Float64Array {
  const [pixels, depth] = [g.height * g.width, g.kernelY * g.kernelX * g.channels];
  const matrix = Float64Array.from(weightOrder(g), (index) => weight?.[index] ?? 0);
  const out = new Float64Array(g.batch * pixels * g.outChannels);
  for (let b = 0; b < g.batch; b++) {
    const rows = patches(g.height, g.width, g.channels, g.kernelY, g.kernelX, (sy, sx, c) => x?.[g.xAt(b, sy, sx, c)] ?? 0);
    const result = new Float64Array(pixels * g.outChannels);
    accumulateProduct(result, 0, g.outChannels, pixels, g.outChannels, depth, denseView(rows, depth), transposed(denseView(matrix, depth)));
    outOrder(g, b).forEach((index, from) => {
      out[index] = result[from] ?? 0;
    });
  }
  return out;
}

function backward(g: Geometry, { x, weight }: Values, dout: Float32Array): Reference {
  const [pixels, depth] = [g.height * g.width, g.kernelY * g.kernelX * g.channels];
  const order = weightOrder(g);
  const matrix = Float64Array.from(order, (index) => weight?.[index] ?? 0);
  const dx = new Float64Array(g.batch * pixels * g.channels);
  const dmatrix = new Float64Array(g.outChannels * depth);
  const [padY, padX] = [(g.kernelY - 1) >> 1, (g.kernelX - 1) >> 1];
  for (let b = 0; b < g.batch; b++) {
    const rows = patches(g.height, g.width, g.channels, g.kernelY, g.kernelX, (sy, sx, c) => x?.[g.xAt(b, sy, sx, c)] ?? 0);
    const d = Float64Array.from(outOrder(g, b), (index) => dout[index] ?? 0);
    accumulateProduct(dmatrix, 0, depth, g.outChannels, depth, pixels, transposed(denseView(d, g.outChannels)), denseView(rows, depth));
    const drows = new Float64Array(pixels * depth);
    accumulateProduct(drows, 0, depth, pixels, depth, g.outChannels, denseView(d, g.outChannels), denseView(matrix, depth));
    let from = 0;
    for (let y = 0; y < g.height; y++) {
      for (let px = 0; px < g.width; px++) {
        for (let ky = 0; ky < g.kernelY; ky++) {
          for (let kx = 0; kx < g.kernelX; kx++) {
            const [sy, sx] = [y + ky - padY, px + kx - padX];
            const inside = sy >= 0 && sy < g.height && sx >= 0 && sx < g.width;
            for (let c = 0; c < g.channels; c++, from++) {
              if (inside) dx[g.xAt(b, sy, sx, c)] = (dx[g.xAt(b, sy, sx, c)] ?? 0) + (drows[from] ?? 0);
            }
          }
        }
      }
    }
  }
  const dweight = new Float64Array(order.length);
  order.forEach((index, from) => {
    dweight[index] = dmatrix[from] ?? 0;
  });
  return { dx, dweight };
}

function definition(g: Geometry, xShape: readonly number[], weightShape: readonly number[], outShape: readonly number[]): Definition {
  const flops = 2 * g.batch * g.height * g.width * g.outChannels * g.kernelY * g.kernelX * g.channels;
  return {
    inputs: [
      { name: "x", shape: xShape, fill: "uniform", differentiable: true },
      { name: "weight", shape: weightShape, fill: "uniform", differentiable: true },
    ],
    outShape,
    flops: { forward: flops, backward: 2 * flops },
    forward: (values) => forward(g, values),
    backward: (values, dout) => backward(g, values, dout),
  };
}

/** Definition of a one-dimensional convolution. */
export function conv1dDefinition({ batch, channels, length, outChannels, kernel }: Conv1dProblem): Definition {
  const geometry: Geometry = {
    batch, height: 1, width: length, channels, outChannels, kernelY: 1, kernelX: kernel,
    xAt: (b, _, x, c) => (b * channels + c) * length + x,
    outAt: (b, _, x, c) => (b * outChannels + c) * length + x,
    weightAt: (o, _, kx, c) => (o * channels + c) * kernel + kx,
  };
  return definition(geometry, [batch, channels, length], [outChannels, channels, kernel], [batch, outChannels, length]);
}

/** Definition of a two-dimensional convolution. */
export function conv2dDefinition({ batch, height, width, channels, outChannels, kernel }: Conv2dProblem): Definition {
  const geometry: Geometry = {
    batch, height, width, channels, outChannels, kernelY: kernel, kernelX: kernel,
    xAt: (b, y, x, c) => ((b * height + y) * width + x) * channels + c,
    outAt: (b, y, x, c) => ((b * height + y) * width + x) * outChannels + c,
    weightAt: (o, ky, kx, c) => ((o * kernel + ky) * kernel + kx) * channels + c,
  };
  return definition(geometry, [batch, height, width, channels], [outChannels, kernel, kernel, channels], [batch, height, width, outChannels]);
}
