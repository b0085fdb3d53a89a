import {
  boxOverlap as boxOverlapKernel, projectPoints as projectPointsKernel, projectPointsBackward, type ProjectShape, rotatePoints as rotatePointsKernel, rotatePointsBackward, rotatePointsPosesBackward,
  type RotateShape, ShapeError,
} from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { concat } from "./concat.js";
import { mul } from "./elementwise.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";
import { expandDims, reshape } from "./reshape.js";
import { slice } from "./slice.js";

const rotation = (points: TensorType | undefined): RotateShape => ({ rows: points?.shape[0] ?? 0, count: points?.shape[1] ?? 0 });
const rotationCase = (draw: Draw) => {
  const [rows, count] = [draw.size(20), draw.size(20)];
  return { points: typeOf([rows, count, 2]), poses: { ...typeOf([rows, 3]), range: [-4, 4] as const } };
};

/** Turns and shifts points of the plane: points [R, N, 2], poses [R, 3] (x, y, yaw) -> y [R, N, 2]. */
export const rotatePointsOp: OpDefinition<None> = defineKernelOp({
  name: "rotatePoints",
  inputs: ["points", "poses"],
  outputs: ["y"],
  shape: ([points, poses]) => {
    const { rows, count } = rotation(points);
    if (!sameShape(points?.shape ?? [], [rows, count, 2]) || !sameShape(poses?.shape ?? [], [rows, 3])) {
      throw new ShapeError(`rotatePoints: shapes do not fit, expected points [R, N, 2] and poses [R, 3], got ${points ? formatType(points) : "nothing"} and ${poses ? formatType(poses) : "nothing"}. A pose is x, y, yaw.`);
    }
    return [typeOf([rows, count, 2])];
  },
  kernels: ({ target, inputs: [points] }) => rotatePointsKernel(rotation(points), target),
  vjp: {
    saves: ["points", "poses"],
    recompute: "cheap",
    rule: ({ inputs: [points, poses], cotangents: [dy], needs }) => {
      if (!points || !poses || !dy) return [];
      return [needs[0] ? applyOp(rotatePointsBackwardOp, [dy, poses], {}) : undefined, needs[1] ? applyOp(rotatePointsPosesBackwardOp, [points, poses, dy], {}) : undefined];
    },
  },
  tolerance: () => ({ terms: 3, scale: 8 }),
  samples: (draw) => {
    const { points, poses } = rotationCase(draw);
    return { inputs: [points, poses], attributes: {} };
  },
});

