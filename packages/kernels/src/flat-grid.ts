import { foldedGrid, foldedWidth } from "./wgsl.js";
import type { KernelTarget } from "./kernel.js";

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
