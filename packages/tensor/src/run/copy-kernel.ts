import { type DType, declare, foldedGrid, foldedWidth, type Binding, type Kernel, type UniformField } from "@distilldrive/kernels";

const workgroupSize = 64;

/** Copies `length` elements of any dtype from binding "x" to binding "y". */
export function copyKernel(length: number, dtype: DType): Kernel {
  const bindings: Binding[] = [
    { name: "x", access: "read", dtype, length },
    { name: "y", access: "write", dtype, length },
  ];
  const quads = length % 4 === 0;
  const count = quads ? length / 4 : length;
  const uniforms: UniformField[] = [{ name: "count", type: "u32", value: count }];
  const element = quads ? "vec4u" : "u32";
  return {
    name: "copy",
    wgsl: `${declare(bindings, uniforms, { x: element, y: element })}
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (workgroup.x + workgroup.y * ${foldedWidth}u) * ${workgroupSize}u + lane;
  if (i < params.count) {
    y[i] = x[i];
  }
}
`,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(count / workgroupSize)),
    cost: { flops: 0, bytes: 8 * length },
    reference: ({ x }) => ({ y: Float64Array.from(x ?? []) }),
  };
}
