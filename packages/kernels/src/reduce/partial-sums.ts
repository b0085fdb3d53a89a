import { flatGrid } from "../flat-grid.js";
import type { Arrays, Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { arrayOf, at } from "../reference-arrays.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

/** Partial sums of several results, as the workgroups that share the rows of a matrix leave them. */
export interface PartialSums {
  readonly chunks: number;
  /** Results, each [columns]. */
  readonly sums: number;
  readonly columns: number;
}

/**
 * Adds up partial sums in the order of the chunks: partial [chunks, sums, columns] -> y0, y1, ... [columns] each. One dispatch
 * for all results; the order is fixed, so the bits are the same every time.
 * @throws ShapeError on bad sizes
 */
export function addPartialSums(shape: PartialSums, target: KernelTarget): Kernel {
  const { chunks, sums, columns } = shape;
  requireSizes("addPartialSums", { chunks, sums, columns });
  const lane = laneFor(columns);
  const items = columns / laneWidth(lane);
  const names = Array.from({ length: sums }, (_, sum) => `y${sum}`);
  const bindings: Binding[] = [
    { name: "partial", access: "read", dtype: "f32", length: chunks * sums * columns },
    ...names.map((name): Binding => ({ name, access: "write", dtype: "f32", length: columns })),
  ];
  const uniforms: UniformField[] = [
    { name: "items", type: "u32", value: items },
    { name: "chunks", type: "u32", value: chunks },
  ];
  const plan = flatGrid(items, target, "heavy");
  return {
    name: `addPartialSums.${laneName(lane)}`,
    wgsl:
      declare(bindings, uniforms, { partial: lane, ...Object.fromEntries(names.map((name) => [name, lane])) }) +
      plan.main(`    ${names.map((_, sum) => `var s${sum} = ${lane}();`).join(" ")}
    for (var chunk = 0u; chunk < params.chunks; chunk++) {
      let begin = chunk * ${sums}u * params.items + item;
      ${names.map((_, sum) => `s${sum} += partial[begin + ${sum}u * params.items];`).join("\n      ")}
    }
    ${names.map((name, sum) => `${name}[item] = s${sum};`).join("\n    ")}`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: chunks * sums * columns, bytes: 4 * (chunks + 1) * sums * columns },
    reference: (inputs) => addInOrder(shape, inputs),
  };
}

function addInOrder({ chunks, sums, columns }: PartialSums, inputs: Arrays): Record<string, Float64Array> {
  const partial = arrayOf(inputs, "partial", chunks * sums * columns);
  const results: Record<string, Float64Array> = {};
  for (let sum = 0; sum < sums; sum++) {
    const total = new Float64Array(columns);
    for (let chunk = 0; chunk < chunks; chunk++) {
      for (let column = 0; column < columns; column++) total[column] = (total[column] ?? 0) + at(partial, (chunk * sums + sum) * columns + column);
    }
    results[`y${sum}`] = total;
  }
  return results;
}
