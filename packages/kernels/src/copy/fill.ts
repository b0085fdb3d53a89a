import type { DType, Kernel, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneOf, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

/**
 * Writes one value everywhere: y [length].
 * @param options `value` is rounded to `dtype`, default f32
 * @throws ShapeError on a bad size
 */
export function fill({ length, value, dtype = "f32" }: { readonly length: number; readonly value: number; readonly dtype?: DType }, target: KernelTarget): Kernel {
  requireSizes("fill", { length });
  const lane = laneFor(length);
  const plan = flatGrid(length / laneWidth(lane), target, "light");
  const bindings = [{ name: "y", access: "write", dtype, length }] as const;
  const uniforms = [
    { name: "items", type: "u32", value: length / laneWidth(lane) },
    { name: "value", type: dtype, value },
  ] as const;
  const element = laneOf(lane, dtype);
  return {
    name: `fill.${dtype}.${laneName(lane)}`,
    wgsl: declare(bindings, uniforms, { y: element }) + plan.main(`    y[item] = ${element}(params.value);`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 4 * length },
    reference: () => ({ y: new Float64Array(length).fill(dtype === "f32" ? Math.fround(value) : value) }),
  };
}
