import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connect, curvePoint, filletedPolyline, offsetCurve, type Curve } from "./curve.js";

/** Largest violations of what makes a curve smooth and honest about its length. */
function flaws(curve: Curve): { spacing: number; heading: number; curvature: number } {
  let spacing = 0;
  let heading = 0;
  let curvature = 0;
  for (let i = 1; i < curve.x.length; i++) {
    const dx = (curve.x[i] as number) - (curve.x[i - 1] as number);
    const dy = (curve.y[i] as number) - (curve.y[i - 1] as number);
    const turn = (curve.yaw[i] as number) - (curve.yaw[i - 1] as number);
    const mean = ((curve.yaw[i] as number) + (curve.yaw[i - 1] as number)) / 2;
    const chord = turn === 0 ? curve.step : curve.step * Math.sin(turn / 2) / (turn / 2);
    const between = ((curve.curvature[i] as number) + (curve.curvature[i - 1] as number)) / 2;
    spacing = Math.max(spacing, Math.abs(Math.hypot(dx, dy) - chord));
    heading = Math.max(heading, Math.abs(Math.sin(Math.atan2(dy, dx) - mean)));
    curvature = Math.max(curvature, Math.abs(turn / curve.step - between));
  }
  return { spacing, heading, curvature };
}

const angle = fc.double({ min: -1.7, max: 1.7, noNaN: true });
const metres = fc.double({ min: 15, max: 60, noNaN: true });

describe("town curves", () => {
  it("joins straight lines by fillets that end where the polygon ends, heading and curvature continuous", () => {
    fc.assert(fc.property(angle, angle, metres, metres, metres, (first, second, a, b, c) => {
      const p1 = [a, 0] as const;
      const p2 = [p1[0] + b * Math.cos(first), p1[1] + b * Math.sin(first)] as const;
      const end = [p2[0] + c * Math.cos(first + second), p2[1] + c * Math.sin(first + second)] as const;
      const curve = filletedPolyline([[0, 0], p1, p2, end], [20, 20]);
      const last = curvePoint(curve, curve.length);
      expect(Math.hypot(last.x - end[0], last.y - end[1])).toBeLessThan(2e-3);
      expect(last.yaw).toBeCloseTo(first + second, 5);
      expect(flaws(curve)).toEqual({
        spacing: expect.closeTo(0, 2) as number,
        heading: expect.closeTo(0, 1) as number,
        curvature: expect.closeTo(0, 1) as number,
      });
    }), { seed: 5, numRuns: 100 });
  });

  it("connects poses exactly, straight at both ends", () => {
    fc.assert(fc.property(angle, metres, fc.double({ min: -3, max: 3, noNaN: true }), (turn, reach, aside) => {
      const to = {
        x: reach * (1 + Math.cos(turn)) - aside * Math.sin(turn),
        y: reach * Math.sin(turn) + aside * Math.cos(turn),
        yaw: turn + 2 * Math.PI,
      };
      const curve = connect({ x: 0, y: 0, yaw: 0 }, to, 30);
      const last = curvePoint(curve, curve.length);
      expect(Math.hypot(last.x - to.x, last.y - to.y)).toBeLessThan(2e-3);
      expect(last.yaw).toBeCloseTo(turn, 6);
      expect(curve.curvature[0]).toBeCloseTo(0, 6);
      expect(curve.curvature.at(-1)).toBeCloseTo(0, 6);
    }), { seed: 6, numRuns: 100 });
  });

  it("keeps a parallel curve at its distance, with its own length", () => {
    const curve = filletedPolyline([[0, 0], [60, 0], [60, 60]], [25]);
    for (const distance of [-8, 8]) {
      const parallel = offsetCurve(curve, distance, 5, curve.length - 5);
      expect(parallel.length).toBeCloseTo(curve.length - 10 - distance * (Math.PI / 2), 4);
      expect(flaws(parallel).spacing).toBeLessThan(1e-3);
      for (let s = 0; s <= parallel.length; s += 3) {
        const { x, y } = curvePoint(parallel, s);
        let nearest = Infinity;
        for (let t = 0; t <= curve.length; t += 0.1) {
          const point = curvePoint(curve, t);
          nearest = Math.min(nearest, Math.hypot(point.x - x, point.y - y));
        }
        expect(nearest).toBeCloseTo(8, 2);
      }
    }
  });
});
