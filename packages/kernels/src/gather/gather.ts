import type { Kernel, KernelTarget } from "../kernel.js";
import { matrixGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { gatherReference } from "./reference.js";
import type { GatherShape } from "./reference.js";

/**
 * Takes rows by number: src [batch, rows, width], index i32 [batch, indices] -> y [batch, indices, width].
 * An index outside 0 .. rows - 1 (such as -1, "none") gives zeros. An embedding lookup is batch 1.
 * @throws ShapeError on bad sizes
 */
export function gatherRows(shape: GatherShape, target: KernelTarget): Kernel {
  const { batch, rows, indices, width } = shape;
  requireSizes("gatherRows", { batch, rows, indices, width });
  const lane = laneFor(width);
  const columns = width / laneWidth(lane);
  const plan = matrixGrid(batch * indices, columns, target);
  const bindings = [
    { name: "src", access: "read", dtype: "f32", length: batch * rows * width },
    { name: "index", access: "read", dtype: "i32", length: batch * indices },
    { name: "y", access: "write", dtype: "f32", length: batch * indices * width },
  ] as const;
  const uniforms = [...plan.uniforms, { name: "rows", type: "u32", value: rows }, { name: "indices", type: "u32", value: indices }] as const;
  const wgsl =
    declare(bindings, uniforms, { src: lane, y: lane }) +
    plan.main(
      `    let taken = u32(index[row]);
    let origin = (row / params.indices * params.rows + taken) * params.columns;`,
      `    var value = ${lane}();
    if (taken < params.rows) { value = src[origin + column]; }
    y[place] = value;`,
    );
  return {
    name: `gatherRows.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * batch * indices * width + 4 * batch * indices },
    reference: (inputs) => gatherReference(shape, inputs),
  };
}

