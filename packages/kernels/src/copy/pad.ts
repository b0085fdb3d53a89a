import { ShapeError } from "../errors.js";
import type { Kernel, KernelTarget, UniformField } from "../kernel.js";
import { matrixGrid } from "../flat-grid.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { elementsOf, padReference } from "./reference.js";
import type { PadShape } from "./reference.js";

/**
 * Puts a constant border around a tensor: x [shape] -> y [before + shape + after]. One kernel writes border and inside.
 * Its gradient is {@link slice}.
 * @throws ShapeError on bad sizes, or more than five axes after merging the ones without border
 */
export function pad(options: PadShape, target: KernelTarget): Kernel {
  const { shape, before, after, value = 0 } = options;
  requireSizes("pad", shape);
  requireSizes("pad before", before);
  requireSizes("pad after", after);
  if (before.length !== shape.length || after.length !== shape.length) {
    throw new ShapeError(`pad: borders do not fit the shape, expected ${shape.length} each, got ${before.length} and ${after.length}. Give one per axis.`);
  }
  const axes = mergedAxes(options);
  const inner = axes.at(-1) ?? { extent: 1, before: 0, padded: 1 };
  const outer = axes.slice(0, -1);
  const lane = laneFor(inner.extent, inner.before, inner.padded);
  const wide = laneWidth(lane);
  const count = axes.reduce((product, { padded }) => product * padded, 1);
  const plan = matrixGrid(inner.padded === 0 ? 0 : count / inner.padded, inner.padded / wide, target);
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: elementsOf(shape) },
    { name: "y", access: "write", dtype: "f32", length: count },
  ] as const;
  const uniforms: UniformField[] = [
    ...plan.uniforms,
    { name: "value", type: "f32", value },
    { name: "extent", type: "u32", value: inner.extent / wide },
    { name: "before", type: "u32", value: inner.before / wide },
  ];
  outer.forEach((axis, number) => {
    uniforms.push({ name: `extent${number}`, type: "u32", value: axis.extent });
    uniforms.push({ name: `before${number}`, type: "u32", value: axis.before });
    uniforms.push({ name: `padded${number}`, type: "u32", value: axis.padded });
  });
  // A coordinate left of the tensor wraps to a large number, so one comparison finds both sides of the border.
  const steps = outer.map(
    (_, number) => `
    let above${number} = rest / params.padded${number};
    let c${number} = rest - above${number} * params.padded${number} - params.before${number};
    rest = above${number};
    inside = inside && c${number} < params.extent${number};
    origin += c${number} * stride;
    stride *= params.extent${number};`,
  );
  const wgsl =
    declare(bindings, uniforms, { x: lane, y: lane }) +
    plan.main(
      `    var rest = row;
    var inside = true;
    var origin = 0u;
    var stride = params.extent;${steps.reverse().join("")}`,
      `    let within = column - params.before;
    var result = ${lane}(params.value);
    if (inside && within < params.extent) { result = x[origin + within]; }
    y[place] = result;`,
    );
  return {
    name: `pad.rank${axes.length}.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 0, bytes: 4 * (count + elementsOf(shape)) },
    reference: (inputs) => padReference(options, inputs),
  };
}

interface PaddedAxis {
  readonly extent: number;
  readonly before: number;
  readonly padded: number;
}

/** An axis without border is one with the axis before it. */
function mergedAxes({ shape, before, after }: PadShape): PaddedAxis[] {
  const axes: PaddedAxis[] = [];
  shape.forEach((extent, axis) => {
    const next = { extent, before: before[axis] ?? 0, padded: extent + (before[axis] ?? 0) + (after[axis] ?? 0) };
    const previous = axes.at(-1);
    if (previous !== undefined && next.padded === extent) {
      axes[axes.length - 1] = { extent: previous.extent * extent, before: previous.before * extent, padded: previous.padded * extent };
    } else {
      axes.push(next);
    }
  });
  if (axes.length > 5) throw new ShapeError(`pad: too many axes, expected at most 5 after merging, got ${axes.length} of [${shape.join(", ")}]. Pad in two steps.`);
  return axes.length > 0 ? axes : [{ extent: 1, before: 0, padded: 1 }];
}
