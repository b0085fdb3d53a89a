import { lawRuns } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boxCorners, boxesIntersect, type OrientedBox } from "./oriented-box.js";
import { pathCollisions } from "./plan-score.js";

const box = (x: number, y: number, length: number, width: number, yaw = 0): OrientedBox => ({ x, y, length, width, yaw });
/** Hundredths: random enough, and quick to shrink. */
const number = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min: 100 * min, max: 100 * max }).map((hundredths) => hundredths / 100);
const boxes = fc.record({ x: number(-4, 4), y: number(-4, 4), length: number(0.2, 8), width: number(0.2, 4), yaw: number(-7, 7) });

describe("boxesIntersect", () => {
  it("counts touching, in any direction the rounding of sines allows", () => {
    expect(boxesIntersect(box(0, 0, 4, 2), box(4, 0, 4, 2))).toBe(true);
    expect(boxesIntersect(box(0, 0, 4, 2), box(4.001, 0, 4, 2))).toBe(false);
    for (const yaw of [0.3, 1.2, Math.PI / 2, 2.5, -3]) {
      const ahead = box(4 * Math.cos(yaw), 4 * Math.sin(yaw), 4, 2, yaw);
      expect(boxesIntersect(box(0, 0, 4, 2, yaw), ahead)).toBe(true);
      expect(boxesIntersect(box(0, 0, 3.999, 2, yaw), ahead)).toBe(false);
    }
  });

  it("sees crossings without a corner inside, and corners that pass by", () => {
    expect(boxesIntersect(box(0, 0, 10, 1), box(0, 0, 10, 1, Math.PI / 2))).toBe(true);
    expect(boxesIntersect(box(0, 0, 2, 2), box(1.6, 1.6, 2, 2, Math.PI / 4))).toBe(true);
    expect(boxesIntersect(box(0, 0, 2, 2), box(1.8, 1.8, 2, 2, Math.PI / 4))).toBe(false);
  });

  it("is symmetric, and agrees with sampled points: a shared point means a hit", () => {
    fc.assert(
      fc.property(boxes, boxes, (a, b) => {
        const hit = boxesIntersect(a, b);
        expect(boxesIntersect(b, a)).toBe(hit);
        const corners = boxCorners(a);
        for (let i = 0; i <= 10; i += 1) {
          for (let j = 0; j <= 10; j += 1) {
            if (!contains(b, pointOf(corners, i / 10, j / 10))) continue;
            expect(hit).toBe(true);
          }
        }
      }),
      lawRuns({ runs: 300, name: "boxesIntersect sampled" }),
    );
  });

  it("agrees with crossing edges and centres inside, up to a micrometre", () => {
    const meet = (a: OrientedBox, b: OrientedBox): boolean =>
      contains(a, [b.x, b.y]) || contains(b, [a.x, a.y]) || edgesCross(boxCorners(a), boxCorners(b));
    const resized = (outer: OrientedBox, by: number): OrientedBox => ({ ...outer, length: outer.length + by, width: outer.width + by });
    fc.assert(
      fc.property(boxes, boxes, (a, b) => {
        const hit = boxesIntersect(a, b);
        if (hit) expect(meet(resized(a, 1e-6), b)).toBe(true);
        else expect(meet(resized(a, -1e-6), b)).toBe(false);
      }),
      lawRuns({ runs: 500, name: "boxesIntersect edges" }),
    );
  });
});

describe("pathCollisions", () => {
  it("puts the ego's centre half a metre ahead and ignores padding rows", () => {
    const standing = new Float64Array(12);
    // Ego looks along +y: its front is at 0.5 + 4.084 / 2 = 2.542 m, its rear at -1.542 m.
    const at = (y: number): Float64Array => Float64Array.of(0, y, 1, 1, 0);
    const hit = (y: number): number => pathCollisions(standing, [at(y)])[0] ?? -1;
    expect([hit(3.04), hit(3.05), hit(-2.04), hit(-2.05)]).toEqual([1, 0, 1, 0]);
    expect(Array.from(pathCollisions(standing, [new Float64Array(10), at(3)]))).toEqual([0, 1, 0, 0, 0, 0]);
  });
});

function pointOf(corners: Float64Array, u: number, v: number): [number, number] {
  const at = (k: number): number => corners[k] ?? NaN;
  return [0, 1].map((axis) => at(axis) + u * (at(2 + axis) - at(axis)) + v * (at(6 + axis) - at(axis))) as [number, number];
}

function contains(outer: OrientedBox, [x, y]: readonly [number, number]): boolean {
  const cos = Math.cos(outer.yaw);
  const sin = Math.sin(outer.yaw);
  const along = (x - outer.x) * cos + (y - outer.y) * sin;
  const across = -(x - outer.x) * sin + (y - outer.y) * cos;
  return Math.abs(along) <= outer.length / 2 && Math.abs(across) <= outer.width / 2;
}

/** Whether any edge of one quadrilateral crosses one of the other; collinear contacts are left to the caller. */
function edgesCross(a: Float64Array, b: Float64Array): boolean {
  const point = (quad: Float64Array, k: number): [number, number] => [quad[(2 * k) % 8] ?? NaN, quad[(2 * k + 1) % 8] ?? NaN];
  const side = (p: [number, number], q: [number, number], r: [number, number]): number =>
    Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  for (let i = 0; i < 4; i += 1) {
    for (let j = 0; j < 4; j += 1) {
      const [p, q, r, s] = [point(a, i), point(a, i + 1), point(b, j), point(b, j + 1)];
      if (side(p, q, r) !== side(p, q, s) && side(r, s, p) !== side(r, s, q)) return true;
    }
  }
  return false;
}
