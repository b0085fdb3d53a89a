import { ShapeError } from "../errors.js";
import type { Kernel, KernelTarget, UniformField } from "../kernel.js";
import { matrixGrid } from "../flat-grid.js";
import { laneFor, laneName, laneOf, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { contiguousStrides, elementsOf, stridedCopyReference } from "./reference.js";
import type { StridedCopy } from "./reference.js";

/** Most axes left after merging. */
const maxRank = 5;

/**
 * Copies one strided view to another: x [srcLength] -> y [dstLength], bit for bit, so any four-byte type passes.
 * Axes that are contiguous in both are merged; four elements move at a time where both sides allow it. What the view does not
 * cover keeps its value, and then y is "readwrite".
 * @throws ShapeError when a view leaves its array, or more than five axes remain after merging
 */
export function stridedCopy(copy: StridedCopy, target: KernelTarget): Kernel {
  return stridedCopyAs("stridedCopy", copy, target);
}

/**
 * A block of a tensor: x [shape] -> y [size], y[c] = x[start + c]. Its gradient is {@link pad} with zeros.
 * @throws ShapeError when the block leaves the tensor
 */
export function slice({ shape, start, size }: { readonly shape: readonly number[]; readonly start: readonly number[]; readonly size: readonly number[] }, target: KernelTarget): Kernel {
  if (start.length !== shape.length || size.length !== shape.length || shape.some((extent, axis) => (start[axis] ?? 0) + (size[axis] ?? 0) > extent)) {
    throw new ShapeError(`slice: the block is not inside the tensor, expected start + size <= [${shape.join(", ")}], got start [${start.join(", ")}] size [${size.join(", ")}]. Check both.`);
  }
  const srcStrides = contiguousStrides(shape);
  const srcOffset = start.reduce((sum, first, axis) => sum + first * (srcStrides[axis] ?? 0), 0);
  return stridedCopyAs("slice", { shape: size, srcStrides, srcOffset, srcLength: elementsOf(shape), dstStrides: contiguousStrides(size), dstOffset: 0, dstLength: elementsOf(size) }, target);
}

/** {@link stridedCopy} under the name of the operation it serves. */
export function stridedCopyAs(name: string, copy: StridedCopy, target: KernelTarget): Kernel {
  checkViews(name, copy);
  const axes = mergedAxes(copy);
  const inner = axes.at(-1) ?? { extent: 1, src: 1, dst: 1 };
  const outer = axes.slice(0, -1);
  const lane = inner.src === 1 && inner.dst === 1 ? laneFor(inner.extent, copy.srcOffset, copy.dstOffset, ...outer.flatMap(({ src, dst }) => [src, dst])) : "f32";
  const wide = laneWidth(lane);
  const count = elementsOf(copy.shape);
  const plan = matrixGrid(inner.extent === 0 ? 0 : count / inner.extent, inner.extent / wide, target);
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: copy.srcLength },
    { name: "y", access: count === copy.dstLength ? "write" : "readwrite", dtype: "f32", length: copy.dstLength },
  ] as const;
  const uniforms: UniformField[] = [
    ...plan.uniforms,
    { name: "srcOffset", type: "u32", value: copy.srcOffset / wide },
    { name: "dstOffset", type: "u32", value: copy.dstOffset / wide },
    { name: "srcStep", type: "u32", value: inner.src },
    { name: "dstStep", type: "u32", value: inner.dst },
  ];
  outer.forEach(({ extent, src, dst }, axis) => {
    uniforms.push({ name: `extent${axis}`, type: "u32", value: extent });
    uniforms.push({ name: `src${axis}`, type: "u32", value: src / wide });
    uniforms.push({ name: `dst${axis}`, type: "u32", value: dst / wide });
  });
  const bits = laneOf(lane, "u32");
  const wgsl =
    declare(bindings, uniforms, { x: bits, y: bits }) +
    plan.main(
      `    var rest = row;
    var src = params.srcOffset;
    var dst = params.dstOffset;
${outer.map((_, axis) => axisStep(axis)).reverse().join("\n")}`,
      "    y[dst + column * params.dstStep] = x[src + column * params.srcStep];",
    );
  return {
    name: `${name}.rank${axes.length}.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 8 * count },
    reference: (inputs) => stridedCopyReference(copy, inputs),
  };
}

/** Takes one coordinate off `rest`; the outermost is what remains. */
function axisStep(axis: number): string {
  if (axis === 0) return "    src += rest * params.src0;\n    dst += rest * params.dst0;";
  return `    let above${axis} = rest / params.extent${axis};
    let c${axis} = rest - above${axis} * params.extent${axis};
    src += c${axis} * params.src${axis};
    dst += c${axis} * params.dst${axis};
    rest = above${axis};`;
}

interface Axis {
  readonly extent: number;
  readonly src: number;
  readonly dst: number;
}

/** Axes without those of extent 1, neighbours merged where both sides run through them as one. */
function mergedAxes({ shape, srcStrides, dstStrides }: StridedCopy): Axis[] {
  const axes: Axis[] = [];
  shape.forEach((extent, axis) => {
    if (extent === 1) return;
    const next = { extent, src: srcStrides[axis] ?? 0, dst: dstStrides[axis] ?? 0 };
    const previous = axes.at(-1);
    if (previous !== undefined && previous.src === next.src * extent && previous.dst === next.dst * extent) {
      axes[axes.length - 1] = { ...next, extent: previous.extent * extent };
    } else {
      axes.push(next);
    }
  });
  if (axes.length > maxRank) throw new ShapeError(`stridedCopy: too many axes, expected at most ${maxRank} after merging, got ${axes.length} of [${shape.join(", ")}]. Copy in two steps.`);
  return axes.length > 0 ? axes : [{ extent: 1, src: 1, dst: 1 }];
}

function checkViews(name: string, copy: StridedCopy): void {
  const { shape, srcStrides, srcOffset, srcLength, dstStrides, dstOffset, dstLength } = copy;
  requireSizes(name, { srcOffset, srcLength, dstOffset, dstLength });
  requireSizes(`${name} shape`, shape);
  requireSizes(`${name} srcStrides`, srcStrides);
  requireSizes(`${name} dstStrides`, dstStrides);
  if (srcStrides.length !== shape.length || dstStrides.length !== shape.length) {
    throw new ShapeError(`${name}: strides do not fit the shape, expected ${shape.length} each, got ${srcStrides.length} and ${dstStrides.length}. Give one per axis.`);
  }
  if (shape.includes(0)) return;
  for (const [side, strides, offset, length] of [["source", srcStrides, srcOffset, srcLength], ["destination", dstStrides, dstOffset, dstLength]] as const) {
    const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * (strides[axis] ?? 0), offset);
    if (last >= length) throw new ShapeError(`${name}: the view leaves the ${side}, expected positions below ${length}, got ${last}. Check shape, strides and offset.`);
  }
}
