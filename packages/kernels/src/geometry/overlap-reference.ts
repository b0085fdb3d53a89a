import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";

/** Sizes of a pairwise overlap. */
export interface OverlapShape {
  readonly batch: number;
  readonly countA: number;
  readonly countB: number;
}

type Point = readonly [number, number];

/** Corners of a box (x, y, length, width, yaw), counter-clockwise. */
function cornersOf(boxes: Float64Array, box: number): Point[] {
  const [x, y, length, width, yaw] = [0, 1, 2, 3, 4].map((k) => at(boxes, 5 * box + k)) as [number, number, number, number, number];
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  return ([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]] as const).map(([along, across]) => [x + along * length * c - across * width * s, y + along * length * s + across * width * c]);
}

/** Axes along which a box's sides face. */
const axesOf = (boxes: Float64Array, box: number): Point[] => {
  const yaw = at(boxes, 5 * box + 4);
  return [[Math.cos(yaw), Math.sin(yaw)], [-Math.sin(yaw), Math.cos(yaw)]];
};

/** Widest gap between two boxes over the axes of both; <= 0 where they touch or overlap. */
export function gapBetween(a: Float64Array, i: number, b: Float64Array, j: number): number {
  const [own, other] = [cornersOf(a, i), cornersOf(b, j)];
  const gaps = [...axesOf(a, i), ...axesOf(b, j)].map(([ax, ay]) => {
    const onAxis = (corners: readonly Point[]): number[] => corners.map(([x, y]) => x * ax + y * ay);
    return Math.max(Math.min(...onAxis(own)) - Math.max(...onAxis(other)), Math.min(...onAxis(other)) - Math.max(...onAxis(own)));
  });
  return Math.max(...gaps);
}

/** Area two boxes share: one polygon cut along the sides of the other. */
function sharedArea(own: readonly Point[], other: readonly Point[]): number {
  let polygon = [...own];
  other.forEach(([x1, y1], side) => {
    const [x2, y2] = other[(side + 1) % 4] ?? [0, 0];
    const left = ([x, y]: Point): number => (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
    polygon = polygon.flatMap((here, k) => {
      const next = polygon[(k + 1) % polygon.length] ?? here;
      const [inside, after] = [left(here), left(next)];
      const share = inside / (inside - after);
      const cut: Point[] = inside >= 0 !== after >= 0 ? [[here[0] + (next[0] - here[0]) * share, here[1] + (next[1] - here[1]) * share]] : [];
      return inside >= 0 ? [here, ...cut] : cut;
    });
  });
  return Math.abs(polygon.reduce((sum, [x, y], k) => {
    const [nx, ny] = polygon[(k + 1) % polygon.length] ?? [0, 0];
    return sum + (x * ny - nx * y) / 2;
  }, 0));
}

/** Plain separating-axis test and clipped area of every pair. */
export function boxOverlapReference({ batch, countA, countB }: OverlapShape, inputs: Arrays): { overlap: Float64Array; iou: Float64Array } {
  const a = arrayOf(inputs, "a", batch * countA * 5);
  const b = arrayOf(inputs, "b", batch * countB * 5);
  const overlap = new Float64Array(batch * countA * countB);
  const iou = new Float64Array(overlap.length);
  for (let i = 0; i < batch * countA; i++) {
    for (let k = 0; k < countB; k++) {
      const j = Math.floor(i / countA) * countB + k;
      if (gapBetween(a, i, b, j) > 0) continue;
      const area = sharedArea(cornersOf(a, i), cornersOf(b, j));
      const covered = at(a, 5 * i + 2) * at(a, 5 * i + 3) + at(b, 5 * j + 2) * at(b, 5 * j + 3) - area;
      overlap[i * countB + k] = 1;
      iou[i * countB + k] = covered > 0 ? area / covered : 0;
    }
  }
  return { overlap, iou };
}
