import { finishWgsl } from "./epilogue.js";
import { each } from "./operands.js";
import type { MatmulShape } from "./shape.js";

/** What the stores of a register tile depend on. */
export interface StoreText {
  readonly rows: number;
  readonly columns: 1 | 2 | 4;
  /** Lanes run along the columns of the output (else along its rows). */
  readonly overColumns: boolean;
  /** Width of the vectors the output is bound as. */
  readonly outVector: number;
}

/** Rows stored in one pass of the loop below. */
const batch = 4;

/**
 * Stores `sum0`, `sum1`, ... of a tile. A loop over groups of rows that moves the next sums to the front, because the epilogue
 * unrolled for every row would make most of the shader's text, and compile time counts.
 */
export function storeTile(shape: MatmulShape, { rows: R, columns: C, overColumns, outVector }: StoreText): string {
  const column = (c: number): string => (C === 1 ? "" : `.${"xyzw".charAt(c)}`);
  const at = (r: number, c: number): string => (overColumns ? `out_row + ${r}u * params.lane_count + lane0 + ${c}u` : `out_row + (lane0 + ${c}u) * params.row_count + ${r}u`);
  const bias = (r: number, c: number): string => (overColumns ? `lane0 + ${c}u` : `row0 + done + ${r}u`);
  const wide = (r: number): string => `let at = (${at(r, 0)})${C === 1 ? "" : ` / ${C}u`}; out[at] = ${finishWgsl(shape, `sum${r}`, { bias: C === 1 ? bias(r, 0) : `lane0 / ${C}u`, residual: "at", element: C === 1 ? "at" : `at * ${C}u` })};`;
  const narrow = (r: number): string =>
    each(C, (c) => `if (lane0 + ${c}u < params.lane_count) { let at = ${at(r, c)}; out[at] = ${finishWgsl(shape, `sum${r}${column(c)}`, { bias: bias(r, c), residual: "at", element: "at" })}; }`);
  const one = overColumns && outVector === C ? wide : narrow;
  const moved = R > batch;
  return `
    if (lane0 < params.lane_count) {
      let rows = min(${R}u, params.row_count - row0);
      for (var done = 0u; done < rows; done += ${batch}u) {
        let out_row = ${overColumns ? "(part * params.row_count + row0 + done) * params.lane_count" : "part * params.row_count * params.lane_count + row0 + done"};
${each(Math.min(batch, R), (r) => `if (done + ${r}u < rows) { ${one(r)} }`)}
${moved ? each(R - batch, (r) => `sum${r} = sum${r + batch};`) : ""}
      }
    }`;
}
