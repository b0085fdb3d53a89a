import { flatGrid } from "../flat-grid.js";
import type { Kernel, KernelTarget } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { sineCosineOfTurns } from "../sine-embedding/sine-embedding.js";
import { declare } from "../wgsl.js";
import { posesGradientReference, rotatePointsReference } from "./reference.js";
import type { RotateShape } from "./reference.js";

/** `turn_of(yaw)`: sine and cosine, accurate for any yaw (WGSL's own may be off by 2^-11). */
const turnWgsl = `${sineCosineOfTurns}
fn turn_of(yaw: f32) -> vec2f { return sine_cosine(vec2f(yaw * ${1 / (2 * Math.PI)})).xy; }
`;

/**
 * Moves points of the plane: points [rows, count, 2], poses [rows, 3] = (x, y, yaw in radians, counter-clockwise) -> y [rows, count, 2],
 * each point turned by the yaw of its row and shifted by its x and y.
 * @throws ShapeError on bad sizes
 */
export function rotatePoints(shape: RotateShape, target: KernelTarget): Kernel {
  return turn("rotatePoints", { input: "points", output: "y", direction: 1, shift: 1 }, shape, target);
}

/** Gradient of {@link rotatePoints} to the points: poses, dy [rows, count, 2] -> dpoints [rows, count, 2]. */
export function rotatePointsBackward(shape: RotateShape, target: KernelTarget): Kernel {
  return turn("rotatePointsBackward", { input: "dy", output: "dpoints", direction: -1, shift: 0 }, shape, target);
}

function turn(name: string, { input, output, direction, shift }: { readonly input: string; readonly output: string; readonly direction: number; readonly shift: number }, { rows, count }: RotateShape, target: KernelTarget): Kernel {
  requireSizes(name, { rows, count });
  const items = rows * count;
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: input, access: "read", dtype: "f32", length: items * 2 },
    { name: "poses", access: "read", dtype: "f32", length: rows * 3 },
    { name: output, access: "write", dtype: "f32", length: items * 2 },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "count", type: "u32", value: count },
    { name: "direction", type: "f32", value: direction },
    { name: "shift", type: "f32", value: shift },
  ] as const;
  return {
    name,
    wgsl:
      declare(bindings, uniforms, { [input]: "vec2f", [output]: "vec2f" }) +
      turnWgsl +
      plan.main(`    let pose = item / params.count * 3u;
    let turn = turn_of(params.direction * poses[pose + 2u]);
    let p = ${input}[item];
    ${output}[item] = vec2f(p.x * turn.y - p.y * turn.x, p.x * turn.x + p.y * turn.y) + params.shift * vec2f(poses[pose], poses[pose + 1u]);`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 30 * items, bytes: 16 * items + 12 * rows },
    reference: (inputs) => rotatePointsReference({ rows, count }, { input, output, direction, shift }, inputs),
  };
}

/** Gradient of {@link rotatePoints} to the poses: points, poses, dy [rows, count, 2] -> dposes [rows, 3], summed in order. */
export function rotatePointsPosesBackward(shape: RotateShape, target: KernelTarget): Kernel {
  const { rows, count } = shape;
  requireSizes("rotatePointsPosesBackward", { rows, count });
  const plan = flatGrid(rows, target, "heavy");
  const bindings = [
    { name: "points", access: "read", dtype: "f32", length: rows * count * 2 },
    { name: "poses", access: "read", dtype: "f32", length: rows * 3 },
    { name: "dy", access: "read", dtype: "f32", length: rows * count * 2 },
    { name: "dposes", access: "write", dtype: "f32", length: rows * 3 },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: rows },
    { name: "count", type: "u32", value: count },
  ] as const;
  return {
    name: "rotatePointsPosesBackward",
    wgsl:
      declare(bindings, uniforms, { points: "vec2f", dy: "vec2f" }) +
      turnWgsl +
      plan.main(`    let turn = turn_of(poses[item * 3u + 2u]);
    var shift = vec2f();
    var yaw = 0.0;
    for (var k = item * params.count; k < (item + 1u) * params.count; k++) {
      let p = points[k];
      let g = dy[k];
      shift += g;
      yaw += g.y * (p.x * turn.y - p.y * turn.x) - g.x * (p.x * turn.x + p.y * turn.y);
    }
    dposes[item * 3u] = shift.x;
    dposes[item * 3u + 1u] = shift.y;
    dposes[item * 3u + 2u] = yaw;`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 12 * rows * count, bytes: 16 * rows * count + 24 * rows },
    reference: (inputs) => posesGradientReference(shape, inputs),
  };
}
