import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { flatGrid, matrixGrid } from "../flat-grid.js";
import { laneFor, laneName, laneOf, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { maxPoolBackwardReference, maxPoolReference } from "./reference.js";
import type { MaxPoolShape } from "./reference.js";

/**
 * Maximum over points, as in PointNet: x [outer, n, inner], mask [outer, n] (optional; non-zero where a point is padding)
 * -> y [outer, inner], index i32 [outer, inner], the first among equals. Where every point is masked, y is 0 and index -1.
 * @throws ShapeError on bad sizes
 */
export function maxPool(shape: MaxPoolShape, target: KernelTarget): Kernel {
  const { outer, n, inner, mask = false } = shape;
  requireSizes("maxPool", { outer, n, inner });
  const lane = laneFor(inner);
  const columns = inner / laneWidth(lane);
  const items = outer * columns;
  const plan = flatGrid(items, target, "heavy");
  const bindings: Binding[] = [{ name: "x", access: "read", dtype: "f32", length: outer * n * inner }];
  if (mask) bindings.push({ name: "mask", access: "read", dtype: "f32", length: outer * n });
  bindings.push({ name: "y", access: "write", dtype: "f32", length: outer * inner }, { name: "index", access: "write", dtype: "i32", length: outer * inner });
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "n", type: "u32", value: n },
    { name: "columns", type: "u32", value: columns },
  ] as const;
  const place = laneOf(lane, "i32");
  const wgsl =
    declare(bindings, uniforms, { x: lane, y: lane, index: place }) +
    plan.main(`
    let first_point = item / params.columns * params.n;
    var best = ${lane}();
    var chosen = ${place}(-1);
    for (var k = 0u; k < params.n; k++) {
      ${mask ? "if (mask[first_point + k] != 0.0) { continue; }" : ""}
      let value = x[(first_point + k) * params.columns + item % params.columns];
      let better = (value > best) | (chosen < ${place}());
      best = select(best, value, better);
      chosen = select(chosen, ${place}(i32(k)), better);
    }
    y[item] = best;
    index[item] = chosen;`);
  return {
    name: `maxPool${mask ? ".mask" : ""}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: outer * n * inner, bytes: 4 * outer * (n + 2) * inner },
    reference: (inputs) => maxPoolReference(shape, inputs),
  };
}

/**
 * Gradient of {@link maxPool}, and of `reduce` of kind max or min: index i32 [outer, inner], dy [outer, inner]
 * -> dx [outer, n, inner], dy at the index, 0 elsewhere.
 * @throws ShapeError on bad sizes
 */
export function maxPoolBackward({ outer, n, inner }: MaxPoolShape, target: KernelTarget): Kernel {
  requireSizes("maxPoolBackward", { outer, n, inner });
  const lane = laneFor(inner);
  const columns = inner / laneWidth(lane);
  const plan = matrixGrid(outer * n, columns, target);
  const bindings = [
    { name: "index", access: "read", dtype: "i32", length: outer * inner },
    { name: "dy", access: "read", dtype: "f32", length: outer * inner },
    { name: "dx", access: "write", dtype: "f32", length: outer * n * inner },
  ] as const;
  const uniforms = [...plan.uniforms, { name: "n", type: "u32", value: n }] as const;
  const wide = laneOf(lane, "i32");
  const wgsl =
    declare(bindings, uniforms, { index: wide, dy: lane, dx: lane }) +
    plan.main(
      `    let pool = row / params.n;
    let point = ${wide}(i32(row - pool * params.n));`,
      `    let source = pool * params.columns + column;
    dx[place] = select(${lane}(), dy[source], index[source] == point);`,
    );
  return {
    name: `maxPoolBackward.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 4 * outer * (n + 2) * inner },
    reference: (inputs) => maxPoolBackwardReference({ outer, n, inner }, inputs),
  };
}
