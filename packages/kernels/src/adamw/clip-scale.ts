import { ShapeError } from "../errors.js";
import type { Kernel } from "../kernel.js";
import { declare } from "../wgsl.js";
import { clipScaleReference } from "./reference.js";

/**
 * Factor that clips gradients to a norm: sumSquares [1], nonFinite u32 [1] -> scale [1], norm [1] with
 * scale = min(1, maxNorm / (norm + 1e-6)) as in PyTorch. Where a gradient was not finite, or the sum overflowed, both are -1:
 * {@link adamw} then skips the step, and a log can tell.
 * @param maxNorm largest L2 norm let through; 0 clips nothing
 * @throws ShapeError when maxNorm is negative or not finite
 */
export function clipScale({ maxNorm }: { readonly maxNorm: number }): Kernel {
  if (!(maxNorm >= 0 && maxNorm < Infinity)) throw new ShapeError(`clipScale: bad maxNorm, expected a finite number >= 0, got ${maxNorm}. Use 0 to clip nothing.`);
  const bindings = [
    { name: "sumSquares", access: "read", dtype: "f32", length: 1 },
    { name: "nonFinite", access: "read", dtype: "u32", length: 1 },
    { name: "scale", access: "write", dtype: "f32", length: 1 },
    { name: "norm", access: "write", dtype: "f32", length: 1 },
  ] as const;
  const uniforms = [{ name: "maxNorm", type: "f32", value: maxNorm }] as const;
  const wgsl = `${declare(bindings, uniforms, { sumSquares: "u32" })}
@compute @workgroup_size(1)
fn main() {
  // The exponent is all ones in NaN and infinities; they are told by their bits before they are used as numbers.
  if (nonFinite[0] > 0u || (sumSquares[0] & 0x7f800000u) == 0x7f800000u) {
    scale[0] = -1.0;
    norm[0] = -1.0;
    return;
  }
  let length = sqrt(bitcast<f32>(sumSquares[0]));
  norm[0] = length;
  scale[0] = select(1.0, min(1.0, params.maxNorm / (length + 1e-6)), params.maxNorm > 0.0);
}
`;
  return {
    name: "clipScale",
    wgsl,
    bindings,
    uniforms,
    grid: [1, 1, 1],
    cost: { flops: 4, bytes: 16 },
    reference: (inputs) => clipScaleReference(maxNorm, inputs),
  };
}
