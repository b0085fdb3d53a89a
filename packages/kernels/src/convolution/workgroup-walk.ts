import type { Kernel, UniformField } from "../kernel.js";
import { activationWgsl } from "../matmul/activation.js";
import { maxGridDimension } from "../matmul/shape.js";
import { declare } from "../wgsl.js";
import { each, staged } from "./tile.js";
import { type Walk, walkBindings, walkReference, walkUniforms } from "./walk.js";

const { rows: tilePixels, columns: tileChannels, depth, threads, side, stride } = staged;
const across = tileChannels / side;

/** Bytes of workgroup memory of the GPU families: both operands, and where pixels lie. */
export const stagedBytes = 4 * (2 * depth * stride + 2 * tilePixels);

/**
 * Walk for GPUs, an implicit matrix product: a workgroup of 256 invocations stages 64 result pixels and 64 result channels, 16 source channels
 * at a time, in workgroup memory; every invocation keeps 4 x 4 sums. Where pixels lie under a tap is worked out once per tap and pixel.
 * A workgroup's pixels have the same remainder by `divide`, so that a tap reaches either all of them or none.
 */
export function workgroupWalk(name: string, walk: Walk): Kernel {
  const { x, y, width, folded } = walk;
  const bindings = walkBindings(walk);
  const channelTiles = Math.ceil(width / tileChannels);
  const [rowsApart, columnsApart] = [Math.ceil(y.result / y.divide), Math.ceil(x.result / x.divide)];
  const u32 = (field: string, value: number): UniformField => ({ name: field, type: "u32", value });
  const uniforms = [
    ...walkUniforms(walk),
    u32("channel_tiles", channelTiles), u32("rows_apart", rowsApart), u32("columns_apart", columnsApart),
    u32("pixels", walk.batch * rowsApart * columnsApart),
  ];
  // Neighbouring invocations read neighbours in memory: channels where those lie side by side, else pixels; likewise for the weight.
  const channelsFirst = walk.source.channel === 1;
  const depthFirst = walk.weight.depth === 1 || walk.weight.lane !== 1;
  const wgsl = `${declare(bindings, uniforms)}
var<workgroup> staged_source: array<f32, ${depth * stride}>;
var<workgroup> staged_weight: array<f32, ${depth * stride}>;
/** First element of each pixel's row (or of the pixel itself) in the source, negative outside; with folded taps also the position in the row. */
var<workgroup> pixel_at: array<i32, ${tilePixels}>;
var<workgroup> pixel_from: array<i32, ${tilePixels}>;
${activationWgsl(walk.activation, "f32")}
/** Image, y and x of a result pixel of this remainder; y and x may lie behind the last. */
fn place(pixel: u32, remainder: vec2u) -> vec3u {
  let column = pixel % params.columns_apart;
  let row = pixel / params.columns_apart;
  return vec3u(row / params.rows_apart, row % params.rows_apart * u32(params.y_divide) + remainder.y, column * u32(params.x_divide) + remainder.x);
}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(local_invocation_index) thread: u32) {
  let group = tile.x / params.channel_tiles;
  let channel0 = tile.x % params.channel_tiles * ${tileChannels}u;
  let remainder = vec2u(tile.z % u32(params.x_divide), tile.z / u32(params.x_divide));
  let across = thread % ${across}u;
  let down = thread / ${across}u * ${side}u;
  for (var pixel0 = tile.y * ${tilePixels}u; pixel0 < params.pixels; pixel0 += tiles.y * ${tilePixels}u) {
    let own = place(pixel0 + thread % ${tilePixels}u, remainder);
${each(side, (r) => `var sum${r} = vec4f();`)}
    for (var ky = 0u; ky < params.y_taps; ky += 1u) {
      if ((i32(remainder.y) * params.y_multiply + params.y_offset + i32(ky) * params.y_step) % params.y_divide != 0) { continue; }
      for (var kx = 0u; kx < params.x_taps; kx += 1u) {
        if ((i32(remainder.x) * params.x_multiply + params.x_offset + i32(kx) * params.x_step) % params.x_divide != 0) { continue; }
        if (thread < ${tilePixels}u) {
          let y_from = (i32(own.y) * params.y_multiply + params.y_offset + i32(ky) * params.y_step) / params.y_divide;
          let x_from = (i32(own.z) * params.x_multiply + params.x_offset + i32(kx) * params.x_step) / params.x_divide;
          let inside = pixel0 + thread < params.pixels && y_from >= 0 && y_from < params.y_source${folded ? "" : " && x_from >= 0 && x_from < params.x_source"};
          let at = own.x * params.source_image + u32(max(y_from, 0)) * params.source_y + group * params.depth * params.source_channel${folded ? "" : " + u32(max(x_from, 0)) * params.source_x"};
          pixel_at[thread] = select(-1, i32(at), inside);
          pixel_from[thread] = x_from;
        }
        workgroupBarrier();
        for (var l0 = 0u; l0 < params.depth; l0 += ${depth}u) {
          for (var e = thread; e < ${tilePixels * depth}u; e += ${threads}u) {
            let l = ${channelsFirst ? `e % ${depth}u` : `e / ${tilePixels}u`};
            let i = ${channelsFirst ? `e / ${depth}u` : `e % ${tilePixels}u`};
            let at = pixel_at[i];
            let step = l0 + l;
${folded
    ? `            let from_row = pixel_from[i] + i32(step);
            staged_source[l * ${stride}u + i] = select(0.0, source[max(at, 0) + clamp(from_row, 0, params.x_source - 1)], at >= 0 && step < params.depth && from_row >= 0 && from_row < params.x_source);`
    : `            staged_source[l * ${stride}u + i] = select(0.0, source[u32(max(at, 0)) + min(step, params.depth - 1u) * params.source_channel], at >= 0 && step < params.depth);`}
          }
          let weight_at = group * params.weight_group + ky * params.weight_y + kx * params.weight_x;
          for (var e = thread; e < ${tileChannels * depth}u; e += ${threads}u) {
            let l = ${depthFirst ? `e % ${depth}u` : `e / ${tileChannels}u`};
            let i = ${depthFirst ? `e / ${depth}u` : `e % ${tileChannels}u`};
            let value = weight[weight_at + min(l0 + l, params.depth - 1u) * params.weight_depth + min(channel0 + i, params.width - 1u) * params.weight_lane];
            staged_weight[l * ${stride}u + i] = select(0.0, value, l0 + l < params.depth && channel0 + i < params.width);
          }
          workgroupBarrier();
          for (var l = 0u; l < ${depth}u; l += 1u) {
            let at_weight = l * ${stride}u + across;
            let w = vec4f(${each(side, (c) => `staged_weight[at_weight + ${c * across}u]`, ", ")});
            let at_source = l * ${stride}u + down;
${each(side, (r) => `sum${r} = fma(vec4f(staged_source[at_source + ${r}u]), w, sum${r});`)}
          }
          workgroupBarrier();
        }
      }
    }
    let sums = array(${each(side, (r) => `sum${r}`, ", ")});
    for (var r = 0u; r < ${side}u; r += 1u) {
      let pixel = pixel0 + down + r;
      let at = place(pixel, remainder);
      if (pixel >= params.pixels || at.y >= params.y_result || at.z >= params.x_result) { continue; }
      let result_at = at.x * params.result_image + at.y * params.result_y + at.z * params.result_x + group * params.width * params.result_channel;
      let values = sums[r];
      for (var c = 0u; c < ${side}u; c += 1u) {
        let channel = channel0 + across + c * ${across}u;
        if (channel < params.width) { result[result_at + channel * params.result_channel] = activate(values[c]${walk.bias ? " + bias[group * params.width + channel]" : ""}); }
      }
    }
  }
}
`;
  const pixels = walk.batch * rowsApart * columnsApart;
  return {
    name: `${name}.workgroup`,
    wgsl,
    bindings,
    uniforms,
    grid: pixels === 0 ? [0, 0, 0] : [walk.groups * channelTiles, Math.min(maxGridDimension, Math.ceil(pixels / tilePixels)), y.divide * x.divide],
    cost: { flops: walk.flops, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: (inputs) => walkReference(walk, inputs),
  };
}
