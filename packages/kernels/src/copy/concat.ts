import { ShapeError } from "../errors.js";
import type { Binding, Kernel, KernelSequence, KernelStep, KernelTarget, Temporary, UniformField } from "../kernel.js";
import { matrixGrid } from "../flat-grid.js";
import { laneFor, laneName, laneOf, laneWidth } from "../lanes.js";
import { arrayOf } from "../reference-arrays.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { concatReference } from "./reference.js";

/** Tensors joined along one axis, seen as rows: `outer` rows, each of `widths[0]`, then `widths[1]`, ... elements. */
export interface ConcatShape {
  readonly outer: number;
  /** Elements each part has in a row: its extent along the joined axis times everything inside. */
  readonly widths: readonly number[];
}

/**
 * Joins rows: x0 [outer, widths[0]], x1 [outer, widths[1]], ... -> y [outer, sum of widths], any four-byte type.
 * One kernel joins up to seven parts; more are joined in groups first. Its gradient is {@link split}.
 * @throws ShapeError on bad sizes or without parts
 */
export function concat(shape: ConcatShape, target: KernelTarget): KernelSequence {
  checkParts("concat", shape);
  const limit = partsPerKernel(target);
  const kernels: KernelStep[] = [];
  const temporaries: Temporary[] = [];
  let parts = shape.widths.map((width, number) => ({ tensor: `x${number}`, width }));
  do {
    const last = parts.length <= limit;
    const joined: typeof parts = [];
    for (let first = 0; first < parts.length; first += limit) {
      const group = parts.slice(first, first + limit);
      const width = group.reduce((sum, part) => sum + part.width, 0);
      const tensor = last ? "y" : `group${temporaries.length}`;
      if (!last) temporaries.push({ name: tensor, dtype: "f32", length: shape.outer * width });
      const bind = Object.fromEntries(group.map((part, number) => [`x${number}`, part.tensor]));
      kernels.push({ kernel: join({ outer: shape.outer, widths: group.map((part) => part.width) }, target), bind: { ...bind, y: tensor } });
      joined.push({ tensor, width });
    }
    parts = joined;
  } while (parts.length > 1);
  return { name: "concat", kernels, temporaries };
}

/**
 * Takes rows apart: x [outer, sum of widths] -> y0 [outer, widths[0]], y1 [outer, widths[1]], ..., any four-byte type.
 * Its gradient is {@link concat}.
 * @throws ShapeError on bad sizes or without parts
 */
export function split(shape: ConcatShape, target: KernelTarget): KernelSequence {
  checkParts("split", shape);
  const limit = partsPerKernel(target);
  const kernels: KernelStep[] = [];
  let offset = 0;
  for (let first = 0; first < shape.widths.length; first += limit) {
    const widths = shape.widths.slice(first, first + limit);
    const bind = Object.fromEntries(widths.map((_, number) => [`y${number}`, `y${first + number}`]));
    kernels.push({ kernel: part(shape, offset, widths, target), bind: { x: "x", ...bind } });
    offset += widths.reduce((sum, width) => sum + width, 0);
  }
  return { name: "split", kernels, temporaries: [] };
}

/** At most what the device binds beside the whole, and few enough that there are only a handful of shaders to compile. */
function partsPerKernel(target: KernelTarget): number {
  return Math.max(2, Math.min(7, target.limits.maxStorageBuffersPerShaderStage - 1));
}

function checkParts(name: string, { outer, widths }: ConcatShape): void {
  requireSizes(name, { outer });
  requireSizes(`${name} widths`, widths);
  if (widths.length === 0) throw new ShapeError(`${name}: there are no parts, expected at least one width, got none. Give the width of every part.`);
}

/** Uniforms that say where each part ends, and the branches that find an element's part. */
function branches(widths: readonly number[], wide: number, body: (part: number, within: string) => string): { uniforms: UniformField[]; wgsl: string } {
  let end = 0;
  const uniforms = widths.map((width, number): UniformField => ({ name: `end${number}`, type: "u32", value: (end += width / wide) }));
  const cases = widths.map((_, number) => {
    const begin = number === 0 ? "0u" : `params.end${number - 1}`;
    const position = `row * (params.end${number} - ${begin}) + column - ${begin}`;
    return `if (column < params.end${number}) { ${body(number, position)} }`;
  });
  return { uniforms, wgsl: cases.join("\n    else ") };
}

function join({ outer, widths }: ConcatShape, target: KernelTarget): Kernel {
  const total = widths.reduce((sum, width) => sum + width, 0);
  const lane = laneFor(...widths);
  const columns = total / laneWidth(lane);
  const plan = matrixGrid(outer, columns, target);
  const bindings: Binding[] = widths.map((width, number) => ({ name: `x${number}`, access: "read", dtype: "f32", length: outer * width }));
  bindings.push({ name: "y", access: "write", dtype: "f32", length: outer * total });
  const cases = branches(widths, laneWidth(lane), (number, position) => `y[place] = x${number}[${position}];`);
  const uniforms: UniformField[] = [...plan.uniforms, ...cases.uniforms];
  const wgsl =
    declare(bindings, uniforms, Object.fromEntries(bindings.map(({ name }) => [name, laneOf(lane, "u32")]))) +
    plan.main("", `    ${cases.wgsl}`);
  return {
    name: `concat.${widths.length}.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * outer * total },
    reference: (inputs) => concatReference({ outer, widths }, inputs),
  };
}

/** Some neighbouring parts of a row, from `offset` on. */
function part(shape: ConcatShape, offset: number, widths: readonly number[], target: KernelTarget): Kernel {
  const { outer } = shape;
  const total = shape.widths.reduce((sum, width) => sum + width, 0);
  const taken = widths.reduce((sum, width) => sum + width, 0);
  const lane = laneFor(total, offset, ...widths);
  const wide = laneWidth(lane);
  const plan = matrixGrid(outer, taken / wide, target);
  const bindings: Binding[] = [{ name: "x", access: "read", dtype: "f32", length: outer * total }];
  widths.forEach((width, number) => bindings.push({ name: `y${number}`, access: "write", dtype: "f32", length: outer * width }));
  const cases = branches(widths, wide, (number, position) => `y${number}[${position}] = value;`);
  const uniforms: UniformField[] = [
    ...plan.uniforms,
    { name: "total", type: "u32", value: total / wide },
    { name: "offset", type: "u32", value: offset / wide },
    ...cases.uniforms,
  ];
  const wgsl =
    declare(bindings, uniforms, Object.fromEntries(bindings.map(({ name }) => [name, laneOf(lane, "u32")]))) +
    plan.main("", `    let value = x[row * params.total + params.offset + column];\n    ${cases.wgsl}`);
  return {
    name: `split.${widths.length}.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * outer * taken },
    reference: (inputs) => {
      const x = arrayOf(inputs, "x", outer * total);
      const outputs: Record<string, Float64Array> = {};
      let first = offset;
      widths.forEach((width, number) => {
        const rows = Array.from({ length: outer }, (_, row) => [...x.subarray(row * total + first, row * total + first + width)]);
        outputs[`y${number}`] = Float64Array.from(rows.flat());
        first += width;
      });
      return outputs;
    },
  };
}
