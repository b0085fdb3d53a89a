import type { Binding, Kernel, UniformField } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { type Finish, finishBindings, finishFunctions, finishPrologue, finishReference, finishUniforms, finishWgsl, noFinish } from "./epilogue.js";

/** Sizes and epilogue of {@link sumSlices}. */
export interface SumSlicesOptions extends Partial<Finish> {
  readonly slices: number;
  /** Elements of one slice. */
  readonly length: number;
  /** Length of the last axis, along which the bias runs. */
  readonly columns: number;
}

const workgroup = 64;

/** Adds `parts` [slices, length] in the order of the slices: out[i] = dropout(activation(scale * sum + bias[i % columns])) + residual[i]. */
export function sumSlices(options: SumSlicesOptions): Kernel {
  const { slices, length, columns, ...epilogue } = options;
  const finish: Finish = { ...noFinish, ...epilogue };
  const bindings: Binding[] = [{ name: "parts", access: "read", dtype: "f32", length: slices * length }];
  bindings.push(...finishBindings(finish, columns, length), { name: "out", access: "write", dtype: "f32", length });
  const uniforms: UniformField[] = [
    { name: "slices", type: "u32", value: slices },
    { name: "length", type: "u32", value: length },
    { name: "columns", type: "u32", value: columns },
    ...finishUniforms(finish),
  ];
  const wgsl = `${declare(bindings, uniforms)}
${finishFunctions(finish, "f32")}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.x + group.y * ${foldedWidth}u) * ${workgroup}u + lane;
  if (i >= params.length) { return; }
${finishPrologue(finish)}  var sum = 0.0;
  for (var s = 0u; s < params.slices; s += 1u) { sum += parts[s * params.length + i]; }
  out[i] = ${finishWgsl(finish, "sum", { bias: "i % params.columns", residual: "i", element: "i" })};
}
`;
  return {
    name: "matmul.sumSlices",
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(length / workgroup)),
    cost: { flops: slices * length, bytes: 4 * (slices + 1) * length },
    reference(inputs) {
      const { parts = new Float64Array() } = inputs;
      const finished = finishReference(finish, inputs);
      const out = new Float64Array(length);
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let s = 0; s < slices; s++) sum += parts[s * length + i] ?? 0;
        out[i] = finished(sum, i % columns, i);
      }
      return { out };
    },
  };
}
