import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a rotation of points. */
export interface RotateShape {
  readonly rows: number;
  /** Points a pose moves. */
  readonly count: number;
}

/** Sizes of a projection. */
export interface ProjectShape {
  readonly batch: number;
  readonly points: number;
  readonly cameras: number;
  /** Least depth, m. Default 1e-5. */
  readonly minDepth?: number;
}

/** Plain-loop rotation by `direction` times the yaw, then a shift. */
export function rotatePointsReference(
  { rows, count }: RotateShape,
  { input, output, direction, shift }: { readonly input: string; readonly output: string; readonly direction: number; readonly shift: number },
  inputs: Arrays,
): Record<string, Float64Array> {
  const points = arrayOf(inputs, input, rows * count * 2);
  const poses = arrayOf(inputs, "poses", rows * 3);
  const y = new Float64Array(rows * count * 2);
  for (let i = 0; i < rows * count; i++) {
    const pose = Math.floor(i / count) * 3;
    const [c, s] = [Math.cos(direction * at(poses, pose + 2)), Math.sin(direction * at(poses, pose + 2))];
    const [px, py] = [at(points, 2 * i), at(points, 2 * i + 1)];
    y[2 * i] = px * c - py * s + shift * at(poses, pose);
    y[2 * i + 1] = px * s + py * c + shift * at(poses, pose + 1);
  }
  return { [output]: y };
}

/** Plain-loop gradient of a rotation to its poses. */
export function posesGradientReference({ rows, count }: RotateShape, inputs: Arrays): { dposes: Float64Array } {
  const points = arrayOf(inputs, "points", rows * count * 2);
  const poses = arrayOf(inputs, "poses", rows * 3);
  const dy = arrayOf(inputs, "dy", rows * count * 2);
  const dposes = new Float64Array(rows * 3);
  for (let i = 0; i < rows * count; i++) {
    const pose = Math.floor(i / count) * 3;
    const [c, s] = [Math.cos(at(poses, pose + 2)), Math.sin(at(poses, pose + 2))];
    const [px, py, gx, gy] = [at(points, 2 * i), at(points, 2 * i + 1), at(dy, 2 * i), at(dy, 2 * i + 1)];
    dposes[pose] = at(dposes, pose) + gx;
    dposes[pose + 1] = at(dposes, pose + 1) + gy;
    dposes[pose + 2] = at(dposes, pose + 2) + gx * (-px * s - py * c) + gy * (px * c - py * s);
  }
  return { dposes };
}

/** Visits every point and camera: their numbers, and the first three rows of the projection times the point. */
function eachProjection({ batch, points, cameras }: ProjectShape, inputs: Arrays, visit: (row: number, camera: number, place: number, product: readonly [number, number, number]) => void): void {
  const xyz = arrayOf(inputs, "points", batch * points * 3);
  const projection = arrayOf(inputs, "projection", batch * cameras * 16);
  for (let row = 0; row < batch * points; row++) {
    for (let number = 0; number < cameras; number++) {
      const camera = Math.floor(row / points) * cameras + number;
      const along = (line: number): number => {
        const first = camera * 16 + line * 4;
        return at(projection, first) * at(xyz, 3 * row) + at(projection, first + 1) * at(xyz, 3 * row + 1) + at(projection, first + 2) * at(xyz, 3 * row + 2) + at(projection, first + 3);
      };
      visit(row, camera, row * cameras + number, [along(0), along(1), along(2)]);
    }
  }
}

/** Plain-loop projection. */
export function projectPointsReference(shape: ProjectShape, inputs: Arrays): { location: Float64Array } {
  const { batch, points, cameras, minDepth = 1e-5 } = shape;
  const size = arrayOf(inputs, "size", batch * cameras * 2);
  const location = new Float64Array(batch * points * cameras * 2);
  eachProjection(shape, inputs, (_, camera, place, [x, y, z]) => {
    location[2 * place] = x / Math.max(z, minDepth) / at(size, 2 * camera);
    location[2 * place + 1] = y / Math.max(z, minDepth) / at(size, 2 * camera + 1);
  });
  return { location };
}

/** Plain-loop gradient of a projection to its points. */
export function projectPointsBackwardReference(shape: ProjectShape, inputs: Arrays): { dpoints: Float64Array } {
  const { batch, points, cameras, minDepth = 1e-5 } = shape;
  const projection = arrayOf(inputs, "projection", batch * cameras * 16);
  const size = arrayOf(inputs, "size", batch * cameras * 2);
  const dlocation = arrayOf(inputs, "dlocation", batch * points * cameras * 2);
  const dpoints = new Float64Array(batch * points * 3);
  eachProjection(shape, inputs, (row, camera, place, [x, y, z]) => {
    const depth = Math.max(z, minDepth);
    const gx = at(dlocation, 2 * place) / at(size, 2 * camera) / depth;
    const gy = at(dlocation, 2 * place + 1) / at(size, 2 * camera + 1) / depth;
    const gz = z > minDepth ? -(gx * x + gy * y) / depth : 0;
    for (let k = 0; k < 3; k++) {
      const of = (line: number): number => at(projection, camera * 16 + line * 4 + k);
      dpoints[3 * row + k] = at(dpoints, 3 * row + k) + gx * of(0) + gy * of(1) + gz * of(2);
    }
  });
  return { dpoints };
}
