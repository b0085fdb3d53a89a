import type { Binding, Kernel, UniformField } from "../kernel.js";
import { declare } from "../wgsl.js";
import { matmulCost } from "./bindings.js";
import { finishBindings, finishFunctions, finishPrologue, finishUniforms, finishWgsl } from "./epilogue.js";
import { each } from "./operands.js";
import { matmulReference } from "./reference.js";
import { maxGridDimension, sliceLength, type MatmulShape } from "./shape.js";

/** How {@link stridedTileMatmul} spreads its work. */
export interface StridedTile {
  /** Lanes that work together: the subgroup size (4 or more), or 0 to do without subgroup operations. */
  readonly subgroup: number;
  /** Which axis of the output is spread over the lanes. */
  readonly laneAxis: "m" | "n";
}

/** Rows of a tile, which all lanes share. */
const rows = 8;
/** Columns of each lane. */
const columns = 2;
/** Workgroup size when there are no subgroup operations. */
const plainLanes = 8;

/** Names of the operands of a strided tile, and the ones they have in a product. */
export function stridedOperands({ laneAxis }: StridedTile): Readonly<Record<"row_operand" | "lane_operand", "a" | "b">> {
  return laneAxis === "n" ? { row_operand: "a", lane_operand: "b" } : { row_operand: "b", lane_operand: "a" };
}

/**
 * Matrix product of any layout in one shader: strides are uniforms, the loop has one step. Small products share it, because they take
 * less time than a compiler takes for a shader of their own. Bindings: row_operand, lane_operand (see {@link stridedOperands}),
 * bias, residual and key where asked for, out.
 */
export function stridedTileMatmul(shape: MatmulShape, tile: StridedTile): Kernel {
  const { m, n, k, batch, slices, transposeA, transposeB } = shape;
  const { subgroup, laneAxis } = tile;
  const operands = stridedOperands(tile);
  const lanes = subgroup > 0 ? subgroup : plainLanes;
  const a = { batch: shape.batchA, count: m, stride: transposeA ? 1 : k, step: transposeA ? m : 1, out: n, bias: 0 };
  const b = { batch: shape.batchB, count: n, stride: transposeB ? k : 1, step: transposeB ? 1 : n, out: 1, bias: 1 };
  const [row, lane] = laneAxis === "n" ? [a, b] : [b, a];
  const operand = (name: string, { batch: own, count }: typeof a): Binding => ({ name, access: "read", dtype: "f32", length: (own ? batch : 1) * count * k });
  const bindings: Binding[] = [
    operand("row_operand", row),
    operand("lane_operand", lane),
    ...finishBindings(shape, n, batch * m * n),
    { name: "out", access: "write", dtype: "f32", length: batch * slices * m * n },
  ];
  // Whether there is a ReLU, and by what sums are scaled, is told at run time.
  const finish = { ...shape, activation: shape.activation === "gelu" ? "gelu" : "none", scale: 1 } as const;
  const uniform = (name: string, value: number): UniformField => ({ name, type: "u32", value });
  const uniforms: UniformField[] = [
    uniform("parts", batch * slices),
    uniform("k", k),
    uniform("slices", slices),
    uniform("slice_length", sliceLength(shape)),
    ...([["row", row], ["lane", lane]] as const).flatMap(([name, of]) => [
      uniform(`${name}_count`, of.count),
      uniform(`${name}_batch`, of.batch ? of.count * k : 0),
      uniform(`${name}_stride`, of.stride),
      uniform(`${name}_step`, of.step),
      uniform(`${name}_out`, of.out),
      uniform(`${name}_bias`, of.bias),
    ]),
    uniform("part_out", m * n),
    uniform("relu", shape.activation === "relu" ? 1 : 0),
    { name: "factor", type: "f32", value: shape.scale },
    ...finishUniforms(finish),
  ];
  const loads = subgroup > 0 ? Math.ceil(rows / lanes) : rows;
  const own = (g: number): string => `min(row0 + ${subgroup > 0 ? `${rows < lanes ? `min(lane, ${rows - 1}u)` : "lane"} + ${g * lanes}u` : `${g}u`}, params.row_count - 1u)`;
  const rowValue = (r: number): string => (subgroup > 0 ? `subgroupBroadcast(q${Math.floor(r / lanes)}, ${r % lanes}u)` : `q${r}`);
  const store = (c: number): string => `if (lane0 + ${c}u < params.lane_count) {
          let column = lane0 + ${c}u;
          let at = part * params.part_out + row * params.row_out + column * params.lane_out;
          let bias_at = row * params.row_bias + column * params.lane_bias;
          let x = params.factor * sum0[${c}]${finish.bias ? " + bias[bias_at]" : ""};
          out[at] = ${finishWgsl({ ...finish, bias: false }, "select(x, max(x, 0.0), params.relu != 0u)", { bias: "bias_at", residual: "at", element: "at" })};
        }`;
  const wgsl = `${subgroup > 0 ? "enable subgroups;\n" : ""}${declare(bindings, uniforms, {})}
${finishFunctions(finish, "f32")}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(${subgroup > 0 ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
${finishPrologue(finish)}  let lane0 = (tile.x * ${lanes}u + lane) * ${columns}u;
  for (var part = tile.z; part < params.parts; part += tiles.z) {
    let image = part / params.slices;
    let first = part % params.slices * params.slice_length;
    let last = min(params.k, first + params.slice_length);
    for (var row0 = tile.y * ${rows}u; row0 < params.row_count; row0 += tiles.y * ${rows}u) {
      ${each(loads, (g) => `var row_at${g} = image * params.row_batch + ${own(g)} * params.row_stride + first * params.row_step;`, "\n      ")}
      ${each(columns, (c) => `var lane_at${c} = image * params.lane_batch + min(lane0 + ${c}u, params.lane_count - 1u) * params.lane_stride + first * params.lane_step;`, "\n      ")}
      ${each(rows, (r) => `var sum${r} = vec2f();`, "\n      ")}
      for (var l = first; l < last; l += 1u) {
        ${each(loads, (g) => `let q${g} = row_operand[row_at${g}]; row_at${g} += params.row_step;`, "\n        ")}
        let p = vec2f(${each(columns, (c) => `lane_operand[lane_at${c}]`, ", ")});
        ${each(columns, (c) => `lane_at${c} += params.lane_step;`, " ")}
        ${each(rows, (r) => `sum${r} = fma(vec2f(${rowValue(r)}), p, sum${r});`, "\n        ")}
      }
      for (var row = row0; row < min(row0 + ${rows}u, params.row_count); row += 1u) {
        ${each(columns, store, "\n        ")}
        ${each(rows - 1, (r) => `sum${r} = sum${r + 1};`, " ")}
      }
    }
  }
}
`;
  const empty = m === 0 || n === 0 || batch === 0;
  return {
    name: `matmul.strided${laneAxis}`,
    wgsl,
    bindings,
    uniforms,
    grid: empty ? [0, 0, 0] : [Math.ceil(lane.count / (lanes * columns)), Math.min(maxGridDimension, Math.ceil(row.count / rows)), Math.min(maxGridDimension, batch * slices)],
    cost: matmulCost(shape),
    reference: (inputs) => matmulReference(shape, Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name === "row_operand" || name === "lane_operand" ? operands[name] : name, values]))),
  };
}
