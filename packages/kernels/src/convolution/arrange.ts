import type { Binding, Kernel, UniformField } from "../kernel.js";
import { maxGridDimension } from "../matmul/shape.js";
import { declare } from "../wgsl.js";
import { each, type Columns, vectorType } from "./tile.js";

/** A tensor read in another order: y [d0, d1, d2, d3, width padded to whole vectors] from x at `strides`; the padding is zero. */
export interface Arrangement {
  readonly sizes: readonly [number, number, number, number];
  readonly width: number;
  /** Distance in x between neighbours along the four axes and along the width. */
  readonly strides: readonly [number, number, number, number, number];
  /** Elements of x. */
  readonly length: number;
  readonly columns: Columns;
}

/** Elements along the last axis of an arranged tensor. */
export function arrangedWidth({ width, columns }: Pick<Arrangement, "width" | "columns">): number {
  return Math.ceil(width / columns) * columns;
}

/** Strides of an arranged tensor's first four axes, in elements. */
export function arrangedStrides(arrangement: Arrangement): readonly [number, number, number, number] {
  const [, d1, d2, d3] = arrangement.sizes;
  const last = arrangedWidth(arrangement);
  return [d1 * d2 * d3 * last, d2 * d3 * last, d3 * last, last];
}

const lanes = 8;

/** Brings the axis that register tiles spread over lanes to the end, in whole vectors. Bindings: x, y. */
export function arrange(arrangement: Arrangement): Kernel {
  const { sizes, width, strides, length, columns } = arrangement;
  const vectors = Math.ceil(width / columns);
  const rows = sizes[0] * sizes[1] * sizes[2];
  const bindings: readonly Binding[] = [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "y", access: "write", dtype: "f32", length: rows * sizes[3] * vectors * columns },
  ];
  const u32 = (name: string, value: number): UniformField => ({ name, type: "u32", value });
  const uniforms = [
    u32("rows", rows), u32("d1", sizes[1]), u32("d2", sizes[2]), u32("d3", sizes[3]), u32("width", width), u32("vectors", vectors),
    u32("s0", strides[0]), u32("s1", strides[1]), u32("s2", strides[2]), u32("s3", strides[3]), u32("step", strides[4]),
  ];
  const element = (column: number): string => `select(0.0, x[at + ${column === 0 ? "0u" : `min(${column}u, last) * params.step`}], ${column}u <= last)`;
  const wgsl = `${declare(bindings, uniforms, { y: vectorType(columns) })}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(local_invocation_index) lane: u32) {
  let vector = tile.x * ${lanes}u + lane;
  if (vector >= params.vectors) { return; }
  let last = params.width - 1u - vector * ${columns}u;
  for (var row = tile.y; row < params.rows; row += tiles.y) {
    let i2 = row % params.d2;
    let i1 = row / params.d2 % params.d1;
    let i0 = row / params.d2 / params.d1;
    let start = i0 * params.s0 + i1 * params.s1 + i2 * params.s2 + vector * ${columns}u * params.step;
    for (var i3 = 0u; i3 < params.d3; i3 += 1u) {
      let at = start + i3 * params.s3;
      y[(row * params.d3 + i3) * params.vectors + vector] = ${columns === 1 ? element(0) : `${vectorType(columns)}(${each(columns, element, ", ")})`};
    }
  }
}
`;
  return {
    name: `convolution.arrange${columns}`,
    wgsl,
    bindings,
    uniforms,
    grid: rows * sizes[3] * vectors === 0 ? [0, 0, 0] : [Math.ceil(vectors / lanes), Math.min(rows, maxGridDimension), 1],
    cost: { flops: 0, bytes: 4 * bindings.reduce((sum, binding) => sum + binding.length, 0) },
    reference: ({ x = new Float64Array() }) => ({ y: arrangeReference(arrangement, x) }),
  };
}

function arrangeReference({ sizes, width, strides, columns }: Arrangement, x: Float64Array): Float64Array {
  const last = arrangedWidth({ width, columns });
  const y = new Float64Array(sizes[0] * sizes[1] * sizes[2] * sizes[3] * last);
  let at = 0;
  for (let a = 0; a < sizes[0]; a++) for (let b = 0; b < sizes[1]; b++) for (let c = 0; c < sizes[2]; c++) for (let d = 0; d < sizes[3]; d++) {
    for (let i = 0; i < width; i++) y[at + i] = x[a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3] + i * strides[4]] ?? 0;
    at += last;
  }
  return y;
}
