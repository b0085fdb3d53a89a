import type { Kernel, UniformField } from "../kernel.js";
import { declare } from "../wgsl.js";
import { matmulBindings, matmulCost } from "./bindings.js";
import { finishFunctions, finishPrologue, finishUniforms, finishWgsl } from "./epilogue.js";
import { matmulReference } from "./reference.js";
import { layoutName, maxGridDimension, sliceLength, type MatmulShape } from "./shape.js";

/** Tuning of {@link registerTileMatmul}. */
export interface RegisterTile {
  /** Outputs per lane along the axis that all lanes share. */
  readonly rows: number;
  /** Outputs per lane along the axis that is spread over lanes. */
  readonly columns: 1 | 2 | 4;
  /** Lanes that work together: the subgroup size, or 0 to do without subgroup operations. */
  readonly subgroup: number;
  /** Which axis of the output is spread over the lanes. */
  readonly laneAxis: "m" | "n";
}

/** How an operand is stored, seen from the tile: neighbours in memory are neighbours along k, or along the other axis. */
type Contiguous = "k" | "other";

/** Workgroup size when there are no subgroup operations. */
const plainLanes = 8;

/**
 * Matrix product for CPU drivers: each lane keeps a `rows` x `columns` tile of sums in registers. The operand of the lane axis is
 * loaded by each lane; of the other operand each lane loads one element of the next `subgroup` steps along k, spread by subgroupBroadcast.
 * Loads are what costs there, and no barrier is needed.
 */
