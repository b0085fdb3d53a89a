import { type InterpolationMode, interpolate2d as interpolateKernel, interpolate2dBackward, type Interpolate2dOptions as KernelOptions, type Pair, pairOf, ShapeError } from "@distilldrive/kernels";
import { graphOf, type Tensor } from "../graph.js";
import type { Draw, OpDefinition } from "../op.js";
import { formatType, type Shape, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";

interface InterpolateAttributes {
  /** Height and width of the result, px. */
  readonly size: readonly [number, number];
  readonly mode: InterpolationMode;
}
type BackwardAttributes = InterpolateAttributes & { readonly shape: Shape };

const sizes = ([batch = 0, height = 0, width = 0, channels = 0]: Shape, { size, mode }: InterpolateAttributes): KernelOptions => ({ batch, height, width, channels, outHeight: size[0], outWidth: size[1], mode });

function sample(draw: Draw): { x: Shape; out: Shape; attributes: InterpolateAttributes } {
  const x = [draw.size(3), draw.size(9), draw.size(9), draw.size(9)];
  const attributes = { size: [draw.size(17), draw.size(17)], mode: draw.pick<InterpolationMode>(["nearest", "bilinear"]) } as const;
  return { x, out: [x[0] ?? 1, ...attributes.size, x[3] ?? 1], attributes };
}

/** Gradient of {@link interpolate2dOp}: dy [B, H', W', C] -> dx. */
export const interpolate2dBackwardOp: OpDefinition<BackwardAttributes> = defineKernelOp({
  name: "interpolate2dBackward",
  inputs: ["dy"],
  outputs: ["dx"],
  shape: (_, { shape }) => [typeOf(shape)],
  kernels: ({ target, attributes }) => interpolate2dBackward(sizes(attributes.shape, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: (_, { shape: [, height = 1, width = 1], size }) => ({ terms: 4 * Math.ceil(size[0] / height + 1) * Math.ceil(size[1] / width + 1), scale: 2 }),
  samples: (draw) => {
    const { x, out, attributes } = sample(draw);
    return { inputs: [typeOf(out)], attributes: { ...attributes, shape: x } };
  },
});

/** Change of resolution: x [B, H, W, C] -> y [B, H', W', C]. */
export const interpolate2dOp: OpDefinition<InterpolateAttributes> = defineKernelOp({
  name: "interpolate2d",
  inputs: ["x"],
  outputs: ["y"],
  shape: ([x], { size }) => {
    if (x?.shape.length !== 4) throw new ShapeError(`interpolate2d: wrong number of axes, expected x [B, H, W, C], got ${x ? formatType(x) : "nothing"}. Reshape or permute it.`);
    return [typeOf([x.shape[0] ?? 0, ...size, x.shape[3] ?? 0])];
  },
  kernels: ({ target, inputs: [x], attributes }) => interpolateKernel(sizes(x?.shape ?? [], attributes), target),
  vjp: {
    saves: [],
    recompute: "cheap",
    rule: ({ inputs: [x], cotangents: [dy], attributes }) => (x && dy ? x.graph.apply(interpolate2dBackwardOp, [dy], { ...attributes, shape: x.shape }) : []),
  },
  tolerance: () => ({ terms: 4, scale: 2 }),
  samples: (draw) => {
    const { x, attributes } = sample(draw);
    return { inputs: [typeOf(x)], attributes };
  },
});

/** Resolution of {@link interpolate}: a size in pixels, or a factor for the sides, rounded down. One number for both axes, or one for y and one for x. */
export type InterpolateOptions = ({ readonly size: Pair } | { readonly scale: Pair }) & {
  /** Default "nearest". */
  readonly mode?: InterpolationMode;
};

/**
 * Changes the resolution of images, as PyTorch's interpolate with align_corners false (and, for a scale that is not whole,
 * recompute_scale_factor true) but channels last.
 * @param x [B, H, W, C]
 * @returns [B, H', W', C]
 * @throws ShapeError
 */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  const scaled = (): readonly [number, number] => {
    const [y, across] = pairOf("scale" in options ? options.scale : 1);
    return [Math.floor(x.at(-3) * y), Math.floor(x.at(-2) * across)];
  };
  const size = "size" in options ? pairOf(options.size) : scaled();
  const [y] = graphOf("interpolate", [x]).apply(interpolate2dOp, [x], { size, mode: options.mode ?? "nearest" });
  return y ?? x;
}