/** Gradient of {@link rotatePointsOp} to the points. */
export const rotatePointsBackwardOp: OpDefinition<None> = defineKernelOp({
  name: "rotatePointsBackward",
  inputs: ["dy", "poses"],
  outputs: ["dpoints"],
  shape: ([dy]) => [typeOf(dy?.shape ?? [])],
  kernels: ({ target, inputs: [dy] }) => rotatePointsBackward(rotation(dy), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: () => ({ terms: 3, scale: 8 }),
  samples: (draw) => {
    const { points, poses } = rotationCase(draw);
    return { inputs: [points, poses], attributes: {} };
  },
});

/** Gradient of {@link rotatePointsOp} to the poses. */
export const rotatePointsPosesBackwardOp: OpDefinition<None> = defineKernelOp({
  name: "rotatePointsPosesBackward",
  inputs: ["points", "poses", "dy"],
  outputs: ["dposes"],
  shape: ([, poses]) => [typeOf(poses?.shape ?? [])],
  kernels: ({ target, inputs: [points] }) => rotatePointsPosesBackward(rotation(points), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([points]) => ({ terms: 4 * (points?.shape[1] ?? 1), scale: 8 }),
  samples: (draw) => {
    const { points, poses } = rotationCase(draw);
    return { inputs: [points, poses, points], attributes: {} };
  },
});

interface Projecting {
  readonly minDepth: number;
}

const projection = (points: TensorType | undefined, cameras: TensorType | undefined, { minDepth }: Projecting): ProjectShape => ({ batch: points?.shape[0] ?? 0, points: points?.shape[1] ?? 0, cameras: cameras?.shape[1] ?? 0, minDepth });
const projectionCase = (draw: Draw) => {
  const [batch, points, cameras] = [draw.size(3), draw.size(14), draw.size(6)];
  return {
    points: typeOf([batch, points, 3]),
    projection: typeOf([batch, cameras, 4, 4]),
    size: { ...typeOf([batch, cameras, 2]), range: [0.5, 2] as const },
    dlocation: typeOf([batch, points, cameras, 2]),
  };
};

/** Projects points into cameras: points [B, N, 3], projection [B, M, 4, 4], size [B, M, 2] -> location [B, N, M, 2]. */
export const projectPointsOp: OpDefinition<Projecting> = defineKernelOp({
  name: "projectPoints",
  inputs: ["points", "projection", "size"],
  outputs: ["location"],
  shape: ([points, cameras, size], attributes) => {
    const shape = projection(points, cameras, attributes);
    const wanted = { points: [shape.batch, shape.points, 3], projection: [shape.batch, shape.cameras, 4, 4], size: [shape.batch, shape.cameras, 2] };
    for (const [name, type] of Object.entries({ points, projection: cameras, size })) {
      const expected = wanted[name as keyof typeof wanted];
      if (!type || !sameShape(type.shape, expected)) throw new ShapeError(`projectPoints: ${name} does not fit, expected ${formatType(typeOf(expected))}, got ${type ? formatType(type) : "nothing"}. Every sample has its own cameras.`);
    }
    return [typeOf([shape.batch, shape.points, shape.cameras, 2])];
  },
  kernels: ({ target, inputs: [points, cameras], attributes }) => projectPointsKernel(projection(points, cameras, attributes), target),
  vjp: {
    saves: ["points", "projection", "size"],
    recompute: "cheap",
    rule: ({ inputs: [points, cameras, size], cotangents: [dlocation], attributes, needs }) => {
      if (needs[1] || needs[2]) throw new ShapeError("projectPoints: there is no gradient to cameras, expected projection and size to be constants. Wrap them in stopGradient.");
      return [points && cameras && size && dlocation ? applyOp(projectPointsBackwardOp, [points, cameras, size, dlocation], attributes) : undefined];
    },
  },
  // Depths may come near the least one, and then all roundings are divided by it.
  tolerance: (_, { minDepth }) => ({ terms: 4, scale: 32 / minDepth }),
  samples: (draw) => {
    const { points, projection: cameras, size } = projectionCase(draw);
    return { inputs: [points, { ...cameras, checkGradient: false }, { ...size, checkGradient: false }], attributes: { minDepth: 0.5 } };
  },
});

/** Gradient of {@link projectPointsOp} to the points. */
export const projectPointsBackwardOp: OpDefinition<Projecting> = defineKernelOp({
  name: "projectPointsBackward",
  inputs: ["points", "projection", "size", "dlocation"],
  outputs: ["dpoints"],
  shape: ([points]) => [typeOf(points?.shape ?? [])],
  kernels: ({ target, inputs: [points, cameras], attributes }) => projectPointsBackward(projection(points, cameras, attributes), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([, cameras], { minDepth }) => ({ terms: 6 * (cameras?.shape[1] ?? 1), scale: 64 / minDepth ** 2 }),
  samples: (draw) => {
    const { points, projection: cameras, size, dlocation } = projectionCase(draw);
    return { inputs: [points, cameras, size, dlocation], attributes: { minDepth: 0.5 } };
  },
});

/** Pairs of boxes: a [B, N, 5], b [B, M, 5] -> overlap [B, N, M] (0 or 1) and iou [B, N, M]. */
export const boxOverlapOp: OpDefinition<None> = defineKernelOp({
  name: "boxOverlap",
  inputs: ["a", "b"],
  outputs: ["overlap", "iou"],
  shape: ([a, b]) => {
    if (a?.shape.length !== 3 || b?.shape.length !== 3 || a.shape[2] !== 5 || b.shape[2] !== 5 || a.shape[0] !== b.shape[0]) {
      throw new ShapeError(`boxOverlap: shapes do not fit, expected a [B, N, 5] and b [B, M, 5], got ${a ? formatType(a) : "nothing"} and ${b ? formatType(b) : "nothing"}. A box is x, y, length, width, yaw.`);
    }
    const shape = [a.shape[0] ?? 0, a.shape[1] ?? 0, b.shape[1] ?? 0];
    return [typeOf(shape), typeOf(shape)];
  },
  kernels: ({ target, inputs: [a, b] }) => boxOverlapKernel({ batch: a?.shape[0] ?? 0, countA: a?.shape[1] ?? 0, countB: b?.shape[1] ?? 0 }, target),
  vjp: { none: "a test; the shared area's gradient is not needed" },
  tolerance: () => ({ terms: 64 }),
  samples: (draw) => {
    const [batch, n, m] = [draw.size(3), draw.size(8), draw.size(8)];
    return { inputs: [{ ...typeOf([batch, n, 5]), range: [0.2, 3] }, { ...typeOf([batch, m, 5]), range: [0.2, 3] }], attributes: {} };
  },
});

/**
 * Turns points by the yaw of a pose, then shifts them by its x and y.
 * @param points [...R, N, 2], m
 * @param poses [...R, 3] = x, y (m), yaw (rad, counter-clockwise)
 * @throws ShapeError when the shapes do not fit
 */
export function rotatePoints(points: Operand, poses: Operand): Tensor {
  const graph = graphOf("rotatePoints", [points, poses]);
  const [given, at] = [graph.lift(points), graph.lift(poses)];
  const rows = sizeOf(at.shape.slice(0, -1));
  return reshape(applyOp(rotatePointsOp, [reshape(given, [rows, given.at(-2), given.at(-1)]), reshape(at, [rows, at.at(-1)])], {}), given.shape);
}

/**
 * Projects points into cameras, as the locations deformable aggregation takes.
 * @param points [B, ...N, 3], m
 * @param projection [B, M, 4, 4], from points to pixels times depth; a constant, without gradient
 * @param size [B, M, 2], width and height of the images in pixels; a constant, without gradient
 * @param options `minDepth` (m, default 1e-5): a smaller depth, behind the camera, counts as this one
 * @returns [B, ...N, M, 2] = (x, y), an image having width and height 1
 * @throws ShapeError when the shapes do not fit
 */
export function projectPoints(points: Tensor, projection: Operand, size: Operand, { minDepth = 1e-5 }: { readonly minDepth?: number } = {}): Tensor {
  const places = points.shape.slice(1, -1);
  const location = applyOp(projectPointsOp, [reshape(points, [points.at(0), sizeOf(places), points.at(-1)]), projection, size], { minDepth });
  return reshape(location, [points.at(0), ...places, location.at(2), 2]);
}

/**
 * Corners of oriented boxes on the ground.
 * @param boxes [...R, 5] = x, y (m), length along the heading, width (m), yaw (rad, counter-clockwise)
 * @returns [...R, 4, 2]: rear right, rear left, front left, front right
 * @throws ShapeError when the boxes have not 5 numbers
 */
export function boxCorners(boxes: Tensor): Tensor {
  if (boxes.at(-1) !== 5) throw new ShapeError(`boxCorners: boxes do not fit, expected [..., 5], got ${formatType(boxes.type)}. A box is x, y, length, width, yaw.`);
  const signs = boxes.graph.constant([-0.5, -0.5, -0.5, 0.5, 0.5, 0.5, 0.5, -0.5], [4, 2]);
  const pose = concat([slice(boxes, -1, 0, 2), slice(boxes, -1, 4, 5)], -1);
  return rotatePoints(mul(expandDims(slice(boxes, -1, 2, 4), -2), signs), pose);
}

/**
 * Which boxes of two sets overlap (touching counts; separating-axis test), and how far: the shared area over the covered area.
 * Neither carries a gradient.
 * @param a [B, N, 5] = x, y (m), length, width (m), yaw (rad)
 * @param b [B, M, 5]
 * @returns overlap [B, N, M], 0 or 1, and iou [B, N, M]
 * @throws ShapeError when the shapes do not fit
 */
export function boxOverlap(a: Tensor, b: Operand): { readonly overlap: Tensor; readonly iou: Tensor } {
  const [overlap, iou] = a.graph.apply(boxOverlapOp, [a, b], {});
  if (!overlap || !iou) throw new ShapeError("boxOverlap: the op has two outputs.");
  return { overlap, iou };
}
