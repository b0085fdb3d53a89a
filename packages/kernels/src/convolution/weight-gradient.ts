import type { Binding, Kernel, KernelSequence, KernelTarget, UniformField } from "../kernel.js";
import { sequenceOf } from "../kernel.js";
import { sumSlices } from "../matmul/sum-slices.js";
import { declare } from "../wgsl.js";
import { convolutionFlops, convolutionTensors, type Convolution } from "./geometry.js";
import { convolutionGradientReference } from "./reference.js";
import { convolutionTile, each } from "./tile.js";

/** Workgroups below which the batch is cut into slices that run side by side. */
const enoughWorkgroups = { software: 16, gpu: 512 } as const;
/** Channels per lane of the operand whose channels are not spread over lanes. */
const rows = 8;

/** Elements of both image tensors that stay in a processor's cache while all workgroups of a slice walk over them. */
const cachedElements = 2 ** 17;

/**
 * Batch slices for a kernel of `workgroups` workgroups that writes `results` numbers per slice, and images per slice:
 * enough slices to keep the device busy and each one's images in cache, but fewer numbers written than read.
 */
function batchSlices(c: Convolution, workgroups: number, results: number, target: KernelTarget): { slices: number; images: number } {
  const image = c.input.image + c.output.image;
  const busy = Math.ceil(enoughWorkgroups[target.class] / Math.max(1, workgroups));
  const cached = target.class === "software" ? Math.ceil((c.batch * image) / cachedElements) : 1;
  const most = Math.max(1, Math.min(c.batch, Math.floor((c.batch * image) / results)));
  const images = Math.max(1, Math.ceil(c.batch / Math.min(most, Math.max(busy, cached))));
  return { slices: Math.max(1, Math.ceil(c.batch / images)), images };
}

/** The slices of a gradient added in order, or the one slice as it is. */
function summed(name: string, partial: Kernel, output: string, slices: number, length: number): KernelSequence {
  if (slices === 1) return sequenceOf(partial);
  const sum = sumSlices({ slices, length, columns: length, bias: false, activation: "none", residual: false });
  const bind = Object.fromEntries(partial.bindings.map((binding) => [binding.name, binding.name === output ? "parts" : binding.name]));
  return {
    name,
    kernels: [{ kernel: partial, bind }, { kernel: sum, bind: { parts: "parts", out: output } }],
    temporaries: [{ name: "parts", dtype: "f32", length: slices * length }],
  };
}

/** A convolution of some images of the batch. */
function imagesOf(c: Convolution, images: number): Convolution {
  return { ...c, batch: images };
}

