import { imageFromEgo, intrinsicsFor, type Camera, type ImageSize } from "./camera.js";
import type { GroundPose, PlacedBox } from "./boxes.js";
import type { MapMesh } from "./map-mesh.js";
import type { Bounds } from "./polyline.js";
import type { MeshCell } from "./mesh-builder.js";
import { AGENT_COLORS, AGENT_STYLES } from "./palette.js";

/** Nearest visible depth, m. */
export const NEAR = 0.2;
/** Bytes of a view's uniforms; also the alignment every device accepts for dynamic offsets. */
export const VIEW_BYTES = 256;
/** Floats of a box instance: centre, cos, sin, size, colour, style. */
export const BOX_FLOATS = 12;

/** One camera at one pose, in float64, in a scene's local frame. */
export interface View {
  /** [4, 4] row-major, clip from local. Clip z is the constant NEAR and w the depth: reversed depth, 1 at NEAR, 0 at infinity. */
  readonly clipFromLocal: Float64Array;
  /** m, local frame, optical centre. */
  readonly eye: readonly [number, number, number];
  /** Ego-frame ray directions (not normalised) at the image centre, and their change per unit of clip x and y: only their z is used. */
  readonly rays: readonly Float64Array[];
}

/** What a camera at a resolution contributes to each of its views. */
export interface CameraOptics {
  /** [4, 4] row-major, clip from ego; see {@link View.clipFromLocal} for clip space. */
  readonly clipFromEgo: Float64Array;
  /** m, ego frame, optical centre. */
  readonly centre: readonly [number, number, number];
  /** See {@link View.rays}. */
  readonly rays: readonly Float64Array[];
}

/** Computes a camera's optics once for all its views. */
export function opticsOf(camera: Camera, size: ImageSize): CameraOptics {
  const image = imageFromEgo(camera, size);
  const clipFromEgo = new Float64Array(16);
  for (let k = 0; k < 4; k++) {
    const depth = image[8 + k] ?? 0;
    clipFromEgo[k] = (2 / size.width) * (image[k] ?? 0) - depth;
    clipFromEgo[4 + k] = depth - (2 / size.height) * (image[4 + k] ?? 0);
    clipFromEgo[12 + k] = depth;
  }
  clipFromEgo[11] = NEAR;
  const m = camera.cameraFromEgo;
  // The rotation's inverse is its transpose.
  const inEgo = (x: number, y: number, z: number): [number, number, number] => {
    const axis = (k: number): number => (m[k] ?? 0) * x + (m[4 + k] ?? 0) * y + (m[8 + k] ?? 0) * z;
    return [axis(0), axis(1), axis(2)];
  };
  const intrinsics = intrinsicsFor(camera, size);
  const [fx, cx, fy, cy] = [intrinsics[0] ?? 1, intrinsics[2] ?? 0, intrinsics[4] ?? 1, intrinsics[5] ?? 0];
  return {
    clipFromEgo,
    centre: inEgo(-(m[3] ?? 0), -(m[7] ?? 0), -(m[11] ?? 0)),
    rays: [
      inEgo((size.width / 2 - cx) / fx, (size.height / 2 - cy) / fy, 1),
      inEgo(size.width / 2 / fx, 0, 0),
      inEgo(0, -size.height / 2 / fy, 0),
    ].map((ray) => Float64Array.from(ray)),
  };
}

/**
 * The view of a camera.
 *
 * @param optics the camera's
 * @param ego pose of the ego
 * @param origin m, world position of the local frame's (0, 0); local z is the height above the ego's ground
 * @param mirror show the scene reflected at the ego's vertical middle plane (left becomes right)
 */
export function viewOf(optics: CameraOptics, ego: GroundPose, origin: readonly [number, number], mirror: boolean): View {
  const [c, s] = [Math.cos(ego.yaw), Math.sin(ego.yaw)];
  const side = mirror ? -1 : 1;
  const [tx, ty] = [origin[0] - ego.x, origin[1] - ego.y];
  const egoFromLocal = [c, s, 0, c * tx + s * ty, -s * side, c * side, 0, (c * ty - s * tx) * side, 0, 0, 1, 0, 0, 0, 0, 1];
  const clipFromLocal = new Float64Array(16);
  for (let row = 0; row < 4; row++) {
    for (let column = 0; column < 4; column++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += (optics.clipFromEgo[row * 4 + k] ?? 0) * (egoFromLocal[k * 4 + column] ?? 0);
      clipFromLocal[row * 4 + column] = sum;
    }
  }
  const [ex, ey, ez] = optics.centre;
  const eye = [c * ex - s * side * ey - tx, s * ex + c * side * ey - ty, ez] as const;
  return { clipFromLocal, eye, rays: optics.rays };
}

