import { fill } from "../copy/fill.js";
import { ShapeError } from "../errors.js";
import { flatGrid } from "../flat-grid.js";
import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { sequenceOf } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { sortBackwardReference, sortReference } from "./reference.js";
import type { SortShape } from "./reference.js";

/** Longest row the network holds in workgroup memory: a value and an index each. */
const networkSize = 2048;

/**
 * The first `keep` elements of each sorted row: x [rows, width] -> values [rows, keep], index i32 [rows, keep], where in the row
 * each came from. Equal values keep their order, the lower index first. Either every element counts what comes before it (work in
 * the square of the width, no barriers), or a workgroup sorts a row of up to 2048 elements in a bitonic network.
 * @throws ShapeError on bad sizes, or when more is kept than there is
 */
export function sortRows(shape: SortShape, target: KernelTarget): KernelSequence {
  const { rows, width, keep } = shape;
  requireSizes("sortRows", { rows, width, keep });
  if (keep > width) throw new ShapeError(`sortRows: bad size keep, expected at most the width ${width}, got ${keep}. A row cannot give more than it has.`);
  const byRank = { name: "rank", build: () => sequenceOf(rankSort(shape, target)) };
  const byNetwork = { name: "network", build: () => sequenceOf(networkSort(shape)) };
  if (width > networkSize) return byRank.build();
  const key = `sortRows ${sizeBucket(rows)}x${sizeBucket(width)}`;
  return chooseCandidate(target, key, target.class === "gpu" && width > 256 ? [byNetwork, byRank] : [byRank, byNetwork]);
}

const bindingsOf = ({ rows, width, keep }: SortShape) =>
  [
    { name: "x", access: "read", dtype: "f32", length: rows * width },
    { name: "values", access: "write", dtype: "f32", length: rows * keep },
    { name: "index", access: "write", dtype: "i32", length: rows * keep },
  ] as const;

