import type { Kernel, UniformField } from "../kernel.js";
import { declare } from "../wgsl.js";
import { each, staged } from "./tile.js";
import { type WeightWalk, weightWalkBindings, weightWalkReference, weightWalkUniforms } from "./weight-walk.js";

const { rows: tileRows, columns: tileColumns, depth, threads, side, stride } = staged;
const across = tileColumns / side;
const passes = tileRows / depth;

/**
 * Weight gradient for GPUs: a workgroup of 256 invocations owns a tap and 64 x 64 pairs of channels, stages 16 output positions of both
 * image tensors at a time in workgroup memory, and keeps 4 x 4 sums in every invocation. An invocation stages one position for all its
 * channels, so where it lies is worked out once.
 */
export function workgroupWeight(name: string, walk: WeightWalk): Kernel {
  const { lanesOverInput, folded, groups, laneWidth, rowWidth, y, x, slices } = walk;
  const bindings = weightWalkBindings(walk);
  const laneTiles = Math.ceil(laneWidth / tileColumns);
  const u32 = (field: string, value: number): UniformField => ({ name: field, type: "u32", value });
  const uniforms = [...weightWalkUniforms(walk, 1), u32("lane_tiles", laneTiles)];
  // Neighbouring invocations read neighbours in memory: channels where those lie side by side, else positions.
  const split = (channels: boolean): readonly [string, string] => (channels ? [`thread / ${depth}u`, `thread % ${depth}u`] : [`thread % ${depth}u`, `thread / ${depth}u`]);
  const stage = (operand: "lane" | "row", channelStride: number): string => {
    const [position, channel] = split(channelStride === 1);
    const input = (operand === "lane") === lanesOverInput;
    const [first, width] = operand === "lane" ? ["lane0", "params.lane_width"] : ["row0", "params.row_width"];
    const start = input
      ? `image * params.${operand}_image + u32(clamp(from_y, 0, params.y_size - 1)) * params.${operand}_y${folded ? "" : ` + u32(clamp(from_x, 0, params.x_size - 1)) * params.${operand}_x`}`
      : `image * params.${operand}_image + out_y * params.${operand}_y + out_x * params.${operand}_x`;
    const inside = input ? `exists && from_y >= 0 && from_y < params.y_size${folded ? "" : " && from_x >= 0 && from_x < params.x_size"}` : "exists";
    const load = folded && input
      ? `let at = from_x + i32(min(channel, ${width} - 1u));
        let value = ${operand}_operand[i32(start) + clamp(at, 0, params.x_size - 1)];
        staged_${operand}[l * ${stride}u + i] = select(0.0, value, inside && channel < ${width} && at >= 0 && at < params.x_size);`
      : `let value = ${operand}_operand[start + group * params.${operand}_group + min(channel, ${width} - 1u) * params.${operand}_channel];
        staged_${operand}[l * ${stride}u + i] = select(0.0, value, inside && channel < ${width});`;
    return `{
      let l = ${position};
      let exists = position0 + l < last;
      let position = min(position0 + l, last - 1u);
      let out_x = position % params.x_out;
      let row = position / params.x_out;
      let out_y = row % params.y_out;
      let image = row / params.y_out;
${input ? `      let from_y = i32(out_y * params.y_stride) + shift_y;
      let from_x = i32(out_x * params.x_stride) + shift_x;` : ""}
      let inside = ${inside};
      let start = ${start};
      for (var round = 0u; round < ${passes}u; round += 1u) {
        let i = ${channel} + round * ${depth}u;
        let channel = ${first} + i;
        ${load}
      }
    }`;
  };
  const wgsl = `${declare(bindings, uniforms)}
var<workgroup> staged_lane: array<f32, ${depth * stride}>;
var<workgroup> staged_row: array<f32, ${depth * stride}>;
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
  let group = tile.x / params.lane_tiles;
  let lane0 = tile.x % params.lane_tiles * ${tileColumns}u;
  let row0 = tile.y * ${tileRows}u;
  let taps = params.y_taps * params.x_taps;
  let slice = tile.z / taps;
  let tap_y = tile.z % taps / params.x_taps;
  let tap_x = tile.z % taps % params.x_taps;
  let shift_y = i32(tap_y * params.y_dilation) - i32(params.y_padding);
  let shift_x = i32(tap_x * params.x_dilation) - i32(params.x_padding);
  let last = min(params.positions, (slice + 1u) * params.slice_length);
  let across = thread % ${across}u;
  let down = thread / ${across}u * ${side}u;
${each(side, (r) => `var sum${r} = vec4f();`)}
  for (var position0 = slice * params.slice_length; position0 < last; position0 += ${depth}u) {
${stage("lane", walk.lane.channel)}
${stage("row", walk.row.channel)}
    workgroupBarrier();
    for (var l = 0u; l < ${depth}u; l += 1u) {
      let at_lane = l * ${stride}u + across;
      let value = vec4f(${each(side, (c) => `staged_lane[at_lane + ${c * across}u]`, ", ")});
      let at_row = l * ${stride}u + down;
${each(side, (r) => `sum${r} = fma(vec4f(staged_row[at_row + ${r}u]), value, sum${r});`)}
    }
    workgroupBarrier();
  }
  let start = slice * params.weights + group * params.weight_group + tap_y * params.weight_y + tap_x * params.weight_x;
  let sums = array(${each(side, (r) => `sum${r}`, ", ")});
  for (var r = 0u; r < ${side}u; r += 1u) {
    let values = sums[r];
    for (var c = 0u; c < ${side}u; c += 1u) {
      let channel = lane0 + across + c * ${across}u;
      if (row0 + down + r < params.row_width && channel < params.lane_width) { dweight[start + (row0 + down + r) * params.weight_row + channel * params.weight_lane] = values[c]; }
    }
  }
}
`;
  return {
    name: `${name}.workgroup`,
    wgsl,
    bindings,
    uniforms,
    grid: [groups * laneTiles, Math.ceil(rowWidth / tileRows), y.taps * x.taps * slices],
    cost: { flops: walk.flops, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: (inputs) => weightWalkReference(walk, inputs),
  };
}