/**
 * Writes a view's uniforms.
 *
 * @param view the view
 * @param ego pose of the ego
 * @param origin see {@link viewOf}
 * @param range m, where the haze becomes opaque
 * @param out VIEW_BYTES / 4 floats
 */
export function packView(view: View, ego: GroundPose, origin: readonly [number, number], range: number, out: Float32Array): void {
  for (let row = 0; row < 4; row++) for (let column = 0; column < 4; column++) out[column * 4 + row] = view.clipFromLocal[row * 4 + column] ?? 0;
  out.set([...view.eye, range], 16);
  view.rays.forEach((ray, i) => out.set(ray, 20 + i * 4));
  out.set([ego.x - origin[0], ego.y - origin[1]], 32);
}

/** The cells of a map a view may see within `range` m of the ego. */
export function visibleCells(mesh: Pick<MapMesh, "cells" | "origin">, view: View, ego: GroundPose, range: number): MeshCell[] {
  const [x, y] = [ego.x - mesh.origin[0], ego.y - mesh.origin[1]];
  return mesh.cells.filter(({ bounds }) => distanceTo(bounds, x, y) < range && maySee(view.clipFromLocal, bounds));
}

function distanceTo(b: Bounds, x: number, y: number): number {
  return Math.hypot(Math.max(b.minX - x, 0, x - b.maxX), Math.max(b.minY - y, 0, y - b.maxY));
}

/** False when all four ground corners lie outside one of the image's left and right borders or behind the camera. */
function maySee(m: Float64Array, b: Bounds): boolean {
  let [left, right, behind] = [0, 0, 0];
  for (const [x, y] of [[b.minX, b.minY], [b.maxX, b.minY], [b.minX, b.maxY], [b.maxX, b.maxY]] as const) {
    const clipX = (m[0] ?? 0) * x + (m[1] ?? 0) * y + (m[3] ?? 0);
    const depth = (m[12] ?? 0) * x + (m[13] ?? 0) * y + (m[15] ?? 0);
    // A metre of slack covers curbs and cameras that are not level.
    if (clipX < -depth - 1) left++;
    if (clipX > depth + 1) right++;
    if (depth < NEAR - 1) behind++;
  }
  return left < 4 && right < 4 && behind < 4;
}

/**
 * Appends the boxes a view may see to an instance list.
 *
 * @param boxes boxes of the frame
 * @param view the view
 * @param origin see {@link viewOf}
 * @param out receives BOX_FLOATS floats a box
 * @returns the number of boxes appended
 */
export function packVisibleBoxes(boxes: readonly PlacedBox[], view: View, origin: readonly [number, number], out: number[]): number {
  const m = view.clipFromLocal;
  // A point `radius` away changes clip x by at most radius * |its row|, and the depth by at most radius.
  const spread = 1 + Math.hypot(m[0] ?? 0, m[1] ?? 0, m[2] ?? 0);
  let count = 0;
  for (const box of boxes) {
    const [x, y, z] = [box.x - origin[0], box.y - origin[1], box.z];
    const radius = Math.hypot(...box.size) / 2;
    const clipX = (m[0] ?? 0) * x + (m[1] ?? 0) * y + (m[2] ?? 0) * z + (m[3] ?? 0);
    const depth = (m[12] ?? 0) * x + (m[13] ?? 0) * y + (m[14] ?? 0) * z + (m[15] ?? 0);
    if (depth < NEAR - radius || Math.abs(clipX) > depth + radius * spread) continue;
    const color = AGENT_COLORS[box.category];
    out.push(x, y, z, Math.cos(box.yaw), Math.sin(box.yaw), ...box.size, color[0] / 255, color[1] / 255, color[2] / 255, AGENT_STYLES[box.category]);
    count++;
  }
  return count;
}