export function registerTileMatmul(shape: MatmulShape, tile: RegisterTile): Kernel {
  const { m, n, k, batch, slices } = shape;
  const { rows: R, columns: C, subgroup, laneAxis } = tile;
  const overColumns = laneAxis === "n";
  const lanes = subgroup > 0 ? subgroup : plainLanes;
  const rowCount = overColumns ? m : n;
  const laneCount = overColumns ? n : m;
  const [laneName, rowName] = overColumns ? ["b", "a"] : ["a", "b"];
  const laneContiguous: Contiguous = (overColumns ? shape.transposeB : !shape.transposeA) ? "k" : "other";
  const rowContiguous: Contiguous = (overColumns ? !shape.transposeA : shape.transposeB) ? "k" : "other";

  const wide = C > 1 && laneCount % C === 0;
  const laneVector = laneContiguous === "other" ? (wide ? C : 1) : k % 4 === 0 ? 4 : 1;
  const outVector = overColumns && wide ? C : 1;
  const T = C === 1 ? "f32" : `vec${C}f`;
  const vector = (size: number): string => (size === 1 ? "f32" : `vec${size}f`);
  const column = (c: number): string => (C === 1 ? "" : `.${"xyzw"[c]}`);
  const each = (count: number, line: (i: number) => string, separator = "\n"): string => Array.from({ length: count }, (_, i) => line(i)).join(separator);

  const bindings = matmulBindings(shape);
  const uniforms: UniformField[] = [
    { name: "batch", type: "u32", value: batch },
    { name: "row_count", type: "u32", value: rowCount },
    { name: "lane_count", type: "u32", value: laneCount },
    { name: "k", type: "u32", value: k },
    { name: "slices", type: "u32", value: slices },
    { name: "slice_length", type: "u32", value: sliceLength(shape) },
    { name: "row_batch", type: "u32", value: (overColumns ? shape.batchA : shape.batchB) ? rowCount * k : 0 },
    { name: "lane_batch", type: "u32", value: (overColumns ? shape.batchB : shape.batchA) ? laneCount * k : 0 },
    ...finishUniforms(shape),
  ];
  const elements: Record<string, string> = { [laneName]: vector(laneVector), out: vector(outVector), residual: vector(outVector) };
  if (overColumns && outVector > 1) elements["bias"] = vector(outVector);

  /** Loads of the lane operand for steps l, l + 1, ...: `p0`, `p1`, ... */
  const laneLoads = (steps: number): string => {
    if (laneContiguous === "other") {
      return each(steps, (s) => {
        if (laneVector > 1 || C === 1) return `let p${s} = ${laneName}[lane_at${C === 1 ? "0" : ""} + (l + ${s}u) * lane_step];`;
        return `let p${s} = ${T}(${each(C, (c) => `${laneName}[lane_at${c} + (l + ${s}u) * lane_step]`, ", ")});`;
      });
    }
    if (laneVector === 4 && steps % 4 === 0) {
      const lines: string[] = [];
      for (let s = 0; s < steps; s += 4) {
        lines.push(each(C, (c) => `let v${s}_${c} = ${laneName}[(lane_at${c} + l) / 4u + ${s / 4}u];`));
        for (let t = 0; t < 4; t++) lines.push(`let p${s + t} = ${C === 1 ? `v${s}_0.${"xyzw"[t]}` : `${T}(${each(C, (c) => `v${s}_${c}.${"xyzw"[t]}`, ", ")})`};`);
      }
      return lines.join("\n");
    }
    const element = (c: number, s: number): string => (laneVector === 4 ? `${laneName}[(lane_at${c} + l + ${s}u) / 4u][(l + ${s}u) % 4u]` : `${laneName}[lane_at${c} + l + ${s}u]`);
    return each(steps, (s) => (C === 1 ? `let p${s} = ${element(0, s)};` : `let p${s} = ${T}(${each(C, (c) => element(c, s), ", ")});`));
  };
  const rowElement = (r: number, l: string): string => (rowContiguous === "k" ? `${rowName}[row_at${r} + ${l}]` : `${rowName}[row_at${r} + (${l}) * params.row_count]`);
  const accumulate = (r: number, factor: string, s: number): string => `sum${r} = fma(${C === 1 ? factor : `${T}(${factor})`}, p${s}, sum${r});`;

  const block =
    subgroup > 0
      ? `
${k < lanes ? "" : `    let whole = l + (last - l) / ${lanes}u * ${lanes}u;
    for (; l < whole; l += ${lanes}u) {
${each(R, (r) => `let q${r} = ${rowElement(r, "l + lane")};`)}
${blockSteps(lanes, 4)}
    }`}
${k % lanes === 0 ? "" : `    if (l < last) {
      let at = min(l + lane, last - 1u);
${each(R, (r) => `let q${r} = ${rowElement(r, "at")};`)}
      for (var step = 0u; l < last; l += 1u) {
${laneLoads(1)}
${each(R, (r) => accumulate(r, `subgroupShuffle(q${r}, step)`, 0))}
        step += 1u;
      }
    }`}`
      : `
    for (; l < last; l += 1u) {
${laneLoads(1)}
${each(R, (r) => accumulate(r, rowElement(r, "l"), 0))}
    }`;

  /** `count` unrolled steps; loads of the lane operand stand just before their use, `group` at a time. */
  function blockSteps(count: number, group: number): string {
    const lines: string[] = [];
    for (let first = 0; first < count; first += group) {
      const steps = Math.min(group, count - first);
      lines.push(`{ let base = l; let l = base + ${first}u;`, laneLoads(steps));
      for (let s = 0; s < steps; s++) lines.push(each(R, (r) => accumulate(r, `subgroupBroadcast(q${r}, ${first + s}u)`, s)));
      lines.push("}");
    }
    return lines.join("\n");
  }

  const store = (r: number): string => {
    const guard = `if (row0 + ${r}u < params.row_count)`;
    if (overColumns) {
      const at = `out_row + ${r}u * params.lane_count + lane0`;
      if (outVector > 1 || C === 1) {
        const index = outVector > 1 ? `(${at}) / ${C}u` : at;
        const place = { bias: `lane0${outVector > 1 ? ` / ${C}u` : ""}`, residual: "at", element: outVector > 1 ? `at * ${C}u` : "at" };
        return `${guard} { if (lane0 < params.lane_count) { let at = ${index}; out[at] = ${finishWgsl(shape, `sum${r}`, place)}; } }`;
      }
      return `${guard} {
${each(C, (c) => `if (lane0 + ${c}u < params.lane_count) { let at = ${at} + ${c}u; out[at] = ${finishWgsl(shape, `sum${r}${column(c)}`, { bias: `lane0 + ${c}u`, residual: "at", element: "at" })}; }`)}
      }`;
    }
    return `${guard} {
${each(C, (c) => `if (lane0 + ${c}u < params.lane_count) { let at = out_batch + (lane0 + ${c}u) * params.row_count + row0 + ${r}u; out[at] = ${finishWgsl(shape, `sum${r}${column(c)}`, { bias: `row0 + ${r}u`, residual: "at", element: "at" })}; }`)}
      }`;
  };

  const laneStep = laneContiguous === "k" ? "1u" : laneVector > 1 ? `params.lane_count / ${laneVector}u` : "params.lane_count";
  const laneAt = (c: number): string => {
    const position = `min(lane0 + ${c}u, params.lane_count - 1u)`;
    return `let lane_at${c} = lane_start + ${laneContiguous === "k" ? `${position} * params.k` : position};`;
  };
  const wgsl = `${subgroup > 0 ? "enable subgroups;\n" : ""}${declare(bindings, uniforms, elements)}
${finishFunctions(shape, outVector > 1 ? T : "f32")}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(${subgroup > 0 ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
${finishPrologue(shape)}  let lane0 = (tile.x * ${lanes}u + lane) * ${C}u;
  let lane_step = ${laneStep};
  for (var part = tile.z; part < params.batch * params.slices; part += tiles.z) {
    let image = part / params.slices;
    let first = part % params.slices * params.slice_length;
    let last = min(params.k, first + params.slice_length);
    let lane_start = image * params.lane_batch;
    let out_batch = part * params.row_count * params.lane_count;
${laneContiguous === "other" && laneVector > 1 ? `let lane_at = (lane_start + min(lane0, params.lane_count - ${C}u)) / ${C}u;` : each(C, laneAt)}
    for (var row0 = tile.y * ${R}u; row0 < params.row_count; row0 += tiles.y * ${R}u) {
${each(R, (r) => `let row_at${r} = image * params.row_batch + min(row0 + ${r}u, params.row_count - 1u)${rowContiguous === "k" ? " * params.k" : ""};`)}
${each(R, (r) => `var sum${r} = ${T}();`)}
    var l = first;
${block}
    ${overColumns ? "let out_row = out_batch + row0 * params.lane_count;" : ""}
${each(R, store)}
    }
  }
}
`;
  const limit = maxGridDimension;
  const empty = rowCount === 0 || laneCount === 0 || batch === 0;
  return {
    name: `matmul.${layoutName(shape)}.${subgroup > 0 ? "subgroup" : "register"}${R}x${C}${laneAxis}`,
    wgsl,
    bindings,
    uniforms,
    grid: empty ? [0, 0, 0] : [Math.ceil(laneCount / (lanes * C)), Math.min(limit, Math.ceil(rowCount / R)), Math.min(limit, batch * slices)],
    cost: matmulCost(shape),
    reference: (inputs) => matmulReference(shape, inputs),
  };
}

