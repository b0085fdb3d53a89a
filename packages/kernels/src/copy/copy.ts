import type { DType, Kernel, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneOf, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

/**
 * The same values in another array, bit for bit: x [length] -> y [length].
 * @param options `dtype` of both, default f32
 * @throws ShapeError on a bad size
 */
export function copy({ length, dtype = "f32" }: { readonly length: number; readonly dtype?: DType }, target: KernelTarget): Kernel {
  requireSizes("copy", { length });
  const lane = laneFor(length);
  const items = length / laneWidth(lane);
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: "x", access: "read", dtype, length },
    { name: "y", access: "write", dtype, length },
  ] as const;
  const uniforms = [{ name: "items", type: "u32", value: items }] as const;
  const bits = laneOf(lane, "u32");
  return {
    name: `copy.${laneName(lane)}`,
    wgsl: declare(bindings, uniforms, { x: bits, y: bits }) + plan.main("    y[item] = x[item];"),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * length },
    reference: ({ x }) => ({ y: Float64Array.from(x ?? []) }),
  };
}
