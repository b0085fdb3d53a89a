import type { Kernel, UniformField } from "../kernel.js";
import { declare } from "../wgsl.js";
import { matmulBindings, matmulCost } from "./bindings.js";
import { finishFunctions, finishPrologue, finishUniforms, finishWgsl } from "./epilogue.js";
import { matmulReference } from "./reference.js";
import { layoutName, maxGridDimension, sliceLength, type MatmulShape } from "./shape.js";

/** Steps along k that are staged at once. */
const depth = 16;
/** Each invocation computes `side` x `side` outputs. */
const side = 4;

/** Bytes of workgroup memory for a square tile of `tile` outputs. */
export function workgroupTileBytes(tile: number): number {
  return 2 * depth * (tile + 1) * 4;
}

/**
 * Matrix product for GPUs: a workgroup of (tile / 4)^2 invocations stages tile x 16 of both operands in workgroup memory,
 * reading neighbours in memory with neighbouring invocations, and every invocation keeps 4 x 4 sums.
 * @param tile outputs along each side of a workgroup: 32 or 64
 */
export function workgroupTileMatmul(shape: MatmulShape, tile: 32 | 64): Kernel {
  const { batch, m, n, k, batchA, batchB, transposeA, transposeB, slices } = shape;
  const bindings = matmulBindings(shape);
  const uniforms: UniformField[] = [
    { name: "parts", type: "u32", value: batch * slices },
    { name: "m", type: "u32", value: m },
    { name: "n", type: "u32", value: n },
    { name: "k", type: "u32", value: k },
    { name: "slices", type: "u32", value: slices },
    { name: "slice_length", type: "u32", value: sliceLength(shape) },
    { name: "a_batch", type: "u32", value: batchA ? m * k : 0 },
    { name: "b_batch", type: "u32", value: batchB ? k * n : 0 },
    ...finishUniforms(shape),
  ];
  const threads = tile / side;
  const stride = tile + 1;
  const each = (line: (i: number) => string): string => Array.from({ length: side }, (_, i) => line(i)).join("\n");
  /** Fills `staged`[l][i] from an operand whose other axis has `size` elements starting at `start`. */
  const stage = (staged: string, operand: string, size: string, start: string, contiguousK: boolean): string => `
      for (var e = thread; e < ${tile * depth}u; e += ${threads * threads}u) {
        let l = ${contiguousK ? `e % ${depth}u` : `e / ${tile}u`};
        let i = ${contiguousK ? `e / ${depth}u` : `e % ${tile}u`};
        let at_l = min(k0 + l, params.k - 1u);
        let at_i = min(${start} + i, params.${size} - 1u);
        let value = ${operand}[${operand}_start + ${contiguousK ? `at_i * params.k + at_l` : `at_l * params.${size} + at_i`}];
        ${staged}[l * ${stride}u + i] = select(0.0, value, k0 + l < last && ${start} + i < params.${size});
      }`;
  const wgsl = `${declare(bindings, uniforms)}
var<workgroup> staged_a: array<f32, ${depth * stride}>;
var<workgroup> staged_b: array<f32, ${depth * stride}>;
${finishFunctions(shape, "f32")}
@compute @workgroup_size(${threads}, ${threads})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) thread: u32) {
${finishPrologue(shape)}  let column0 = tile.x * ${tile}u;
  for (var part = tile.z; part < params.parts; part += tiles.z) {
    let image = part / params.slices;
    let first = part % params.slices * params.slice_length;
    let last = min(params.k, first + params.slice_length);
    let a_start = image * params.a_batch;
    let b_start = image * params.b_batch;
    for (var row0 = tile.y * ${tile}u; row0 < params.m; row0 += tiles.y * ${tile}u) {
${each((r) => `var sum${r} = vec4f();`)}
    for (var k0 = first; k0 < last; k0 += ${depth}u) {
${stage("staged_a", "a", "m", "row0", !transposeA)}
${stage("staged_b", "b", "n", "column0", transposeB)}
      workgroupBarrier();
      for (var l = 0u; l < ${depth}u; l += 1u) {
        let at_b = l * ${stride}u + local.x;
        let v = vec4f(staged_b[at_b], staged_b[at_b + ${threads}u], staged_b[at_b + ${2 * threads}u], staged_b[at_b + ${3 * threads}u]);
        let at_a = l * ${stride}u + local.y * ${side}u;
${each((r) => `sum${r} += staged_a[at_a + ${r}u] * v;`)}
      }
      workgroupBarrier();
    }
    let rows = array(${Array.from({ length: side }, (_, r) => `sum${r}`).join(", ")});
    for (var r = 0u; r < ${side}u; r += 1u) {
      let row = row0 + local.y * ${side}u + r;
      let sums = rows[r];
      for (var c = 0u; c < ${side}u; c += 1u) {
        let column = column0 + local.x + c * ${threads}u;
        if (row < params.m && column < params.n) {
          let at = (part * params.m + row) * params.n + column;
          out[at] = ${finishWgsl(shape, "sums[c]", { bias: "column", residual: "at", element: "at" })};
        }
      }
    }
    }
  }
}
`;
  const empty = m === 0 || n === 0 || batch === 0;
  return {
    name: `matmul.${layoutName(shape)}.workgroup${tile}`,
    wgsl,
    bindings,
    uniforms,
    grid: empty ? [0, 0, 0] : [Math.ceil(n / tile), Math.min(maxGridDimension, Math.ceil(m / tile)), Math.min(maxGridDimension, batch * slices)],
    cost: matmulCost(shape),
    reference: (inputs) => matmulReference(shape, inputs),
  };
}
