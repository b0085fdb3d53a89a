import {
  averagePool2d as averagePoolKernel,
  averagePool2dBackward,
  maxPool2d as maxPoolKernel,
  maxPool2dBackward,
  type Pair,
  pairOf,
  pool2dGeometry,
  type Pool2dOptions as KernelOptions,
  ShapeError,
} from "@distilldrive/kernels";
import { graphOf, type Tensor } from "../graph.js";
import type { Draw, OpDefinition } from "../op.js";
import { formatType, type Shape, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

/** Windows of a pooling, for y and x. */
interface PoolAttributes {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly countPadding: boolean;
}
type BackwardAttributes = PoolAttributes & { readonly shape: Shape };

const sizes = ([batch = 0, height = 0, width = 0, channels = 0]: Shape, attributes: PoolAttributes): KernelOptions => ({
  batch, height, width, channels, kernel: attributes.kernel, stride: attributes.stride, padding: attributes.padding, dilation: attributes.dilation, countPadding: attributes.countPadding,
});

function outShape(name: string, x: TensorType | undefined, attributes: PoolAttributes): Shape {
  if (x?.shape.length !== 4) throw new ShapeError(`${name}: wrong number of axes, expected x [B, H, W, C], got ${x ? formatType(x) : "nothing"}. Reshape or permute it.`);
  const { batch, channels, y, x: across } = pool2dGeometry(name, sizes(x.shape, attributes));
  return [batch, y.outSize, across.outSize, channels];
}

/** A window that fits, on images a little larger than it. */
function sample(draw: Draw, dilated: boolean): { x: Shape; attributes: PoolAttributes } {
  const axis = (): { taps: number; stride: number; padding: number; dilation: number; size: number } => {
    const [taps, stride, dilation] = [draw.integer(1, 3), draw.integer(1, 3), dilated ? draw.integer(1, 2) : 1];
    return { taps, stride, dilation, padding: draw.integer(0, Math.floor(taps / 2)), size: dilation * (taps - 1) + draw.size(5) };
  };
  const [y, x] = [axis(), axis()];
  return {
    x: [draw.size(3), y.size, x.size, draw.size(9)],
    attributes: { kernel: [y.taps, x.taps], stride: [y.stride, x.stride], padding: [y.padding, x.padding], dilation: [y.dilation, x.dilation], countPadding: dilated || draw.boolean() },
  };
}

/** Gradient of {@link maxPool2dOp}: index and dy [B, H', W', C] -> dx. */
export const maxPool2dBackwardOp: OpDefinition<BackwardAttributes> = defineKernelOp({
  name: "maxPool2dBackward",
  inputs: ["index", "dy"],
  outputs: ["dx"],
  shape: (_, { shape }) => [typeOf(shape)],
  kernels: ({ target, attributes }) => maxPool2dBackward(sizes(attributes.shape, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: () => ({ terms: 9, scale: 2 }),
  samples: (draw) => {
    const { x, attributes } = sample(draw, true);
    const out = outShape("maxPool2dBackward", typeOf(x), attributes);
    return { inputs: [{ ...typeOf(out, "i32"), range: [-1, (x[1] ?? 1) * (x[2] ?? 1) - 1] }, typeOf(out)], attributes: { ...attributes, shape: x } };
  },
});

/** Maximum over windows: x [B, H, W, C] -> y [B, H', W', C] and the pixel it came from. */
export const maxPool2dOp: OpDefinition<PoolAttributes> = defineKernelOp({
  name: "maxPool2d",
  inputs: ["x"],
  outputs: ["y", "index"],
  shape: ([x], attributes) => {
    const shape = outShape("maxPool2d", x, attributes);
    return [typeOf(shape), typeOf(shape, "i32")];
  },
  kernels: ({ target, inputs: [x], attributes }) => maxPoolKernel(sizes(x?.shape ?? [], attributes), target),
  vjp: {
    saves: ["index"],
    recompute: "costly",
    rule: ({ inputs: [x], outputs: [, index], cotangents: [dy], attributes }) => (x && index && dy ? x.graph.apply(maxPool2dBackwardOp, [index, dy], { ...attributes, shape: x.shape }) : []),
  },
  tolerance: () => "exact",
  samples: (draw) => {
    const { x, attributes } = sample(draw, true);
    return { inputs: [{ ...typeOf(x), distinct: 0.01 }], attributes };
  },
});

/** Gradient of {@link averagePool2dOp}: dy [B, H', W', C] -> dx. */
export const averagePool2dBackwardOp: OpDefinition<BackwardAttributes> = defineKernelOp({
  name: "averagePool2dBackward",
  inputs: ["dy"],
  outputs: ["dx"],
  shape: (_, { shape }) => [typeOf(shape)],
  kernels: ({ target, attributes }) => averagePool2dBackward(sizes(attributes.shape, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: () => ({ terms: 9, scale: 2 }),
  samples: (draw) => {
    const { x, attributes } = sample(draw, false);
    return { inputs: [typeOf(outShape("averagePool2dBackward", typeOf(x), attributes))], attributes: { ...attributes, shape: x } };
  },
});

/** Average over windows: x [B, H, W, C] -> y [B, H', W', C]. */
export const averagePool2dOp: OpDefinition<PoolAttributes> = defineKernelOp({
  name: "averagePool2d",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x], attributes) => [typeOf(outShape("averagePool2d", x, attributes))],
  kernels: ({ target, inputs: [x], attributes }) => averagePoolKernel(sizes(x?.shape ?? [], attributes), target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ inputs: [x], cotangents: [dy], attributes }) => (x && dy ? x.graph.apply(averagePool2dBackwardOp, [dy], { ...attributes, shape: x.shape }) : []),
  },
  tolerance: (_, { kernel }) => ({ terms: kernel[0] * kernel[1], scale: 2 }),
  samples: (draw) => {
    const { x, attributes } = sample(draw, false);
    return { inputs: [typeOf(x)], attributes };
  },
});

/** Windows of {@link maxPool2d} and {@link averagePool2d}; one number for both axes, or one for y and one for x. */
export interface Pool2dOptions {
  /** Pixels of a window. */
  readonly kernel: Pair;
  /** Default: the kernel. */
  readonly stride?: Pair;
  /** At most half the kernel. Default 0. */
  readonly padding?: Pair;
}

const attributesOf = ({ kernel, stride = kernel, padding = 0 }: Pool2dOptions): Omit<PoolAttributes, "dilation" | "countPadding"> => ({ kernel: pairOf(kernel), stride: pairOf(stride), padding: pairOf(padding) });

/**
 * Maximum over windows, as PyTorch's max_pool2d but channels last.
 * @param x [B, H, W, C]
 * @param options `dilation` between the pixels of a window, default 1
 * @returns [B, Ho, Wo, C]
 * @throws ShapeError
 */
export function maxPool2d(x: Tensor, options: Pool2dOptions & { readonly dilation?: Pair }): Tensor {
  const [y] = graphOf("maxPool2d", [x]).apply(maxPool2dOp, [x], { ...attributesOf(options), dilation: pairOf(options.dilation ?? 1), countPadding: true });
  return y ?? x;
}

/**
 * Average over windows, as PyTorch's avg_pool2d but channels last. A kernel of [H, W] is a global average.
 * @param x [B, H, W, C]
 * @param options `countPadding` false: an average is over the pixels inside the image only; default true
 * @returns [B, Ho, Wo, C]
 * @throws ShapeError
 */
export function averagePool2d(x: Tensor, options: Pool2dOptions & { readonly countPadding?: boolean }): Tensor {
  const [y] = graphOf("averagePool2d", [x]).apply(averagePool2dOp, [x], { ...attributesOf(options), dilation: [1, 1], countPadding: options.countPadding ?? true });
  return y ?? x;
}
