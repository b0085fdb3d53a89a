import { foldedGrid, foldedWidth } from "./wgsl.js";
import { laneFor, laneName, laneWidth } from "./lanes.js";
import type { Lane } from "./lanes.js";
import type { KernelTarget } from "./kernel.js";

/** Invocations that share a row in the cooperative form. */
const team = 128;

/** How rows that are reduced are spread over invocations; the same body serves both forms. */
export interface RowGrid {
  /** Part of the kernel's name. */
  readonly variant: string;
  readonly lane: Lane;
  /** Lanes in a row. */
  readonly width: number;
  readonly grid: readonly [number, number, number];
  /**
   * Functions and entry point. `body` sees `row: u32` (below `params.rows`), the loop bounds `begin`, `end` and `stride` of the
   * invocation's lanes within the row, `leader: bool` (one per row), and `row_sum(v)`, `row_max(v)` over all lanes of the row.
   */
  main(body: string): string;
}

/**
 * One invocation per row ("row"), or a workgroup per row ("team").
 * On software adapters barriers cost more than they save, and a lane per row keeps parameters that all rows share uniform;
 * on GPUs a team reads a row coalesced, worth its barriers from about two rows of a subgroup on.
 * @param width elements in a row
 */
export function rowGrid(rows: number, width: number, target: KernelTarget): RowGrid {
  if (target.class === "gpu" && width > 64) return teamGrid(rows, width);
  const lane = laneFor(width);
  return {
    variant: `row.${laneName(lane)}`,
    lane,
    width: width / laneWidth(lane),
    grid: foldedGrid(Math.ceil(rows / 64)),
    main: (body) => `${lane === "vec4f" ? horizontalWgsl : scalarWgsl}
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

function teamGrid(rows: number, width: number): RowGrid {
  return {
    variant: "team",
    lane: "f32",
    width,
    grid: foldedGrid(rows),
    main: (body) => `
var<private> member: u32;
var<workgroup> shares: array<f32, ${team}>;
${teamReduction("row_sum", "shares[member] + shares[member + half]")}
${teamReduction("row_max", "max(shares[member], shares[member + half])")}
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
}

const horizontalWgsl = `
fn row_sum(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn row_max(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }`;

const scalarWgsl = `
fn row_sum(v: f32) -> f32 { return v; }
fn row_max(v: f32) -> f32 { return v; }`;

/** A tree over the team's shares; every member gets the result. */
function teamReduction(name: string, combined: string): string {
  return `fn ${name}(share: f32) -> f32 {
  shares[member] = share;
  workgroupBarrier();
  for (var half = ${team / 2}u; half > 0u; half /= 2u) {
    if (member < half) { shares[member] = ${combined}; }
    workgroupBarrier();
  }
  let result = shares[0];
  workgroupBarrier();
  return result;
}`;
}
