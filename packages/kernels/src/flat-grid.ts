import { foldedGrid, foldedWidth } from "./wgsl.js";
import type { KernelTarget, UniformField } from "./kernel.js";

/** How independent items are spread over invocations. */
export interface FlatGrid {
  readonly grid: readonly [number, number, number];
  /**
   * The entry point. `body` sees `item: u32`, below the uniform field `params.items`; `prologue` runs once per invocation.
   */
  main(body: string, prologue?: string): string;
}

/**
 * A grid over `items` independent pieces of work, in any number.
 * @param weight "light": a few instructions per item, as in a copy; invocations of a software adapter then take several items
 *   each, since starting a workgroup costs there. "heavy": a loop per item, spread as widely as possible.
 */
export function flatGrid(items: number, target: KernelTarget, weight: "light" | "heavy"): FlatGrid {
  const size = weight === "light" ? 256 : 64;
  const block = weight === "light" && target.class === "software" ? 4 * size : size;
  return {
    grid: foldedGrid(Math.ceil(items / block)),
    main: (body, prologue = "") => `
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = (workgroup.x + workgroup.y * ${foldedWidth}u) * ${block}u;
  let end = min(params.items, first + ${block}u);
${prologue}
  for (var item = first + local; item < end; item += ${size}u) {
${body}
  }
}
`,
  };
}

/** How the elements of a row-major matrix are spread over invocations. */
export interface MatrixGrid {
  /** Part of the kernel's name: "flat", "run" or "line". */
  readonly variant: string;
  readonly grid: readonly [number, number, number];
  /** Uniform fields every such kernel has: `items`, counted by the grid, and `columns`. */
  readonly uniforms: readonly UniformField[];
  /**
   * The entry point. `perRow` sees `row: u32` and may declare what all columns of the row share; `body` sees `row`, `column` and
   * `place = row * params.columns + column`.
   */
  main(perRow: string, body: string): string;
}

/**
 * A grid over a matrix [rows, columns] whose elements are independent but share what is found out about their row.
 * "flat": an invocation per element, so that neighbours touch neighbours. "run": an invocation per row, which walks along it:
 * on software adapters integer divisions and table look-ups cost more than the copy itself, and there they are paid once per row.
 * "line": the only row, without divisions.
 */
export function matrixGrid(rows: number, columns: number, target: KernelTarget): MatrixGrid {
  const variant = rows === 1 ? "line" : target.class === "software" && columns >= 2 && rows >= 256 ? "run" : "flat";
  const items = columns === 0 ? 0 : variant === "run" ? rows : rows * columns;
  const plan = flatGrid(items, target, variant === "run" ? "heavy" : "light");
  const texts: Readonly<Record<typeof variant, (perRow: string, body: string) => string>> = {
    line: (perRow, body) => `    let row = 0u;
    let column = item;
    let place = item;
${perRow}
${body}`,
    flat: (perRow, body) => `    let row = item / params.columns;
    let column = item - row * params.columns;
    let place = item;
${perRow}
${body}`,
    run: (perRow, body) => `    let row = item;
${perRow}
    for (var column = 0u; column < params.columns; column++) {
    let place = row * params.columns + column;
${body}
    }`,
  };
  return {
    variant,
    grid: plan.grid,
    uniforms: [
      { name: "items", type: "u32", value: items },
      { name: "columns", type: "u32", value: columns },
    ],
    main: (perRow, body) => plan.main(texts[variant](perRow, body)),
  };
}
