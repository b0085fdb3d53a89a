import { wrapAngle } from "../angles.js";
import { LIDAR_OFFSET, type Scene } from "../schema.js";

/** Placement of the model frame (x right, y forward, origin at the lidar) in the world. */
export interface ModelFrame {
  /** m, world frame: the lidar. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** Cosine and sine of the ego heading. */
  readonly cos: number;
  readonly sin: number;
  /** rad, world frame. */
  readonly heading: number;
}

/** The model frame of the ego at a frame. */
export function modelFrame(scene: Scene, frame: number): ModelFrame {
  const { position, heading } = scene.ego;
  const h = heading[frame] ?? 0;
  const [cos, sin] = [Math.cos(h), Math.sin(h)];
  return {
    x: (position[3 * frame] ?? 0) + LIDAR_OFFSET.forward * cos,
    y: (position[3 * frame + 1] ?? 0) + LIDAR_OFFSET.forward * sin,
    z: (position[3 * frame + 2] ?? 0) + LIDAR_OFFSET.up,
    cos,
    sin,
    heading: h,
  };
}

/** x (right) of a world vector in model axes. */
export const rightOf = (frame: ModelFrame, dx: number, dy: number): number => frame.sin * dx - frame.cos * dy;
/** y (forward) of a world vector in model axes. */
export const forwardOf = (frame: ModelFrame, dx: number, dy: number): number => frame.cos * dx + frame.sin * dy;
/** Yaw in the model frame of a world heading. */
export const modelYaw = (frame: ModelFrame, heading: number): number => wrapAngle(heading - frame.heading + Math.PI / 2);

/** [4, 4] row-major matrix from the model frame to the world frame. */
export function worldFromModel({ x, y, z, cos, sin }: ModelFrame): Float64Array {
  return Float64Array.of(sin, cos, 0, x, -cos, sin, 0, y, 0, 0, 1, z, 0, 0, 0, 1);
}

/**
 * Product inverse(a) x b of two rigid motions.
 * @param a [4, 4] row-major rotation and translation
 * @param b [4, 4] likewise
 * @returns [4, 4] row-major
 */
export function relativeMotion(a: Float64Array, b: Float64Array): Float64Array {
  const at = (m: Float64Array, r: number, c: number): number => m[4 * r + c] ?? 0;
  const out = new Float64Array(16);
  for (let r = 0; r < 3; r++) {
    for (let c = 0; c < 4; c++) {
      let sum = 0;
      // The inverse of a rotation is its transpose.
      for (let k = 0; k < 3; k++) sum += at(a, k, r) * (at(b, k, c) - (c === 3 ? at(a, k, 3) : 0));
      out[4 * r + c] = sum;
    }
  }
  out[15] = 1;
  return out;
}
