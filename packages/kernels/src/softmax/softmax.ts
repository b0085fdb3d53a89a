import type { Kernel, KernelTarget } from "../kernel.js";
import { largestFinite } from "../lanes.js";
import { heldRowKernel } from "../row-grid-held.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { softmaxBackwardReference, softmaxReference } from "./reference.js";

/** Sizes of a row-wise softmax. */
export interface SoftmaxShape {
  readonly rows: number;
  /** Elements in a row. */
  readonly width: number;
}

/**
 * Softmax over the last axis: x [rows, width] -> y [rows, width]. Safe for any finite x; mask with a large negative number
 * such as -1e30, not with -Infinity. A row whose elements are all equal (all masked) gives 1 / width.
 * @throws ShapeError on bad sizes
 */
export function softmax(shape: SoftmaxShape, target: KernelTarget): Kernel {
  return forward("softmax", shape, target, false);
}

/**
 * Logarithm of the softmax over the last axis, x [rows, width] -> y [rows, width], without forming the softmax.
 * @throws ShapeError on bad sizes
 */
export function logSoftmax(shape: SoftmaxShape, target: KernelTarget): Kernel {
  return forward("logSoftmax", shape, target, true);
}

/**
 * Gradient of {@link softmax} from its output: y, dy [rows, width] -> dx [rows, width].
 * @throws ShapeError on bad sizes
 */
export function softmaxBackward(shape: SoftmaxShape, target: KernelTarget): Kernel {
  return backward("softmaxBackward", shape, target, false);
}

/**
 * Gradient of {@link logSoftmax} from its output: y, dy [rows, width] -> dx [rows, width].
 * @throws ShapeError on bad sizes
 */
export function logSoftmaxBackward(shape: SoftmaxShape, target: KernelTarget): Kernel {
  return backward("logSoftmaxBackward", shape, target, true);
}

function forward(name: string, { rows, width }: SoftmaxShape, target: KernelTarget, log: boolean): Kernel {
  requireSizes(name, { rows, width });
  const length = rows * width;
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "y", access: "write", dtype: "f32", length },
  ] as const;
  return heldRowKernel(name, width === 0 ? 0 : rows, width, target, (plan) => ({
    name: `${name}.${plan.variant}`,
    wgsl:
      plan.head +
      declare(bindings, plan.uniforms, { x: plan.lane, y: plan.lane }) +
      plan.main(
        ({ hold, each, store }) => `${hold({ v: "x[origin + i]" })}
    var top = ${plan.lane}(-${largestFinite});
    ${each("top = max(top, v);")}
    let peak = row_max(top);
    ${hold({ shifted: "v - peak", e: "exp(shifted)" })}
    var share = ${plan.lane}();
    ${each("share += e;")}
    let total = row_sum(share);
    let scale = ${log ? "log(total)" : "1.0 / total"};
    ${store(log ? "y[origin + i] = shifted - scale;" : "y[origin + i] = e * scale;")}`,
      ),
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 8 * length, bytes: 8 * length },
    reference: (inputs) => softmaxReference({ rows, width, log }, inputs),
  }));
}

function backward(name: string, { rows, width }: SoftmaxShape, target: KernelTarget, log: boolean): Kernel {
  requireSizes(name, { rows, width });
  const length = rows * width;
  const bindings = [
    { name: "y", access: "read", dtype: "f32", length },
    { name: "dy", access: "read", dtype: "f32", length },
    { name: "dx", access: "write", dtype: "f32", length },
  ] as const;
  return heldRowKernel(name, width === 0 ? 0 : rows, width, target, (plan) => ({
    name: `${name}.${plan.variant}`,
    wgsl:
      plan.head +
      declare(bindings, plan.uniforms, { y: plan.lane, dy: plan.lane, dx: plan.lane }) +
      plan.main(
        ({ hold, each, store }) => `${hold({ p: "y[origin + i]", g: "dy[origin + i]" })}
    var share = ${plan.lane}();
    ${each(log ? "share += g;" : "share += g * p;")}
    let total = row_sum(share);
    ${store(`dx[origin + i] = ${log ? "g - exp(p) * total" : "p * (g - total)"};`)}`,
      ),
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 4 * length, bytes: 12 * length },
    reference: (inputs) => softmaxBackwardReference({ rows, width, log }, inputs),
  }));
}
