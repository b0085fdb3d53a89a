import { DeviceLimitError } from "../errors.js";
import type { KernelSequence, KernelTarget } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { orthonormaliseReference } from "./reference.js";

/** A batch of square matrices. */
export interface OrthonormaliseShape {
  readonly count: number;
  readonly size: number;
}

/** Matrices up to this size fit the workgroup memory every device has. */
export const largestOrthonormalised = 2048;

/**
 * Q of the QR decomposition of each matrix, with R's diagonal >= 0: x [count, size, size] -> y [count, size, size].
 * Householder reflections keep y orthogonal to float32 rounding however ill-conditioned or rank-deficient x is (Golub and
 * Van Loan, "Matrix computations", section 5.2); where x is regular, column k of y is the part of x's column k that is
 * orthogonal to the columns before it. One workgroup a matrix; the entries of x should be neither tiny nor huge (their squares must not vanish).
 * @throws DeviceLimitError for a size above {@link largestOrthonormalised}; ShapeError on bad sizes
 */
export function orthonormalise({ count, size }: OrthonormaliseShape, target: KernelTarget): KernelSequence {
  requireSizes("orthonormalise", { count, size });
  if (size > largestOrthonormalised) {
    throw new DeviceLimitError(`orthonormalise: the matrices are too large for workgroup memory, expected at most ${largestOrthonormalised} rows, got ${size}. Lower maxPreconditionDim.`);
  }
  const length = count * size * size;
  const team = target.class === "software" ? 64 : 256;
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length },
    // Row-major [size, 2 size] a matrix: x becoming R, and the identity becoming Q transposed.
    { name: "work", access: "write", dtype: "f32", length: 2 * length },
    { name: "y", access: "write", dtype: "f32", length },
  ] as const;
  const uniforms = [
    { name: "count", type: "u32", value: count },
    { name: "size", type: "u32", value: size },
  ] as const;
  const wgsl = `${declare(bindings, uniforms)}
const team = ${team}u;
var<workgroup> reflector: array<f32, ${largestOrthonormalised}>;

@compute @workgroup_size(${team})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let matrix = workgroup.x + workgroup.y * ${foldedWidth}u;
  if (matrix >= params.count) { return; }
  let n = params.size;
  let wide = 2u * n;
  let source = matrix * n * n;
  let base = 2u * source;
  // Every invocation owns the same columns throughout.
  for (var row = 0u; row < n; row++) {
    for (var column = local; column < n; column += team) {
      work[base + row * wide + column] = x[source + row * n + column];
      work[base + row * wide + n + column] = select(0.0, 1.0, row == column);
    }
  }
  for (var k = 0u; k < n; k++) {
    storageBarrier();
    workgroupBarrier();
    for (var row = k + local; row < n; row += team) { reflector[row] = work[base + row * wide + k]; }
    workgroupBarrier();
    let head = reflector[k];
    var rest = 0.0;
    for (var row = k + 1u; row < n; row++) { rest += reflector[row] * reflector[row]; }
    let length = sqrt(head * head + rest);
    // The reflection takes the column to -sign(head) length; where it is zero already there is nothing to do.
    let tip = head + select(length, -length, head < 0.0);
    let squares = tip * tip + rest;
    let factor = select(0.0, 2.0 / max(squares, 1e-37), squares > 1e-37);
    for (var part = 0u; part < 2u; part++) {
      for (var column = local; column < n; column += team) {
        if (part == 0u && column < k) { continue; }
        let at = base + part * n + column;
        var dot = tip * work[at + k * wide];
        for (var row = k + 1u; row < n; row++) { dot += reflector[row] * work[at + row * wide]; }
        dot *= factor;
        work[at + k * wide] -= dot * tip;
        for (var row = k + 1u; row < n; row++) { work[at + row * wide] -= dot * reflector[row]; }
      }
    }
  }
  storageBarrier();
  workgroupBarrier();
  for (var k = local; k < n; k += team) { reflector[k] = select(1.0, -1.0, work[base + k * wide + k] < 0.0); }
  workgroupBarrier();
  for (var row = 0u; row < n; row++) {
    for (var column = local; column < n; column += team) {
      y[source + row * n + column] = work[base + column * wide + n + row] * reflector[column];
    }
  }
}
`;
  return {
    name: "orthonormalise",
    kernels: [
      {
        kernel: {
          name: "orthonormalise",
          wgsl,
          bindings,
          uniforms,
          grid: size === 0 ? [0, 0, 0] : foldedGrid(count),
          cost: { flops: (10 * count * size ** 3) / 3, bytes: 8 * length },
          reference: (inputs) => orthonormaliseReference({ count, size }, inputs),
        },
        bind: { x: "x", work: "work", y: "y" },
      },
    ],
    temporaries: [{ name: "work", dtype: "f32", length: 2 * length }],
  };
}
