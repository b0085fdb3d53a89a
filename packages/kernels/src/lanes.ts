/**
 * One WGSL text for two widths: where sizes are multiples of four a kernel moves `vec4f`, else `f32`.
 * On software adapters every storage access is a gather that costs per instruction, so the wide form is 2-3 times faster.
 */
export type Lane = "f32" | "vec4f";

/** The widest lane that divides all lengths. */
export function laneFor(...lengths: readonly number[]): Lane {
  return lengths.every((length) => length % 4 === 0) ? "vec4f" : "f32";
}

/** Elements in a lane. */
export function laneWidth(lane: Lane): 1 | 4 {
  return lane === "vec4f" ? 4 : 1;
}

/** The same lane for another element type, e.g. `vec4u`. */
export function laneOf(lane: Lane, element: "f32" | "i32" | "u32"): string {
  return lane === "vec4f" ? `vec4${element.charAt(0)}` : element;
}

/** Short suffix of kernel names. */
export function laneName(lane: Lane): "vec4" | "scalar" {
  return lane === "vec4f" ? "vec4" : "scalar";
}

/** The largest finite float32, as WGSL text: the identity of min and (negated) of max, since WGSL may assume there is no infinity. */
export const largestFinite = "3.4028234663852886e38";