function rankSort(shape: SortShape, target: KernelTarget): Kernel {
  const { rows, width, keep, descending = false } = shape;
  const lane = laneFor(width);
  const items = keep === 0 ? 0 : rows * width;
  const plan = flatGrid(items, target, "heavy");
  const bindings = bindingsOf(shape);
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "width", type: "u32", value: width },
    { name: "keep", type: "u32", value: keep },
    { name: "sign", type: "f32", value: descending ? -1 : 1 },
  ] as const;
  const wide = lane === "vec4f";
  const wgsl =
    declare(bindings, uniforms, { x: lane }) +
    plan.main(`
    let row = item / params.width;
    let own = item - row * params.width;
    let value = x[${wide ? "item / 4u][item % 4u" : "item"}];
    let key = params.sign * value;
    let first = row * (params.width / ${laneWidth(lane)}u);
    var before = ${wide ? "vec4u()" : "0u"};
    var number = ${wide ? "vec4u(0u, 1u, 2u, 3u)" : "0u"};
    for (var i = 0u; i < params.width / ${laneWidth(lane)}u; i++) {
      let other = params.sign * x[first + i];
      before += ${wide ? "select(vec4u(), vec4u(1u), (other < vec4f(key)) | ((other == vec4f(key)) & (number < vec4u(own))))" : "select(0u, 1u, other < key || (other == key && number < own))"};
      number += ${laneWidth(lane)}u;
    }
    let rank = ${wide ? "before.x + before.y + before.z + before.w" : "before"};
    if (rank < params.keep) {
      values[row * params.keep + rank] = value;
      index[row * params.keep + rank] = i32(own);
    }`);
  return {
    name: `sortRows.rank.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 2 * rows * width * width, bytes: 4 * rows * (width + 2 * keep) },
    reference: (inputs) => sortReference(shape, inputs),
  };
}

/** A workgroup per row; places behind the row hold indices >= width, which come last. */
function networkSort(shape: SortShape): Kernel {
  const { rows, width, keep, descending = false } = shape;
  const bindings = bindingsOf(shape);
  const padded = 2 ** Math.ceil(Math.log2(Math.max(2, width)));
  const uniforms = [
    { name: "rows", type: "u32", value: rows },
    { name: "width", type: "u32", value: width },
    { name: "padded", type: "u32", value: padded },
    { name: "keep", type: "u32", value: keep },
    { name: "sign", type: "f32", value: descending ? -1 : 1 },
  ] as const;
  const room = padded <= 512 ? 512 : networkSize;
  const wgsl = `${declare(bindings, uniforms)}
var<workgroup> keys: array<f32, ${room}>;
var<workgroup> places: array<u32, ${room}>;
fn after(a: u32, b: u32) -> bool {
  let beyond = places[a] >= params.width || places[b] >= params.width;
  return select(keys[a] > keys[b] || (keys[a] == keys[b] && places[a] > places[b]), places[a] > places[b], beyond);
}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.x + workgroup.y * ${foldedWidth}u;
  if (row >= params.rows) { return; }
  for (var i = local; i < params.padded; i += 256u) {
    var key = 0.0;
    if (i < params.width) { key = params.sign * x[row * params.width + i]; }
    keys[i] = key;
    places[i] = i;
  }
  workgroupBarrier();
  for (var run = 2u; run <= params.padded; run *= 2u) {
    for (var step = run / 2u; step > 0u; step /= 2u) {
      for (var pair = local; pair < params.padded / 2u; pair += 256u) {
        let a = 2u * pair - pair % step;
        let b = a + step;
        if (after(a, b) == ((a & run) == 0u)) {
          let key = keys[a];
          keys[a] = keys[b];
          keys[b] = key;
          let place = places[a];
          places[a] = places[b];
          places[b] = place;
        }
      }
      workgroupBarrier();
    }
  }
  for (var i = local; i < params.keep; i += 256u) {
    values[row * params.keep + i] = params.sign * keys[i];
    index[row * params.keep + i] = i32(places[i]);
  }
}
`;
  const steps = Math.log2(padded);
  return {
    name: `sortRows.network.${room}`,
    wgsl,
    bindings,
    uniforms,
    grid: keep === 0 ? [0, 0, 0] : foldedGrid(rows),
    cost: { flops: (rows * padded * steps * (steps + 1)) / 4, bytes: 4 * rows * (width + 2 * keep) },
    reference: (inputs) => sortReference(shape, inputs),
  };
}

/**
 * Gradient of {@link sortRows}: dvalues [rows, keep], index i32 [rows, keep] (each at most once in a row) -> dx [rows, width],
 * dvalues where the values came from, 0 elsewhere.
 * @throws ShapeError on bad sizes
 */
export function sortRowsBackward(shape: SortShape, target: KernelTarget): KernelSequence {
  const { rows, width, keep } = shape;
  requireSizes("sortRowsBackward", { rows, width, keep });
  const items = rows * keep;
  const plan = flatGrid(items, target, "light");
  const bindings = [
    { name: "dvalues", access: "read", dtype: "f32", length: items },
    { name: "index", access: "read", dtype: "i32", length: items },
    { name: "dx", access: "readwrite", dtype: "f32", length: rows * width },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "width", type: "u32", value: width },
    { name: "keep", type: "u32", value: keep },
  ] as const;
  const kernel: Kernel = {
    name: "sortRowsBackward.place",
    wgsl: declare(bindings, uniforms) + plan.main("    dx[item / params.keep * params.width + u32(index[item])] = dvalues[item];"),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 12 * items },
    reference: (inputs) => sortBackwardReference(shape, inputs),
  };
  return {
    name: "sortRowsBackward",
    kernels: [
      { kernel: fill({ length: rows * width, value: 0 }, target), bind: { y: "dx" } },
      { kernel, bind: { dvalues: "dvalues", index: "index", dx: "dx" } },
    ],
    temporaries: [],
  };
}
