import type { Kernel, UniformField } from "../kernel.js";
import { declare } from "../wgsl.js";
import { type Columns, component, each, type Lanes, vectorType, wholeVectors } from "./tile.js";
import { type WeightWalk, weightWalkBindings, weightWalkReference, weightWalkUniforms } from "./weight-walk.js";

/** Register tile of {@link registerWeight}. */
export interface WeightTile extends Lanes {
  /** Channels per lane of the tensor that is not spread over lanes: a multiple of 4. */
  readonly rows: number;
  /** Channels per lane of the one that is; they must lie side by side in whole vectors when more than one. */
  readonly columns: Columns;
}

/** Positions counted on by `step` as images, rows and columns: no division in the loop. */
function digits(step: number, { y, x }: WeightWalk): { image: number; y: number; x: number } {
  const row = Math.floor(step / Math.max(1, x.outSize));
  return { image: Math.floor(row / Math.max(1, y.outSize)), y: row % Math.max(1, y.outSize), x: step % Math.max(1, x.outSize) };
}

/**
 * Weight gradient for CPU drivers: a workgroup of one subgroup owns a tap, lanes x columns channels of one image tensor and `rows` of the
 * other, and walks along the output positions of a slice, as many at once as it has lanes. Each lane works out where one position lies,
 * loads a vector of its own channels at all of them and the rows' channels at its own position, which the others get by subgroupBroadcast.
 * Four rows go through all positions before the next four, so that sums which do not fit into registers are moved once per round.
 */
