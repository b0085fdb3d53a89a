import type { Binding, Kernel, KernelSequence, KernelTarget, UniformField } from "../kernel.js";
import { declare } from "../wgsl.js";
import { convolutionTensors, type Convolution } from "./geometry.js";
import { summed } from "./slices.js";

/** Gradient to the bias: the sum of dout over everything but channels, in a fixed order. Tensors: dout, dbias; temporary: parts. */
export function convolutionBackwardBias(c: Convolution, target: KernelTarget): KernelSequence {
  const lanes = target.class === "software" ? 8 : 32;
  const tiles = Math.ceil(c.outChannels / lanes);
  const slices = Math.max(1, Math.min(c.batch, Math.ceil((target.class === "software" ? 16 : 512) / tiles)));
  const images = Math.ceil(c.batch / slices);
  const bindings: Binding[] = [{ ...convolutionTensors(c).out, name: "dout" }, { name: "dbias", access: "write", dtype: "f32", length: slices * c.outChannels }];
  const u32 = (name: string, value: number): UniformField => ({ name, type: "u32", value });
  const uniforms = [
    u32("batch", c.batch), u32("images", images), u32("channels", c.outChannels), u32("height", c.y.outSize), u32("width", c.x.outSize),
    u32("out_image", c.output.image), u32("out_y", c.output.y), u32("out_x", c.output.x), u32("out_channel", c.output.channel),
  ];
  const partial: Kernel = {
    name: `${c.name}.backwardBias`,
    wgsl: `${declare(bindings, uniforms)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = tile.x * ${lanes}u + lane;
  if (channel >= params.channels) { return; }
  var sum = 0.0;
  for (var image = tile.y * params.images; image < min(params.batch, (tile.y + 1u) * params.images); image += 1u) {
    for (var y = 0u; y < params.height; y += 1u) {
      // Rows are summed on their own first: fewer roundings pile up.
      var row = 0.0;
      let start = image * params.out_image + y * params.out_y + channel * params.out_channel;
      for (var x = 0u; x < params.width; x += 1u) { row += dout[start + x * params.out_x]; }
      sum += row;
    }
  }
  dbias[tile.y * params.channels + channel] = sum;
}
`,
    bindings,
    uniforms,
    grid: [tiles, slices, 1],
    cost: { flops: convolutionTensors(c).out.length, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: ({ dout = new Float64Array() }) => ({ dbias: biasReference(c, images, slices, dout) }),
  };
  return summed(`${c.name}.backwardBias`, partial, "dbias", slices, c.outChannels);
}

/** Plain-loop sum of dout for each channel and slice of the batch. */
function biasReference(c: Convolution, images: number, slices: number, dout: Float64Array): Float64Array {
  const sums = new Float64Array(slices * c.outChannels);
  dout.forEach((value, i) => {
    const at = Math.floor(Math.floor(i / c.output.image) / images) * c.outChannels + (Math.floor(i / c.output.channel) % c.outChannels);
    sums[at] = (sums[at] ?? 0) + value;
  });
  return sums;
}
