import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crossingLines, edgeLines } from "./map-lines.js";
import { longDirection, ringArea, unionOutlines, type Polygon } from "./polygon.js";
import { compose, invertRigid, quaternionYaw, rigidMotion } from "./rigid.js";

/** A rectangle turned about its centre. */
function rectangle(x: number, y: number, length: number, width: number, yaw = 0): Polygon {
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  const outline = [[1, 1], [-1, 1], [-1, -1], [1, -1]].flatMap(([u = 0, v = 0]) => [x + (u * length * c - v * width * s) / 2, y + (u * length * s + v * width * c) / 2]);
  return { outline, holes: [] };
}

const contains = (ring: readonly number[], x: number, y: number): boolean => {
  let inside = false;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
    const [px = 0, py = 0, qx = 0, qy = 0] = [ring[j], ring[j + 1], ring[i], ring[i + 1]];
    if (qy > y !== py > y && x < qx + ((y - qy) * (px - qx)) / (py - qy)) inside = !inside;
  }
  return inside;
};

describe("unionOutlines", () => {
  it("joins parts that share an edge, whatever their orientation, drivable on the right", () => {
    const right = rectangle(5, 0, 10, 4);
    const left = { outline: [-10, -2, -10, 2, 0, 2, 0, -2], holes: [] };
    const [outline, ...others] = unionOutlines([right, left]);
    expect(others).toEqual([]);
    expect(ringArea(outline ?? [])).toBeCloseTo(-80, 6);
  });

  it("keeps holes, cuts to the region, and closes lines", () => {
    const block = { outline: rectangle(0, 0, 40, 40).outline, holes: [rectangle(0, 0, 10, 10).outline] };
    expect(unionOutlines([block]).map(ringArea).sort((a, b) => a - b).map(Math.round)).toEqual([-1600, 100]);
    const lines = edgeLines([block], { minX: -30, minY: 0, maxX: 15, maxY: 30 });
    expect(lines.length).toBe(1);
    const points = Array.from(lines[0]?.points ?? []);
    expect([points[0], points[1]]).toEqual(points.slice(-2));
    expect(ringArea(points.slice(0, -2))).toBeCloseTo(-(35 * 20 - 10 * 5), 3);
    expect(edgeLines([], { minX: 0, minY: 0, maxX: 1, maxY: 1 })).toEqual([]);
  });

  it("covers exactly the points its parts cover", () => {
    const part = fc.tuple(...[-20, -20, 2, 2, -3].map((low, i) => fc.double({ min: low, max: [20, 20, 25, 25, 3][i] as number, noNaN: true })));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 7 }), fc.double({ min: -30, max: 30, noNaN: true }), fc.double({ min: -30, max: 30, noNaN: true }), (parts, x, y) => {
        const polygons = parts.map(([px = 0, py = 0, length = 1, width = 1, yaw = 0]) => rectangle(px, py, length, width, yaw));
        const inUnion = unionOutlines(polygons).filter((ring) => contains(ring, x, y)).length % 2 === 1;
        const inParts = polygons.some(({ outline }) => contains(outline, x, y));
        if (inUnion === inParts) return;
        // Rounding may decide for a point within a millimetre of an edge.
        const nudged = [-1e-3, 1e-3].flatMap((d) => [[x + d, y], [x, y + d]]).map(([u = 0, v = 0]) => polygons.some(({ outline }) => contains(outline, u, v)));
        expect(new Set(nudged).size).toBe(2);
      }),
      { numRuns: 300 },
    );
  });
});

describe("longDirection", () => {
  it("is that of the turned rectangle's longer side", () => {
    fc.assert(
      fc.property(fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: 1.1, max: 5, noNaN: true }), (yaw, ratio) => {
        const [ux, uy] = longDirection(rectangle(100, -50, 3 * ratio, 3, yaw).outline);
        expect(Math.abs(ux * Math.cos(yaw) + uy * Math.sin(yaw))).toBeCloseTo(1, 6);
      }),
    );
  });
});

describe("crossingLines", () => {
  const ids = (parts: readonly (readonly [string, Polygon])[]): string[] => crossingLines(parts).map(({ id }) => id);

  it("merges parallel crossings that touch, the largest first", () => {
    const lines = crossingLines([["small", rectangle(9, 0, 6, 4, 0.05)], ["large", rectangle(0, 0, 14, 4)]]);
    expect(lines.map(({ id }) => id)).toEqual(["large"]);
    const points = Array.from(lines[0]?.points ?? []);
    expect([points[0], points[1]]).toEqual(points.slice(-2));
    expect(Math.abs(ringArea(points.slice(0, -2)))).toBeGreaterThan(14 * 4 + 4 * 4);
  });

  it("leaves alone what crosses at an angle or lies apart, and keeps its points", () => {
    const [a, b, c] = [rectangle(0, 0, 14, 4), rectangle(9, 0, 14, 4, Math.PI / 2), rectangle(0, 9, 14, 4)];
    expect(ids([["a", a], ["b", b], ["c", c]]).sort()).toEqual(["a", "b", "c"]);
    expect(Array.from(crossingLines([["a", a]])[0]?.points.subarray(0, 8) ?? [])).toEqual(a.outline);
    // Parallel, rectangles around them meet, the surfaces do not.
    expect(ids([["a", rectangle(0, 0, 15, 2, 0.7)], ["b", rectangle(-2, 4, 14, 2, 0.7)]])).toEqual(["a_0", "a_1"]);
  });
});

describe("rigid motions", () => {
  it("turn about z by the quaternion's yaw, and invert", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 7, maxLength: 7 }), (v) => {
        const norm = Math.hypot(...v.slice(0, 4));
        fc.pre(norm > 0.1);
        const q = v.slice(0, 4).map((x) => x / norm);
        const m = rigidMotion(q, v.slice(4));
        const yaw = quaternionYaw(q);
        expect(yaw > -Math.PI && yaw <= Math.PI).toBe(true);
        const along = Math.hypot(m[0] ?? 0, m[4] ?? 0);
        expect((m[0] ?? 0) - along * Math.cos(yaw)).toBeCloseTo(0, 9);
        expect((m[4] ?? 0) - along * Math.sin(yaw)).toBeCloseTo(0, 9);
        compose(m, invertRigid(m)).forEach((x, i) => expect(x).toBeCloseTo(i % 5 === 0 ? 1 : 0, 9));
      }),
    );
  });
});
