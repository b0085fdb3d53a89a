import type { Binding, Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { flatGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { chunksOf } from "../reduce/reference.js";
import { chunkFor } from "../reduce/reduce.js";
import { reduceStage } from "../reduce/stage.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { scanReference } from "./reference.js";
import type { ScanShape } from "./reference.js";

/** A running sum over the middle axis of a view [outer, n, inner]. */
export interface CumsumShape {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
  /** From the end towards the beginning. Default false. */
  readonly reverse?: boolean;
}

/**
 * Running sum along the middle axis: x [outer, n, inner] -> y [outer, n, inner], y[o, k, i] = sum of x[o, j, i] over j <= k
 * (j >= k when `reverse`). The gradient of one direction is the other direction applied to dy.
 * Long axes with few columns are summed in chunks: the chunks' totals, where each chunk starts, then the sums.
 * @throws ShapeError on bad sizes
 */
export function cumsum({ outer, n, inner, reverse = false }: CumsumShape, target: KernelTarget): KernelSequence {
  requireSizes("cumsum", { outer, n, inner });
  const chunk = chunkFor({ outer, n, inner }, target);
  const chunks = chunksOf({ n, chunk });
  const base = { outer, n, inner, chunk, chunks, reverse, exclusive: false, started: false };
  if (chunks === 1) return { name: "cumsum", kernels: [{ kernel: scan(base, target), bind: { x: "x", y: "y" } }], temporaries: [] };
  const totals = reduceStage({ kind: "sum", outer, n, inner, chunk, scale: 1, carried: false }, { y: true, index: false }, target);
  const starts = scan({ ...base, n: chunks, chunk: chunks, chunks: 1, exclusive: true }, target);
  const length = outer * chunks * inner;
  return {
    name: "cumsum",
    kernels: [
      { kernel: totals, bind: { x: "x", y: "totals" } },
      { kernel: starts, bind: { x: "totals", y: "starts" } },
      { kernel: scan({ ...base, started: true }, target), bind: { x: "x", start: "starts", y: "y" } },
    ],
    temporaries: [
      { name: "totals", dtype: "f32", length },
      { name: "starts", dtype: "f32", length },
    ],
  };
}

/** One invocation per column and chunk (or four neighbouring columns). */
function scan(shape: ScanShape, target: KernelTarget): Kernel {
  const { outer, n, inner, chunk, chunks, reverse, exclusive, started } = shape;
  const lane = laneFor(inner);
  const columns = inner / laneWidth(lane);
  const items = n === 0 ? 0 : outer * chunks * columns;
  const plan = flatGrid(items, target, "heavy");
  const length = outer * n * inner;
  const bindings: Binding[] = [{ name: "x", access: "read", dtype: "f32", length }];
  if (started) bindings.push({ name: "start", access: "read", dtype: "f32", length: outer * chunks * inner });
  bindings.push({ name: "y", access: "write", dtype: "f32", length });
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "n", type: "u32", value: n },
    { name: "columns", type: "u32", value: columns },
    { name: "chunk", type: "u32", value: chunk },
    { name: "chunks", type: "u32", value: chunks },
  ] as const;
  const wgsl =
    declare(bindings, uniforms, { x: lane, start: lane, y: lane }) +
    plan.main(`
    let part = item / params.columns;
    let head = (part % params.chunks) * params.chunk;
    let last = min(params.n, head + params.chunk);
    let origin = (part / params.chunks) * params.n * params.columns + item % params.columns;
    var total = ${started ? "start[item]" : `${lane}()`};
    for (var k = head; k < last; k++) {
      let position = origin + ${reverse ? "(head + last - 1u - k)" : "k"} * params.columns;
      ${exclusive ? "let value = x[position];\n      y[position] = total;\n      total += value;" : "total += x[position];\n      y[position] = total;"}
    }`);
  return {
    name: `cumsum${reverse ? ".reverse" : ""}${exclusive ? ".exclusive" : ""}${started ? ".started" : ""}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: length, bytes: 8 * length },
    reference: (inputs) => scanReference(shape, inputs),
  };
}
