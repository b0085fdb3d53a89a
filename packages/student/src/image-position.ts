import { mlp, type Sequential } from "@distilldrive/nn";
import { add, buffer, parameter, reshape, ShapeError, type Graph, type Tensor, type Variable } from "@distilldrive/tensor";

/** A pinhole camera of the rig, for the resolution the student sees. */
export interface RigCamera {
  /** [3, 3] row-major, px */
  readonly intrinsics: ArrayLike<number>;
  /** [4, 4] row-major, ego frame (rear axle on the ground; x forward, y left, z up; m) to camera frame (x right, y down, z ahead) */
  readonly cameraFromEgo: ArrayLike<number>;
}

/** Numbers that describe where a token looks: direction (3), point on the ground (2), whether it sees ground (1). */
const RAY_CHANNELS = 6;
/** m: points on the ground farther away count as sky. */
const HORIZON = 60;

/** Positions of image tokens. */
export interface ImagePosition {
  /** [1, V * h * w, D] */
  (graph: Graph): Tensor;
  /** Buffer [V * h * w, 6] */
  readonly rays: Variable;
  /** [V, 1, D] one learned vector per camera */
  readonly camera: Variable;
  readonly ray_mlp: Sequential;
}

/**
 * Where each token's centre looks, in model axes (x right, y forward, z up).
 *
 * @param image px of a camera image
 * @param tokens tokens per column and row
 * @returns [V * h * w, 6] unit direction, ground point / 60 m (0 where the ray meets no ground within 60 m), 1 if it does
 */
export function tokenRays(
  cameras: readonly RigCamera[],
  image: { readonly height: number; readonly width: number },
  tokens: { readonly height: number; readonly width: number },
): Float32Array {
  const rays: number[] = [];
  for (const { intrinsics, cameraFromEgo } of cameras) {
    const k = (index: number): number => intrinsics[index] ?? 0;
    const e = (row: number, column: number): number => cameraFromEgo[row * 4 + column] ?? 0;
    /** Rotates a camera-frame vector into the ego frame. */
    const turn = (v: readonly number[]): number[] => [0, 1, 2].map((axis) => v.reduce((total, value, row) => total + value * e(row, axis), 0));
    const centre = turn([e(0, 3), e(1, 3), e(2, 3)]).map((value) => -value);
    for (let row = 0; row < tokens.height; row++) {
      for (let column = 0; column < tokens.width; column++) {
        const u = ((column + 0.5) * image.width) / tokens.width;
        const v = ((row + 0.5) * image.height) / tokens.height;
        const y = (v - k(5)) / k(4);
        const inCamera = [(u - k(2) - k(1) * y) / k(0), y, 1];
        const length = Math.hypot(...inCamera);
        const [forward = 0, left = 0, up = 0] = turn(inCamera.map((value) => value / length));
        const reach = up < 0 ? -(centre[2] ?? 0) / up : Number.POSITIVE_INFINITY;
        const sees = reach < HORIZON;
        const ground = sees ? [-((centre[1] ?? 0) + reach * left) / HORIZON, ((centre[0] ?? 0) + reach * forward) / HORIZON] : [0, 0];
        rays.push(-left, forward, up, ...ground, sees ? 1 : 0);
      }
    }
  }
  return Float32Array.from(rays);
}

/**
 * Position embedding of image tokens: an MLP of the ray through the token's centre plus a learned vector per camera.
 *
 * @throws ShapeError when the rig has no camera
 */
export function imagePosition(
  channels: number,
  cameras: readonly RigCamera[],
  image: { readonly height: number; readonly width: number },
  tokens: { readonly height: number; readonly width: number },
): ImagePosition {
  const views = cameras.length;
  const perView = tokens.height * tokens.width;
  if (views === 0) throw new ShapeError("imagePosition: the rig is empty, expected at least one camera, got 0. Pass the renderer's rig.");
  const rays = buffer([views * perView, RAY_CHANNELS], { kind: "data", data: tokenRays(cameras, image, tokens) });
  const camera = parameter([views, 1, channels], { kind: "normal", standardDeviation: 0.1 });
  const ray_mlp = mlp(RAY_CHANNELS, channels, channels);
  const apply = (graph: Graph): Tensor => {
    const perRay = reshape(ray_mlp(graph.variable(rays)), [views, perView, channels]);
    return reshape(add(perRay, camera), [1, views * perView, channels]);
  };
  return Object.assign(apply, { rays, camera, ray_mlp });
}
