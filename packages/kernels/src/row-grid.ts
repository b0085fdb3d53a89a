import { foldedGrid, foldedWidth } from "./wgsl.js";
import { laneFor, laneName, laneOf, laneWidth } from "./lanes.js";
import type { Lane } from "./lanes.js";
import type { KernelTarget } from "./kernel.js";

/** Invocations that share a row in the cooperative form. */
const team = 128;

/** Reductions over a row: WGSL function name, element types it comes in, and how two values combine. */
const reductions = [
  { name: "row_sum", element: "f32", combine: (a: string, b: string) => `${a} + ${b}` },
  { name: "row_count", element: "u32", combine: (a: string, b: string) => `${a} + ${b}` },
  { name: "row_max", element: "f32", combine: (a: string, b: string) => `max(${a}, ${b})` },
  { name: "row_first", element: "i32", combine: (a: string, b: string) => `min(${a}, ${b})` },
] as const;

/** How rows that are reduced are spread over invocations; the same body serves both forms. */
export interface RowGrid {
  /** Part of the kernel's name. */
  readonly variant: string;
  readonly lane: Lane;
  readonly grid: readonly [number, number, number];
  /** Uniform fields every row kernel has: `rows`, and `width` in lanes. */
  readonly uniforms: readonly [{ readonly name: "rows"; readonly type: "u32"; readonly value: number }, { readonly name: "width"; readonly type: "u32"; readonly value: number }];
  /**
   * Functions and entry point. `body` sees `row: u32` (below `params.rows`), the loop bounds `begin`, `end` and `stride` of the
   * invocation's lanes within the row, `leader: bool` (one per row), and reductions over all lanes of the row:
   * `row_sum` (f32), `row_count` (sum of u32), `row_max` (f32) and `row_first` (least i32).
   */
  main(body: string): string;
}

/**
 * One invocation per row ("row"), or a workgroup per row ("team").
 * On software adapters barriers cost more than they save, and a lane per row keeps parameters that all rows share uniform;
 * on GPUs a team reads a row coalesced, worth its barriers from about two rows of a subgroup on.
 * @param width elements in a row
 * @param lane what the "row" form may move at a time, default the widest that fits `width`
 */
export function rowGrid(rows: number, width: number, target: KernelTarget, lane: Lane = laneFor(width)): RowGrid {
  const form = target.class === "gpu" && width > 64 ? teamForm : soloForm(lane);
  return {
    variant: form.variant,
    lane: form.lane,
    grid: foldedGrid(Math.ceil(rows / form.rowsPerWorkgroup)),
    uniforms: [
      { name: "rows", type: "u32", value: rows },
      { name: "width", type: "u32", value: width / laneWidth(form.lane) },
    ],
    main: (body) => reductions.filter(({ name }) => body.includes(`${name}(`)).map((reduction) => form.reduction(reduction)).join("") + form.entry(body),
  };
}

/** One of the two forms as text. */
interface Form {
  readonly variant: string;
  readonly lane: Lane;
  readonly rowsPerWorkgroup: number;
  reduction(reduction: (typeof reductions)[number]): string;
  entry(body: string): string;
}

function soloForm(lane: Lane): Form {
  return {
    variant: `row.${laneName(lane)}`,
    lane,
    rowsPerWorkgroup: 64,
    reduction: ({ name, element, combine }) =>
      `fn ${name}(v: ${laneOf(lane, element)}) -> ${element} { return ${lane === "f32" ? "v" : combine(combine("v.x", "v.y"), combine("v.z", "v.w"))}; }\n`,
    entry: (body) => `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = (workgroup.x + workgroup.y * ${foldedWidth}u) * 64u + local;
  if (row >= params.rows) { return; }
  let leader = true;
  let begin = 0u;
  let end = params.width;
  let stride = 1u;
${body}
}
`,
  };
}

const teamForm: Form = {
  variant: "team",
  lane: "f32",
  rowsPerWorkgroup: 1,
  reduction: ({ name, element, combine }) => `
var<workgroup> ${name}_shares: array<${element}, ${team}>;
fn ${name}(share: ${element}) -> ${element} {
  ${name}_shares[member] = share;
  workgroupBarrier();
  for (var half = ${team / 2}u; half > 0u; half /= 2u) {
    if (member < half) { ${name}_shares[member] = ${combine(`${name}_shares[member]`, `${name}_shares[member + half]`)}; }
    workgroupBarrier();
  }
  let result = ${name}_shares[0];
  workgroupBarrier();
  return result;
}
`,
  entry: (body) => `
var<private> member: u32;
@compute @workgroup_size(${team})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.x + workgroup.y * ${foldedWidth}u;
  if (row >= params.rows) { return; }
  member = local;
  let leader = local == 0u;
  let begin = local;
  let end = params.width;
  let stride = ${team}u;
${body}
}
`,
};