export function registerWeight(name: string, walk: WeightWalk, tile: WeightTile): Kernel {
  const { lanes, subgroup, rows, columns } = tile;
  const { lanesOverInput, folded, groups, laneWidth, rowWidth, y, x, slices } = walk;
  const step = subgroup ? lanes : 1;
  const vectors = Math.ceil(laneWidth / columns);
  const laneTiles = Math.ceil(vectors / lanes);
  const bindings = weightWalkBindings(walk);
  const on = digits(step, walk);
  const u32 = (field: string, value: number): UniformField => ({ name: field, type: "u32", value });
  const uniforms = [...weightWalkUniforms(walk, columns), u32("vectors", vectors), u32("lane_tiles", laneTiles), u32("step_image", on.image), u32("step_y", on.y), u32("step_x", on.x)];
  const T = vectorType(columns);
  const spread = (value: string, s: number): string => (subgroup ? `subgroupBroadcast(${value}, ${s}u)` : value);
  const input = (operand: string): string => `image * params.${operand}_image + u32(clamp(from_y, 0, params.y_size - 1)) * params.${operand}_y${folded ? "" : ` + u32(clamp(from_x, 0, params.x_size - 1)) * params.${operand}_x`}`;
  const output = (operand: string): string => `image * params.${operand}_image + out_y * params.${operand}_y + out_x * params.${operand}_x`;
  const rowVectors = !folded && walk.row.channel === 1 && wholeVectors(rowWidth, walk.row.image, walk.row.y, walk.row.x, walk.row.group);
  const rowValue = (r: number): string =>
    folded
      ? `select(0.0, row_operand[i32(row_start) + clamp(from_x + i32(row_at${r}), 0, params.x_size - 1)], inside && u32(from_x + i32(row_at${r})) < u32(params.x_size))`
      : `select(0.0, row_operand[row_start + row_at${r}], inside)`;
  const wgsl = `${subgroup ? "enable subgroups;\n" : ""}${declare(bindings, uniforms, { lane_operand: T, row_operand: rowVectors ? "vec4f" : "f32" })}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(${subgroup ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
  let group = tile.x / params.lane_tiles;
  let vector = tile.x % params.lane_tiles * ${lanes}u + lane;
  let row0 = tile.y * ${rows}u;
  let taps = params.y_taps * params.x_taps;
  let slice = tile.z / taps;
  let tap_y = tile.z % taps / params.x_taps;
  let tap_x = tile.z % taps % params.x_taps;
  let lane_at = group * params.lane_group + min(vector, params.vectors - 1u) * params.lane_channel;
${rowVectors
    ? each(rows / 4, (g) => `let row_at${g} = (group * params.row_group + min(row0 + ${4 * g}u, params.row_width - 4u)) / 4u;`)
    : each(rows, (r) => `let row_at${r} = group * params.row_group + min(row0 + ${r}u, params.row_width - 1u) * params.row_channel;`)}
${each(rows, (r) => `var sum${r} = ${T}();`)}
  let last = min(params.positions, (slice + 1u) * params.slice_length);
  let shift_y = i32(tap_y * params.y_dilation) - i32(params.y_padding);
  let shift_x = i32(tap_x * params.x_dilation) - i32(params.x_padding);
  let first = slice * params.slice_length${subgroup ? " + lane" : ""};
  var out_x = first % params.x_out;
  var out_y = first / params.x_out % params.y_out;
  var image = first / params.x_out / params.y_out;
  for (var position = slice * params.slice_length; position < last; position += ${step}u) {
    let from_y = i32(out_y * params.y_stride) + shift_y;
    let from_x = i32(out_x * params.x_stride) + shift_x;
    let exists = position${subgroup ? " + lane" : ""} < last;
    let inside = exists && u32(from_y) < u32(params.y_size)${folded ? "" : " && u32(from_x) < u32(params.x_size)"};
    let own = select(0u, ${lanesOverInput ? input("lane") : output("lane")}, exists);
    let row_start = select(0u, ${lanesOverInput ? output("row") : input("row")}, exists);
${each(step, (s) => `let value${s} = lane_operand[${spread("own", s)} + lane_at];`)}
${each(rows / 4, (g) => (rowVectors ? `let q${g} = select(vec4f(), row_operand[row_start / 4u + row_at${g}], inside);` : each(4, (r) => `let q${4 * g + r} = ${rowValue(4 * g + r)};`)))}
${each(rows / 4, (g) => each(step, (s) => each(4, (i) => {
    const r = 4 * g + i;
    return `sum${r} = fma(${T}(${spread(rowVectors ? `q${g}.${component(i)}` : `q${r}`, s)}), value${s}, sum${r});`;
  })))}
    out_x += params.step_x;
    let carry_x = out_x >= params.x_out;
    out_x -= select(0u, params.x_out, carry_x);
    out_y += params.step_y + select(0u, 1u, carry_x);
    let carry_y = out_y >= params.y_out;
    out_y -= select(0u, params.y_out, carry_y);
    image += params.step_image + select(0u, 1u, carry_y);
  }
  if (vector < params.vectors) {
  let start = slice * params.weights + group * params.weight_group + tap_y * params.weight_y + tap_x * params.weight_x;
  for (var done = 0u; done < min(${rows}u, params.row_width - row0); done += 4u) {
    let sums = array(${each(4, (r) => `sum${r}`, ", ")});
    for (var r = 0u; r < min(4u, params.row_width - row0 - done); r += 1u) {
      let at = start + (row0 + done + r) * params.weight_row;
      let values = sums[r];
${each(columns, (c) => `if (vector * ${columns}u + ${c}u < params.lane_width) { dweight[at + (vector * ${columns}u + ${c}u) * params.weight_lane] = values${columns === 1 ? "" : `.${component(c)}`}; }`)}
    }
${each(rows - 4, (r) => `sum${r} = sum${r + 4};`)}
  }
  }
}
`;
  return {
    name: `${name}.register${rows}x${columns}`,
    wgsl,
    bindings,
    uniforms,
    grid: [groups * laneTiles, Math.ceil(rowWidth / rows), y.taps * x.taps * slices],
    cost: { flops: walk.flops, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: (inputs) => weightWalkReference(walk, inputs),
  };
}
