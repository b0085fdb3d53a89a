import type { Binding, Kernel, UniformField } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { activate, activationWgsl } from "./activation.js";
import type { Activation } from "./shape.js";

/** Sizes and epilogue of {@link sumSlices}. */
export interface SumSlicesOptions {
  readonly slices: number;
  /** Elements of one slice. */
  readonly length: number;
  /** Length of the last axis, along which the bias runs. */
  readonly columns: number;
  readonly bias: boolean;
  readonly activation: Activation;
  readonly residual: boolean;
}

const workgroup = 64;

/** Adds `parts` [slices, length] in the order of the slices: out[i] = activation(sum + bias[i % columns]) + residual[i]. */
export function sumSlices(options: SumSlicesOptions): Kernel {
  const { slices, length, columns, bias, activation, residual } = options;
  const bindings: Binding[] = [{ name: "parts", access: "read", dtype: "f32", length: slices * length }];
  if (bias) bindings.push({ name: "bias", access: "read", dtype: "f32", length: columns });
  if (residual) bindings.push({ name: "residual", access: "read", dtype: "f32", length });
  bindings.push({ name: "out", access: "write", dtype: "f32", length });
  const uniforms: UniformField[] = [
    { name: "slices", type: "u32", value: slices },
    { name: "length", type: "u32", value: length },
    { name: "columns", type: "u32", value: columns },
  ];
  const wgsl = `${declare(bindings, uniforms)}
${activationWgsl(activation, "f32")}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.x + group.y * ${foldedWidth}u) * ${workgroup}u + lane;
  if (i >= params.length) { return; }
  var sum = 0.0;
  for (var s = 0u; s < params.slices; s += 1u) { sum += parts[s * params.length + i]; }
  out[i] = activate(sum${bias ? " + bias[i % params.columns]" : ""})${residual ? " + residual[i]" : ""};
}
`;
  return {
    name: "matmul.sumSlices",
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(length / workgroup)),
    cost: { flops: slices * length, bytes: 4 * (slices + 1) * length },
    reference({ parts = new Float64Array(), bias: b, residual: r }) {
      const out = new Float64Array(length);
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let s = 0; s < slices; s++) sum += parts[s * length + i] ?? 0;
        out[i] = activate(activation, sum + (b?.[i % columns] ?? 0)) + (r?.[i] ?? 0);
      }
      return { out };
    },
  };
}
