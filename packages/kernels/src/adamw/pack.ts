import { ShapeError } from "../errors.js";
import type { Binding, Kernel, KernelSequence, KernelStep, KernelTarget, UniformField } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { arrayOf, at } from "../reference-arrays.js";
import { requireSizes } from "../sizes.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";

/** Where arrays go in a packed one. */
export interface PackShape {
  /** Elements of each part. */
  readonly lengths: readonly number[];
  /** Each part begins at a multiple of so many elements; the gap behind it is filled with zeros. A multiple of 4. */
  readonly alignment: number;
  /** Add to what the packed array holds (where `restart` is 0) instead of overwriting it. */
  readonly accumulate: boolean;
}

/** Elements of the packed array. */
export function packLength({ lengths, alignment }: PackShape): number {
  return lengths.reduce((sum, length) => sum + Math.ceil(length / alignment) * alignment, 0);
}

const workgroupSize = 256;
/** Parts a dispatch takes: a loop each, and shaders should compile fast. */
const mostParts = 8;
/** Items a workgroup copies. */
const block = 2048;

interface Part {
  readonly name: string;
  readonly length: number;
  /** Element of the packed array it begins at. */
  readonly place: number;
}

/**
 * Gathers arrays x0, x1, ... into one flat array, so that later kernels treat them all in one dispatch: x<i> [lengths[i]] ->
 * y [packLength]. With `accumulate`: y += x, or y = x where restart f32 [1] is not zero. One dispatch takes several parts.
 * @throws ShapeError on bad sizes or without parts
 */
export function pack(shape: PackShape, target: KernelTarget): KernelSequence {
  const { lengths, alignment } = shape;
  requireSizes("pack", lengths);
  if (lengths.length === 0 || alignment % 4 !== 0 || alignment <= 0) {
    throw new ShapeError(`pack: expected parts and an alignment that is a multiple of 4, got ${lengths.length} parts and alignment ${alignment}. Give the length of every part.`);
  }
  let place = 0;
  const parts = lengths.map((length, index): Part => {
    const part = { name: `x${index}`, length, place };
    place += Math.ceil(length / alignment) * alignment;
    return part;
  });
  const limit = Math.max(1, Math.min(mostParts, target.limits.maxStorageBuffersPerShaderStage - (shape.accumulate ? 2 : 1)));
  const kernels: KernelStep[] = [];
  // Parts that vectors can copy go first, so that odd ones do not slow them down.
  for (const vectors of [true, false]) {
    const own = parts.filter(({ length }) => length > 0 && (length % 4 === 0) === vectors);
    for (let first = 0; first < own.length; first += limit) {
      const group = own.slice(first, first + limit);
      const names = Object.fromEntries(group.map(({ name }, index) => [`x${index}`, name]));
      kernels.push({ kernel: packKernel(shape, group, place, kernels.length === 0), bind: { ...names, ...(shape.accumulate ? { restart: "restart" } : {}), y: "y" } });
    }
  }
  return { name: "pack", kernels, temporaries: [] };
}

function packKernel({ alignment, accumulate }: PackShape, parts: readonly Part[], total: number, first: boolean): Kernel {
  const lane = laneFor(...parts.map(({ length }) => length));
  const width = laneWidth(lane);
  const padded = (length: number): number => (Math.ceil(length / alignment) * alignment) / width;
  const bindings: Binding[] = parts.map(({ length }, index) => ({ name: `x${index}`, access: "read", dtype: "f32", length }));
  if (accumulate) bindings.push({ name: "restart", access: "read", dtype: "f32", length: 1 });
  // The first dispatch finds nothing worth keeping, the others what those before them wrote elsewhere.
  const access = first && !accumulate ? "write" : "readwrite";
  bindings.push({ name: "y", access, dtype: "f32", length: total });
  let items = 0;
  const uniforms: UniformField[] = parts.flatMap(({ length, place }, index): UniformField[] => {
    const begin = items;
    items += padded(length);
    return [
      { name: `begin${index}`, type: "u32", value: begin },
      { name: `length${index}`, type: "u32", value: length / width },
      { name: `place${index}`, type: "u32", value: place / width },
    ];
  });
  uniforms.push({ name: "items", type: "u32", value: items });
  // A loop per part: software adapters execute every branch of a condition, but skip a loop that nobody enters.
  const loops = parts.map((_, index) => {
    const end = index + 1 < parts.length ? `params.begin${index + 1}` : "params.items";
    return `  for (var item = max(first, params.begin${index}) + local; item < min(end, ${end}); item += ${workgroupSize}u) {
    let within = item - params.begin${index};
    let value = select(T(0.0), x${index}[min(within, params.length${index} - 1u)], within < params.length${index});
    let to = params.place${index} + within;
    y[to] = ${accumulate ? "select(y[to] + value, value, fresh)" : "value"};
  }`;
  });
  const elements = Object.fromEntries(bindings.filter(({ name }) => name !== "restart").map(({ name }) => [name, lane]));
  const wgsl = `${declare(bindings, uniforms, elements)}
alias T = ${lane};
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = (workgroup.x + workgroup.y * ${foldedWidth}u) * ${block}u;
  let end = min(params.items, first + ${block}u);
${accumulate ? "  let fresh = restart[0] != 0.0;\n" : ""}${loops.join("\n")}
}
`;
  return {
    name: `pack${accumulate ? ".add" : ""}.${parts.length}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(items / block)),
    cost: { flops: accumulate ? items * width : 0, bytes: (accumulate ? 12 : 8) * items * width },
    reference: (inputs) => {
      const y = access === "write" ? new Float64Array(total) : arrayOf(inputs, "y", total).slice();
      const fresh = !accumulate || at(arrayOf(inputs, "restart", 1), 0) !== 0;
      parts.forEach(({ length, place }, index) => {
        const x = arrayOf(inputs, `x${index}`, length);
        for (let i = 0; i < padded(length) * width; i++) y[place + i] = (fresh ? 0 : at(y, place + i)) + (i < length ? at(x, i) : 0);
      });
      return { y };
    },
  };
}
