import { RenderError } from "./errors.js";

/**
 * A pinhole camera fixed to the ego vehicle.
 *
 * Ego frame: origin at the rear-axle centre on the ground, x forward, y left, z up. Camera frame: x right, y down,
 * z forward (the optical axis). Pixels: u right, v down, in pixels from the image's upper left CORNER, so the centre
 * of pixel (i, j) lies at (i + 0.5, j + 0.5).
 */
export interface Camera {
  /** e.g. `CAM_FRONT`. */
  readonly name: string;
  /** [3, 3] row-major pinhole matrix in pixels of the native image. */
  readonly intrinsics: Float64Array;
  /** Width of the native image, px. */
  readonly nativeWidth: number;
  /** Height of the native image, px. */
  readonly nativeHeight: number;
  /** [4, 4] row-major, takes ego-frame points (m) to camera-frame points (m). */
  readonly cameraFromEgo: Float64Array;
}

/** Width and height of an image in pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/**
 * A camera from the way calibration files store one.
 *
 * @param name camera name
 * @param intrinsics [3, 3] row-major, pixels of the native image
 * @param rotation [3, 3] row-major, takes camera-frame vectors to ego-frame vectors
 * @param position [3] m, optical centre in the ego frame
 * @param native size of the native image, default 1600 x 900
 * @throws RenderError when an array has the wrong length or a value is not finite
 */
export function cameraFromCalibration(
  name: string,
  intrinsics: ArrayLike<number>,
  rotation: ArrayLike<number>,
  position: ArrayLike<number>,
  native: ImageSize = { width: 1600, height: 900 },
): Camera {
  const k = finiteArray(name, "intrinsics", intrinsics, 9);
  const r = finiteArray(name, "rotation", rotation, 9);
  const t = finiteArray(name, "position", position, 3);
  const cameraFromEgo = new Float64Array(16);
  for (let row = 0; row < 3; row++) {
    let offset = 0;
    for (let column = 0; column < 3; column++) {
      const value = at(r, column * 3 + row);
      cameraFromEgo[row * 4 + column] = value;
      offset -= value * at(t, column);
    }
    cameraFromEgo[row * 4 + 3] = offset;
  }
  cameraFromEgo[15] = 1;
  return { name, intrinsics: k, nativeWidth: native.width, nativeHeight: native.height, cameraFromEgo };
}

/**
 * A level camera: `focal` px at 1600 x 900, principal point in the middle column, looking along `yaw`.
 *
 * @param name camera name
 * @param focal px at 1600 x 900
 * @param yaw rad, direction of view in the ego frame, 0 ahead, counter-clockwise
 * @param position [3] m, optical centre in the ego frame
 * @param principalRow px at 1600 x 900, row of the horizon
 */
export function levelCamera(name: string, focal: number, yaw: number, position: readonly [number, number, number], principalRow = 490): Camera {
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  // Columns: the camera's right, down and forward axes in the ego frame.
  const rotation = [s, 0, c, -c, 0, s, 0, -1, 0];
  return cameraFromCalibration(name, [focal, 0, 800, 0, focal, principalRow, 0, 0, 1], rotation, position);
}

/**
 * Six cameras like nuScenes', in its order: front, front right, front left, back, back left, back right.
 *
 * Focal lengths, heights, positions and the horizon's row are the rounded calibration of real cars (checked against one
 * within 3 degrees, 0.1 m and 2.5 %). Angles and positions are made left-right symmetric and the principal column is the
 * middle one, so that mirroring a scene equals flipping the images and swapping left and right cameras.
 */
export function nuscenesRig(): Camera[] {
  const degree = Math.PI / 180;
  return [
    levelCamera("CAM_FRONT", 1266, 0, [1.7, 0, 1.51]),
    levelCamera("CAM_FRONT_RIGHT", 1266, -55 * degree, [1.54, -0.49, 1.5]),
    levelCamera("CAM_FRONT_LEFT", 1266, 55 * degree, [1.54, 0.49, 1.5]),
    levelCamera("CAM_BACK", 809, 180 * degree, [0.03, 0, 1.58]),
    levelCamera("CAM_BACK_LEFT", 1266, 110 * degree, [1.03, 0.48, 1.58]),
    levelCamera("CAM_BACK_RIGHT", 1266, -110 * degree, [1.03, -0.48, 1.58]),
  ];
}

/**
 * Intrinsics of a camera at another resolution: the horizontal field of view is kept, pixels stay square as in the native
 * image, and rows are cropped (or added) so that the principal row, where a level camera sees the horizon, keeps its
 * relative height in the image.
 *
 * @param camera the camera
 * @param size image size in px
 * @returns [3, 3] row-major, px of the requested image
 */
export function intrinsicsFor(camera: Camera, size: ImageSize): Float64Array {
  const scale = size.width / camera.nativeWidth;
  const k = camera.intrinsics;
  return Float64Array.of(
    at(k, 0) * scale, at(k, 1) * scale, at(k, 2) * scale,
    0, at(k, 4) * scale, (at(k, 5) / camera.nativeHeight) * size.height,
    0, 0, 1,
  );
}

/**
 * The projection of ego-frame points: (u z, v z, z) = P (x, y, z, 1).
 *
 * @param camera the camera
 * @param size image size in px
 * @returns [3, 4] row-major
 */
export function imageFromEgo(camera: Camera, size: ImageSize): Float64Array {
  const k = intrinsicsFor(camera, size);
  const projection = new Float64Array(12);
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 4; column++) {
      let sum = 0;
      for (let inner = 0; inner < 3; inner++) sum += at(k, row * 3 + inner) * at(camera.cameraFromEgo, inner * 4 + column);
      projection[row * 4 + column] = sum;
    }
  }
  return projection;
}

/**
 * Projects points into an image, in float64: the reference the renderer is tested against.
 *
 * @param points [N, 3] m, ego frame
 * @param camera the camera
 * @param size image size in px
 * @returns [N, 3] u, v (px from the upper left corner; NaN behind the camera), depth along the optical axis (m)
 */
export function projectToImage(points: ArrayLike<number>, camera: Camera, size: ImageSize): Float64Array {
  const p = imageFromEgo(camera, size);
  const count = Math.floor(points.length / 3);
  const out = new Float64Array(count * 3);
  for (let i = 0; i < count; i++) {
    const [x, y, z] = [at(points, i * 3), at(points, i * 3 + 1), at(points, i * 3 + 2)];
    const row = (r: number): number => at(p, r * 4) * x + at(p, r * 4 + 1) * y + at(p, r * 4 + 2) * z + at(p, r * 4 + 3);
    const depth = row(2);
    out[i * 3] = depth > 0 ? row(0) / depth : Number.NaN;
    out[i * 3 + 1] = depth > 0 ? row(1) / depth : Number.NaN;
    out[i * 3 + 2] = depth;
  }
  return out;
}

function finiteArray(name: string, what: string, values: ArrayLike<number>, length: number): Float64Array {
  const array = Float64Array.from(values);
  if (array.length !== length || !array.every(Number.isFinite)) {
    throw new RenderError(`camera ${name}: bad ${what}, expected ${length} finite numbers, got [${array.join(", ")}]. Pass them row-major.`);
  }
  return array;
}

function at(array: ArrayLike<number>, index: number): number {
  return array[index] ?? 0;
}
