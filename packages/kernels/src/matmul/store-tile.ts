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

/**
 * Stores `sum0`, `sum1`, ... of a tile. A loop over groups of rows that moves the next sums to the front, because the epilogue
 * unrolled for every row would make most of the shader's text, and compile time counts.
 */
export function storeTile(shape: MatmulShape, { rows: R, columns: C, overColumns, outVector }: StoreText): string {
  const costly = shape.activation === "gelu" || shape.dropout !== null;
  const pass = Math.min(R, costly ? 1 : 4);
  const wide = (r: number): string => {
    const place = { bias: C === 1 ? "lane0" : `lane0 / ${C}u`, residual: "at", element: C === 1 ? "at" : `at * ${C}u` };
    return `let at = (out_start + ${r}u * params.lane_count + lane0)${C === 1 ? "" : ` / ${C}u`};
out[at] = ${finishWgsl(shape, `sum${r}`, place)};`;
  };
  const narrow = (r: number): string => {
    const at = overColumns ? `out_start + ${r}u * params.lane_count + lane0 + c` : `out_start + (lane0 + c) * params.row_count + ${r}u`;
    const place = { bias: overColumns ? "lane0 + c" : `row0 + done + ${r}u`, residual: "at", element: "at" };
    return `let sums = sum${r};
for (var c = 0u; c < columns; c += 1u) {
  let at = ${at};
  out[at] = ${finishWgsl(shape, C === 1 ? "sums" : "sums[c]", place)};
}`;
  };
  const one = overColumns && outVector === C ? wide : narrow;
  return `
    if (lane0 < params.lane_count) {
      let rows = min(${R}u, params.row_count - row0);
${one === narrow ? `let columns = min(${C}u, params.lane_count - lane0);` : ""}
      for (var done = 0u; done < rows; done += ${pass}u) {
        let out_start = ${overColumns ? "(part * params.row_count + row0 + done) * params.lane_count" : "part * params.row_count * params.lane_count + row0 + done"};
${each(pass, (r) => `if (done + ${r}u < rows) {\n${one(r)}\n}`)}
${each(R - pass, (r) => `sum${r} = sum${r + pass};`)}
      }
    }`;
}
