import type { Kernel, UniformField } from "../kernel.js";
import { declare } from "../wgsl.js";
import { matmulBindings, matmulCost } from "./bindings.js";
import { finishFunctions, finishPrologue, finishUniforms } from "./epilogue.js";
import { each, laneOperand, rowOperand, type TileText, vectorOf } from "./operands.js";
import { matmulReference } from "./reference.js";
import { layoutName, maxGridDimension, sliceLength, type MatmulShape } from "./shape.js";
import { storeTile } from "./store-tile.js";

/** Tuning of {@link registerTileMatmul}. */
export interface RegisterTile {
  /** Outputs per lane along the axis that all lanes share: 1 to 4, or a multiple of 4. */
  readonly rows: number;
  /** Outputs per lane along the axis that is spread over lanes. */
  readonly columns: 1 | 2 | 4;
  /** Lanes that work together: the subgroup size (4 or more), or 0 to do without subgroup operations. */
  readonly subgroup: number;
  /** Which axis of the output is spread over the lanes. */
  readonly laneAxis: "m" | "n";
}

/** Workgroup size when there are no subgroup operations. */
const plainLanes = 8;
/** Steps along k that are loaded at once. */
const depth = 4;
/** Rows whose sums are worked on together: their sums and the operands of four steps fit the registers of a CPU. */
const group = 4;

/**
 * Matrix product without workgroup memory: each lane keeps a `rows` x `columns` tile of sums. Four steps along k at a time, each
 * lane loads its own columns of one operand, and the lanes together load every row of the other once and spread it by
 * subgroupBroadcast (without subgroups every lane loads all rows).
 *
 * On CPU drivers a load costs about 16 cycles per vector of lanes, whatever it reads, a multiplication one or two. So the tile is as
 * large as pays, much larger than the registers: sums that do not fit wait on the stack, where loads are cheap, and rows are worked
 * on in groups so that each sum travels once per four steps.
 */
export function registerTileMatmul(shape: MatmulShape, tile: RegisterTile): Kernel {
  const { m, n, k, batch, slices } = shape;
  const { rows: R, columns: C, subgroup, laneAxis } = tile;
  const overColumns = laneAxis === "n";
  const lanes = subgroup > 0 ? subgroup : plainLanes;
  const [rowCount, laneCount] = overColumns ? [m, n] : [n, m];
  const rowAlong = (overColumns ? shape.transposeA : !shape.transposeB) ? "other" : "k";
  const laneAlong = (overColumns ? shape.transposeB : !shape.transposeA) ? "k" : "other";
  const text: TileText = {
    rows: R,
    columns: C,
    subgroup,
    row: { name: overColumns ? "a" : "b", along: rowAlong, aligned: rowAlong === "k" ? k % 4 === 0 : rowCount % 4 === 0 && R % 4 === 0 },
    lane: { name: overColumns ? "b" : "a", along: laneAlong, aligned: laneAlong === "k" ? k % 4 === 0 : C > 1 && laneCount % C === 0 },
  };
  const row = rowOperand(text);
  const lane = laneOperand(text);
  const T = vectorOf(C);
  const outVector = overColumns && laneCount % C === 0 ? C : 1;
  const bindings = matmulBindings(shape);
  const uniforms: UniformField[] = [
    { name: "parts", type: "u32", value: batch * slices },
    { name: "row_count", type: "u32", value: rowCount },
    { name: "lane_count", type: "u32", value: laneCount },
    { name: "k", type: "u32", value: k },
    { name: "slices", type: "u32", value: slices },
    { name: "slice_length", type: "u32", value: sliceLength(shape) },
    { name: "row_batch", type: "u32", value: (overColumns ? shape.batchA : shape.batchB) ? rowCount * k : 0 },
    { name: "lane_batch", type: "u32", value: (overColumns ? shape.batchB : shape.batchA) ? laneCount * k : 0 },
    ...finishUniforms(shape),
  ];
  const out = vectorOf(outVector);
  const elements = { [text.row.name]: row.element, [text.lane.name]: lane.element, out, residual: out, ...(overColumns ? { bias: out } : {}) };
  const accumulate = (r: number, factor: string, p: string): string => `sum${r} = fma(${C === 1 ? factor : `${T}(${factor})`}, ${p}, sum${r});`;
  const groups = Math.ceil(R / group);
  const block = each(groups, (g) => each(depth, (s) => each(Math.min(group, R - g * group), (i) => accumulate(g * group + i, row.value(g * group + i, s), `p${s}`))));

  const wgsl = `${subgroup > 0 ? "enable subgroups;\n" : ""}${declare(bindings, uniforms, elements)}
${finishFunctions(shape, out)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(${subgroup > 0 ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
${finishPrologue(shape)}  let lane0 = (tile.x * ${lanes}u + lane) * ${C}u;
  for (var part = tile.z; part < params.parts; part += tiles.z) {
    let image = part / params.slices;
    let first = part % params.slices * params.slice_length;
    let last = min(params.k, first + params.slice_length);
    let lane_start = image * params.lane_batch;
    let row_start = image * params.row_batch;
${lane.setUp}
    for (var row0 = tile.y * ${R}u; row0 < params.row_count; row0 += tiles.y * ${R}u) {
${row.setUp}
${each(R, (r) => `var sum${r} = ${T}();`)}
    var l = first;
    for (; l + ${depth}u <= last; l += ${depth}u) {
${row.load}
${lane.load}
${block}
    }
${k % depth === 0 ? "" : `    for (; l < last; l += 1u) {
${row.loadOne}
${lane.loadOne}
${each(R, (r) => accumulate(r, row.valueOne(r), "p"))}
    }`}
${storeTile(shape, { rows: R, columns: C, overColumns, outVector })}
    }
  }
}
`;
  const empty = rowCount === 0 || laneCount === 0 || batch === 0;
  return {
    name: `matmul.${layoutName(shape)}.${subgroup > 0 ? "subgroup" : "register"}${R}x${C}${laneAxis}`,
    wgsl,
    bindings,
    uniforms,
    grid: empty ? [0, 0, 0] : [Math.ceil(laneCount / (lanes * C)), Math.min(maxGridDimension, Math.ceil(rowCount / R)), Math.min(maxGridDimension, batch * slices)],
    cost: matmulCost(shape),
    reference: (inputs) => matmulReference(shape, inputs),
  };
}
