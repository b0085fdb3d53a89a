import type { Arrays } from "../kernel.js";
import { activate } from "../matmul/activation.js";
import { convolutionTensors, type Convolution } from "./geometry.js";

const empty = new Float64Array();

/** Calls `visit` with the element indices of every product out[outAt] += x[xAt] * weight[weightAt]. */
function eachProduct(c: Convolution, visit: (outAt: number, xAt: number, weightAt: number) => void): void {
  const depth = c.channels / c.groups;
  const width = c.outChannels / c.groups;
  for (let b = 0; b < c.batch; b++) for (let oy = 0; oy < c.y.outSize; oy++) for (let ox = 0; ox < c.x.outSize; ox++) for (let o = 0; o < c.outChannels; o++) {
    const outAt = b * c.output.image + oy * c.output.y + ox * c.output.x + o * c.output.channel;
    const firstChannel = Math.floor(o / width) * depth;
    for (let ky = 0; ky < c.y.taps; ky++) for (let kx = 0; kx < c.x.taps; kx++) {
      const iy = oy * c.y.stride - c.y.padding + ky * c.y.dilation;
      const ix = ox * c.x.stride - c.x.padding + kx * c.x.dilation;
      if (iy < 0 || iy >= c.y.size || ix < 0 || ix >= c.x.size) continue;
      for (let i = 0; i < depth; i++) {
        const xAt = b * c.input.image + iy * c.input.y + ix * c.input.x + (firstChannel + i) * c.input.channel;
        visit(outAt, xAt, o * c.weight.out + ky * c.weight.y + kx * c.weight.x + i * c.weight.channel);
      }
    }
  }
}

/** Plain-loop convolution: out = activation(x * weight + bias). */
export function convolutionReference(c: Convolution, { x = empty, weight = empty, bias = empty }: Arrays): { out: Float64Array } {
  const out = new Float64Array(convolutionTensors(c).out.length);
  eachProduct(c, (outAt, xAt, weightAt) => {
    out[outAt] = (out[outAt] ?? 0) + (x[xAt] ?? 0) * (weight[weightAt] ?? 0);
  });
  return { out: out.map((sum, at) => activate(c.activation, sum + (c.bias ? (bias[Math.floor(at / c.output.channel) % c.outChannels] ?? 0) : 0))) };
}

/** Plain-loop gradient of the sum of dout * (x * weight + bias), before any activation. */
export function convolutionGradientReference(c: Convolution, { x = empty, weight = empty, dout = empty }: Arrays): { dx: Float64Array; dweight: Float64Array; dbias: Float64Array } {
  const tensors = convolutionTensors(c);
  const dx = new Float64Array(tensors.x.length);
  const dweight = new Float64Array(tensors.weight.length);
  const dbias = new Float64Array(c.outChannels);
  eachProduct(c, (outAt, xAt, weightAt) => {
    dx[xAt] = (dx[xAt] ?? 0) + (dout[outAt] ?? 0) * (weight[weightAt] ?? 0);
    dweight[weightAt] = (dweight[weightAt] ?? 0) + (dout[outAt] ?? 0) * (x[xAt] ?? 0);
  });
  dout.forEach((gradient, at) => {
    const o = Math.floor(at / c.output.channel) % c.outChannels;
    dbias[o] = (dbias[o] ?? 0) + gradient;
  });
  return { dx, dweight, dbias };
}
