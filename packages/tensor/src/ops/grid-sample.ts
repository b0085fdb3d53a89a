import { gridSample as gridSampleKernel, gridSampleGridBackward, gridSampleInputBackward, type GridSampleShape, ShapeError } from "@distilldrive/kernels";
import { applyOp, type Operand, type Tensor, graphOf } from "../graph.js";
import type { Draw, OpDefinition, SampleInput } from "../op.js";
import { formatType, sizeOf, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp } from "./kernel-op.js";
import { reshape } from "./reshape.js";

/** Conventions of a grid sample, as in PyTorch. */
export interface GridSampleOptions {
  /** What lies outside the image: zeros (default), or the nearest pixel of its border. */
  readonly padding?: "zeros" | "border";
  /** -1 and 1 are the centres of the outermost pixels (true), or their outer edges (false, the default). */
  readonly alignCorners?: boolean;
}

type Conventions = Required<GridSampleOptions>;

const sizes = (x: TensorType | undefined, grid: TensorType | undefined, conventions: Conventions): GridSampleShape => {
  const [batch = 0, height = 0, width = 0, channels = 0] = x?.shape ?? [];
  return { batch, height, width, channels, samples: grid?.shape[1] ?? 0, ...conventions };
};

function caseOf(draw: Draw): { x: SampleInput; grid: SampleInput; dy: SampleInput; conventions: Conventions } {
  const [batch, height, width, channels, samples] = [draw.integer(1, 2), draw.integer(1, 5), draw.integer(1, 5), draw.size(9), draw.size(9)];
  return {
    x: typeOf([batch, height, width, channels]),
    grid: { ...typeOf([batch, samples, 2]), range: [-1.5, 1.5] },
    dy: typeOf([batch, samples, channels]),
    conventions: { padding: draw.pick(["zeros", "border"] as const), alignCorners: draw.boolean() },
  };
}

/** Bilinear samples of images: x [B, H, W, C], grid [B, N, 2] -> y [B, N, C]. */
export const gridSampleOp: OpDefinition<Conventions> = defineKernelOp({
  name: "gridSample",
  inputs: ["x", "grid"],
  strict: ["grid"],
  outputs: ["y"],
  shape: ([x, grid], conventions) => {
    const { batch, channels, samples } = sizes(x, grid, conventions);
    if (x?.shape.length !== 4 || grid?.shape.length !== 3 || grid.shape[0] !== batch || grid.shape[2] !== 2) {
      throw new ShapeError(`gridSample: shapes do not fit, expected x [B, H, W, C] and grid [B, N, 2], got ${x ? formatType(x) : "nothing"} and ${grid ? formatType(grid) : "nothing"}. Images come with channels last.`);
    }
    return [typeOf([batch, samples, channels])];
  },
  kernels: ({ target, inputs: [x, grid], attributes }) => gridSampleKernel(sizes(x, grid, attributes), target),
  vjp: {
    saves: ["x", "grid"],
    recompute: "costly",
    rule: ({ inputs: [x, grid], cotangents: [dy], attributes, needs }) => {
      if (!x || !grid || !dy) return [];
      const [, height = 0, width = 0] = x.shape;
      return [
        needs[0] ? applyOp(gridSampleInputBackwardOp, [grid, dy], { ...attributes, height, width }) : undefined,
        needs[1] ? applyOp(gridSampleGridBackwardOp, [x, grid, dy], attributes) : undefined,
      ];
    },
  },
  tolerance: () => ({ terms: 4, scale: 8 }),
  samples: (draw) => {
    const { x, grid, conventions } = caseOf(draw);
    return { inputs: [x, grid], attributes: conventions };
  },
});

/** Gradient of {@link gridSampleOp} to the positions [B, N, 2]. */
export const gridSampleGridBackwardOp: OpDefinition<Conventions> = defineKernelOp({
  name: "gridSampleGridBackward",
  inputs: ["x", "grid", "dy"],
  outputs: ["dgrid"],
  shape: ([, grid]) => [typeOf(grid?.shape ?? [])],
  kernels: ({ target, inputs: [x, grid], attributes }) => gridSampleGridBackward(sizes(x, grid, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([x]) => ({ terms: 4 * (x?.shape[3] ?? 1), scale: 12 }),
  samples: (draw) => {
    const { x, grid, dy, conventions } = caseOf(draw);
    return { inputs: [x, grid, dy], attributes: conventions };
  },
});

/** Gradient of {@link gridSampleOp} to the images [B, H, W, C]. */
export const gridSampleInputBackwardOp: OpDefinition<Conventions & { readonly height: number; readonly width: number }> = defineKernelOp({
  name: "gridSampleInputBackward",
  inputs: ["grid", "dy"],
  outputs: ["dx"],
  shape: ([grid, dy], { height, width }) => [typeOf([grid?.shape[0] ?? 0, height, width, dy?.shape[2] ?? 0])],
  kernels: ({ target, inputs: [grid], outputs: [dx], attributes: { padding, alignCorners } }) => gridSampleInputBackward(sizes(dx, grid, { padding, alignCorners }), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([grid]) => ({ terms: 4 * (grid?.shape[1] ?? 1), scale: 4 }),
  samples: (draw) => {
    const { x, grid, dy, conventions } = caseOf(draw);
    return { inputs: [grid, dy], attributes: { ...conventions, height: x.shape[1] ?? 1, width: x.shape[2] ?? 1 } };
  },
});

/**
 * Bilinear samples of images at given positions (PyTorch's grid_sample, with channels last).
 * @param x [B, H, W, C]
 * @param grid [B, ...N, 2] = (x, y), -1 .. 1 across the image
 * @returns [B, ...N, C]
 * @throws ShapeError when the shapes do not fit
 */
export function gridSample(x: Operand, grid: Operand, { padding = "zeros", alignCorners = false }: GridSampleOptions = {}): Tensor {
  const graph = graphOf("gridSample", [x, grid]);
  const [images, places] = [graph.lift(x), graph.lift(grid)];
  const positions = places.shape.slice(1, -1);
  const y = applyOp(gridSampleOp, [images, reshape(places, [places.shape[0] ?? 0, sizeOf(positions), places.at(-1)])], { padding, alignCorners });
  return reshape(y, [y.shape[0] ?? 0, ...positions, y.at(-1)]);
}