/** Runs a reference on each slice of the batch; results follow each other. */
function sliced(c: Convolution, images: number, slices: number, x: Float64Array, dout: Float64Array, name: "dweight" | "dbias"): Float64Array {
  const parts = Array.from({ length: slices }, (_, s) => {
    const count = Math.max(0, Math.min(images, c.batch - s * images));
    const cut = (values: Float64Array, image: number): Float64Array => values.subarray(s * images * image, (s * images + count) * image);
    return convolutionGradientReference(imagesOf(c, count), { x: cut(x, c.input.image), dout: cut(dout, c.output.image) })[name];
  });
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

const empty = new Float64Array();

/**
 * Gradient to the weight, summed in a fixed order. Tensors: x, dout, dweight; temporary: parts.
 * A workgroup owns one tap, lanes x columns channels of one image tensor and eight of the other, and walks along the output pixels;
 * each lane works out where one pixel lies and the others get it by subgroupBroadcast.
 */
export function convolutionBackwardWeight(c: Convolution, target: KernelTarget): KernelSequence {
  const tensors = convolutionTensors(c);
  const inputWidth = c.channels / c.groups;
  const outWidth = c.outChannels / c.groups;
  const lanesOverInput = inputWidth >= outWidth || inputWidth >= 8;
  const [laneWidth, rowWidth] = lanesOverInput ? [inputWidth, outWidth] : [outWidth, inputWidth];
  const { lanes, subgroup, columns } = convolutionTile(laneWidth, target);
  const rowCount = rowWidth >= rows ? rows : rowWidth > 2 ? 4 : 2;
  const laneTiles = Math.ceil(laneWidth / (lanes * columns));
  const rowTiles = Math.ceil(rowWidth / rowCount);
  const taps = c.y.taps * c.x.taps;
  const { slices, images } = batchSlices(c, c.groups * laneTiles * rowTiles * taps, tensors.weight.length, target);

  const [laneBuffer, rowBuffer] = lanesOverInput ? ["x", "dout"] : ["dout", "x"];
  const laneStrides = lanesOverInput ? c.input : c.output;
  const rowStrides = lanesOverInput ? c.output : c.input;
  const bindings: Binding[] = [tensors.x, { ...tensors.out, name: "dout" }, { name: "dweight", access: "write", dtype: "f32", length: slices * tensors.weight.length }];
  const u32 = (name: string, value: number): UniformField => ({ name, type: "u32", value });
  const uniforms: UniformField[] = [
    u32("batch", c.batch), u32("images", images), u32("lane_tiles", laneTiles), u32("lane_width", laneWidth), u32("row_width", rowWidth), u32("weights", tensors.weight.length),
    u32("height", c.y.size), u32("width", c.x.size), u32("out_width", c.x.outSize), u32("positions", c.y.outSize * c.x.outSize),
    u32("x_taps", c.x.taps), u32("taps", taps),
    u32("y_stride", c.y.stride), u32("x_stride", c.x.stride), u32("y_padding", c.y.padding), u32("x_padding", c.x.padding), u32("y_dilation", c.y.dilation), u32("x_dilation", c.x.dilation),
    u32("in_image", c.input.image), u32("in_y", c.input.y), u32("in_x", c.input.x), u32("out_image", c.output.image), u32("out_y", c.output.y), u32("out_x", c.output.x),
    u32("lane_channel", laneStrides.channel), u32("row_channel", rowStrides.channel),
    u32("weight_lane", lanesOverInput ? c.weight.channel : c.weight.out), u32("weight_row", lanesOverInput ? c.weight.out : c.weight.channel),
    u32("weight_group", outWidth * c.weight.out), u32("weight_y", c.weight.y), u32("weight_x", c.weight.x),
    { name: "inverse_out_width", type: "f32", value: 1 / Math.max(1, c.x.outSize) },
  ];
  const T = columns === 1 ? "f32" : "vec2f";
  const laneValue = (at: string): string => (columns === 1 ? `${laneBuffer}[lane_start + lane_at0 + ${at}]` : `${T}(${laneBuffer}[lane_start + lane_at0 + ${at}], ${laneBuffer}[lane_start + lane_at1 + ${at}])`);
  const rowValue = (r: number): string => `select(0.0, ${rowBuffer}[row_start + row_at${r} + place.${lanesOverInput ? "y" : "x"}], inside(position, tap))`;
  const lanePlace = `place.${lanesOverInput ? "x" : "y"}`;
  const add = (r: number, factor: string): string => `sum${r} = fma(${T}(${factor}), value, sum${r});`;
  const walk = subgroup
    ? `
      for (var p = 0u; p < params.positions; p += ${lanes}u) {
        let position = p + lane;
        let place = places(position, tap);
        let own = ${lanePlace};
${each(rowCount, (r) => `let q${r} = ${rowValue(r)};`)}
${each(lanes, (s) => `{ let at = subgroupBroadcast(own, ${s}u); let value = ${laneValue("at")};\n${each(rowCount, (r) => add(r, `subgroupBroadcast(q${r}, ${s}u)`))} }`)}
      }`
    : `
      for (var position = 0u; position < params.positions; position += 1u) {
        let place = places(position, tap);
        let value = ${laneValue(lanePlace)};
${each(rowCount, (r) => add(r, rowValue(r)))}
      }`;
  const wgsl = `${subgroup ? "enable subgroups;\n" : ""}${declare(bindings, uniforms)}
/** Row and column of an output position; the reciprocal may be one off, which is put right. */
fn row_column(position: u32) -> vec2u {
  let guess = u32(f32(position) * params.inverse_out_width);
  let rest = i32(position) - i32(guess * params.out_width);
  let row = select(select(guess, guess + 1u, rest >= i32(params.out_width)), guess - 1u, rest < 0);
  return vec2u(row, position - row * params.out_width);
}
/** Input pixel (y, x) under a tap at an output position; may lie outside. */
fn reached(at: vec2u, tap: vec2u) -> vec2i {
  return vec2i(at * vec2u(params.y_stride, params.x_stride) + tap * vec2u(params.y_dilation, params.x_dilation)) - vec2i(vec2u(params.y_padding, params.x_padding));
}
fn inside(position: u32, tap: vec2u) -> bool {
  let from_pixel = reached(row_column(position), tap);
  return position < params.positions && all(from_pixel >= vec2i(0)) && all(from_pixel < vec2i(vec2u(params.height, params.width)));
}
/** Element offsets of an output position in x (under the tap, moved inside) and in dout. */
fn places(position: u32, tap: vec2u) -> vec2u {
  let at = row_column(min(position, params.positions - 1u));
  let from_pixel = vec2u(clamp(reached(at, tap), vec2i(0), vec2i(vec2u(params.height, params.width)) - 1));
  return vec2u(from_pixel.x * params.in_y + from_pixel.y * params.in_x, at.x * params.out_y + at.y * params.out_x);
}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(${subgroup ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
  let group = tile.x / params.lane_tiles;
  let lane0 = (tile.x % params.lane_tiles * ${lanes}u + lane) * ${columns}u;
  let row0 = tile.y * ${rowCount}u;
  let slice = tile.z / params.taps;
  let tap = vec2u(tile.z % params.taps / params.x_taps, tile.z % params.taps % params.x_taps);
${each(columns, (column) => `let lane_at${column} = (group * params.lane_width + min(lane0 + ${column}u, params.lane_width - 1u)) * params.lane_channel;`)}
${each(rowCount, (r) => `let row_at${r} = (group * params.row_width + min(row0 + ${r}u, params.row_width - 1u)) * params.row_channel;`)}
${each(rowCount, (r) => `var sum${r} = ${T}();`)}
  for (var image = slice * params.images; image < min(params.batch, (slice + 1u) * params.images); image += 1u) {
    let lane_start = image * params.${lanesOverInput ? "in" : "out"}_image;
    let row_start = image * params.${lanesOverInput ? "out" : "in"}_image;
${walk}
  }
  let start = slice * params.weights + group * params.weight_group + tap.x * params.weight_y + tap.y * params.weight_x;
${each(rowCount, (r) => each(columns, (column) => `if (row0 + ${r}u < params.row_width && lane0 + ${column}u < params.lane_width) { dweight[start + (row0 + ${r}u) * params.weight_row + (lane0 + ${column}u) * params.weight_lane] = sum${r}${columns === 1 ? "" : `.${"xy"[column]}`}; }`))}
}
`;
  const partial: Kernel = {
    name: `${c.name}.backwardWeight${subgroup ? ".subgroup" : ""}`,
    wgsl,
    bindings,
    uniforms,
    grid: [c.groups * laneTiles, rowTiles, taps * slices],
    cost: { flops: convolutionFlops(c), bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: ({ x = empty, dout = empty }) => ({ dweight: sliced(c, images, slices, x, dout, "dweight") }),
  };
  return summed(`${c.name}.backwardWeight`, partial, "dweight", slices, tensors.weight.length);
}

/** Gradient to the bias: the sum of dout over everything but channels, in a fixed order. Tensors: dout, dbias; temporary: parts. */
export function convolutionBackwardBias(c: Convolution, target: KernelTarget): KernelSequence {
  const lanes = target.class === "software" ? 8 : 32;
  const tiles = Math.ceil(c.outChannels / lanes);
  const { slices, images } = batchSlices(c, tiles, c.outChannels, target);
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
    reference: ({ dout = empty }) => ({ dbias: sliced(c, images, slices, empty, dout, "dbias") }),
  };
  return summed(`${c.name}.backwardBias`, partial, "dbias", slices, c.outChannels);
}
