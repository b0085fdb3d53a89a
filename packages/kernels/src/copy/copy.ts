import type { DType, Kernel, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

/**
 * The same values in another array, bit for bit: x [length] -> y [length].
 * @param options `dtype` of both, default f32
 * @throws ShapeError on a bad size
 */
export function copy({ length, dtype = "f32" }: { readonly length: number; readonly dtype?: DType }, target: KernelTarget): Kernel {
  requireSizes("copy", { length });
  // Four elements at a time; up to three behind the last whole four are stored singly, for nothing behind the end may change.
  const whole = Math.floor(length / 4);
  const ragged = length % 4 !== 0;
  const items = Math.ceil(length / 4);
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: "x", access: "read", dtype, length },
    { name: "y", access: "write", dtype, length },
  ] as const;
  const uniforms = [{ name: "items", type: "u32", value: items }, ...(ragged ? ([{ name: "whole", type: "u32", value: whole }, { name: "left", type: "u32", value: length % 4 }] as const) : [])] as const;
  const singles = ["x", "y", "z"].map((part, i) => `if (params.left > ${i}u) { y[item].${part} = x[item].${part}; }`);
  const body = ragged ? `    if (item < params.whole) { y[item] = x[item]; } else {\n      ${singles.join("\n      ")}\n    }` : "    y[item] = x[item];";
  return {
    name: `copy.${ragged ? "ragged" : "vec4"}`,
    wgsl: declare(bindings, uniforms, { x: "vec4u", y: "vec4u" }) + plan.main(body),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * length },
    reference: ({ x }) => ({ y: Float64Array.from(x ?? []) }),
  };
}
