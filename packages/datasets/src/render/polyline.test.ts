import { lawRuns } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clipPolyline, clipToSlab, dashPolyline, simplifyPolyline } from "./polyline.js";

const coordinate = fc.double({ min: -100, max: 100, noNaN: true });
const polyline = fc.array(fc.tuple(coordinate, coordinate), { minLength: 2, maxLength: 12 }).map((points) => Float64Array.from(points.flat()));

function lengthOf(points: Float64Array): number {
  let sum = 0;
  for (let i = 2; i < points.length; i += 2) sum += Math.hypot((points[i] ?? 0) - (points[i - 2] ?? 0), (points[i + 1] ?? 0) - (points[i - 1] ?? 0));
  return sum;
}

describe("polylines", () => {
  it("are cut at a rectangle", () => {
    const line = Float64Array.of(-10, 0, 10, 0, 10, 20, 0, 20, 0, 1);
    const parts = clipPolyline(line, { minX: -5, minY: -5, maxX: 5, maxY: 5 });
    expect(parts.map((part) => [...part.points])).toEqual([[-5, 0, 5, 0], [0, 5, 0, 1]]);
    expect(parts.map((part) => part.start)).toEqual([5, 65]);
  });

  it("keep, when cut, exactly what lies inside", () => {
    const bounds = { minX: -50, minY: -50, maxX: 50, maxY: 50 };
    fc.assert(
      fc.property(polyline, (points) => {
        const inside = clipPolyline(points, bounds);
        for (const { points: part } of inside) {
          for (const value of part) expect(Math.abs(value)).toBeLessThan(50 + 1e-9);
        }
        // Sampled length inside equals the parts' length.
        let sampled = 0;
        for (let i = 2; i < points.length; i += 2) {
          const [ax, ay, bx, by] = [points[i - 2] ?? 0, points[i - 1] ?? 0, points[i] ?? 0, points[i + 1] ?? 0];
          for (let k = 0; k < 400; k++) {
            const t = (k + 0.5) / 400;
            const within = Math.abs(ax + t * (bx - ax)) <= 50 && Math.abs(ay + t * (by - ay)) <= 50;
            if (within) sampled += Math.hypot(bx - ax, by - ay) / 400;
          }
        }
        const total = inside.reduce((sum, part) => sum + lengthOf(part.points), 0);
        expect(Math.abs(total - sampled)).toBeLessThan((points.length / 2) * 2);
      }),
      lawRuns({ runs: 200, name: "clipped length" }),
    );
  });

  it("become dashes whose phase survives clipping", () => {
    const straight = { points: Float64Array.of(0, 0, 4, 0, 20, 0), start: 0 };
    expect(dashPolyline(straight, 3, 5).map((dash) => [...dash])).toEqual([[0, 0, 3, 0], [8, 0, 11, 0], [16, 0, 19, 0]]);
    const [clipped] = clipPolyline(straight.points, { minX: 9, minY: -1, maxX: 17.5, maxY: 1 });
    if (clipped === undefined) throw new Error("nothing left");
    expect(dashPolyline(clipped, 3, 5).map((dash) => [...dash])).toEqual([[9, 0, 11, 0], [16, 0, 17.5, 0]]);
    // A dash may go round a corner.
    const corner = dashPolyline({ points: Float64Array.of(0, 0, 2, 0, 2, 9), start: 0 }, 3, 5);
    expect(corner.map((dash) => [...dash])).toEqual([[0, 0, 2, 0, 2, 1], [2, 6, 2, 9]]);
  });

  it("lose only points near the line", () => {
    fc.assert(
      fc.property(polyline, fc.double({ min: 0.01, max: 20, noNaN: true }), (points, tolerance) => {
        const simple = simplifyPolyline(points, tolerance);
        expect([...simple.subarray(0, 2), ...simple.subarray(-2)]).toEqual([...points.subarray(0, 2), ...points.subarray(-2)]);
        for (let i = 0; i < points.length; i += 2) {
          let nearest = Infinity;
          for (let k = 2; k < simple.length; k += 2) nearest = Math.min(nearest, distance(points, i, simple, k));
          expect(nearest).toBeLessThan(tolerance + 1e-9);
        }
      }),
      lawRuns({ runs: 200, name: "simplified distance" }),
    );
  });

  it("are cut between parallel lines", () => {
    const square = Float64Array.of(0, 0, 4, 0, 4, 4, 0, 4);
    const strip = clipToSlab(square, [1, 0], 1, 1.5);
    const xs = [...strip].filter((_, i) => i % 2 === 0);
    expect([Math.min(...xs), Math.max(...xs)]).toEqual([1, 1.5]);
    expect(clipToSlab(square, [0, 1], 5, 6).length).toBe(0);
  });
});

function distance(points: Float64Array, i: number, line: Float64Array, k: number): number {
  const [x, y, ax, ay] = [points[i] ?? 0, points[i + 1] ?? 0, line[k - 2] ?? 0, line[k - 1] ?? 0];
  const [dx, dy] = [(line[k] ?? 0) - ax, (line[k + 1] ?? 0) - ay];
  const squared = dx * dx + dy * dy;
  const t = squared === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / squared));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}
