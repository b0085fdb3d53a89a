import { describe, expect, it } from "vitest";
import { planningMetrics, type PlanningTruth } from "./planning-metrics.js";

/** Drives straight ahead, 1 m a step. */
const straight: PlanningTruth = {
  command: 2,
  egoFuture: [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
  egoFutureMask: [1, 1, 1, 1, 1, 1],
  futureObstacles: [],
};

describe("planningMetrics", () => {
  it("reports both conventions and their averages", () => {
    const metrics = planningMetrics();
    // 0.1 m further to the right with every step: errors 0.1 .. 0.6 m.
    metrics.add({ displacements: [0.1, 1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1, 1], sample: straight });
    const { overall, byCommand, skipped } = metrics.result();
    const rounded = (values: object | undefined): object =>
      Object.fromEntries(Object.entries(values ?? {}).map(([key, value]) => [key, Math.round(1e9 * Number(value)) / 1e9]));
    expect(rounded(overall?.atStep.l2)).toEqual({ at1s: 0.2, at2s: 0.4, at3s: 0.6, average: 0.4 });
    expect(rounded(overall?.cumulative.l2)).toEqual({ at1s: 0.15, at2s: 0.25, at3s: 0.35, average: 0.25 });
    expect([byCommand.right, byCommand.left, byCommand.straight?.samples, skipped]).toEqual([null, null, 1, 0]);
  });

  it("counts a collision unless the driven path collides too", () => {
    const metrics = planningMetrics();
    const wall = Float64Array.of(0, 8, 4, 1, 0);
    const stopped = new Float64Array(12);
    const fast = { displacements: straight.egoFuture, sample: { ...straight, egoFuture: stopped, futureObstacles: [[], [], [], [], [], wall] } };
    expect(Array.from(metrics.add(fast)?.collision ?? [])).toEqual([0, 0, 0, 0, 0, 1]);
    const both = { displacements: straight.egoFuture, sample: { ...straight, futureObstacles: [[], [], [], [], [], wall] } };
    const score = metrics.add(both);
    expect([score?.collision[5], score?.truthCollision[5]]).toEqual([0, 1]);
    const { overall } = metrics.result();
    expect(overall?.atStep.collision).toEqual({ at1s: 0, at2s: 0, at3s: 0.5, average: 0.5 / 3 });
    expect(overall?.cumulative.collision.at3s).toBeCloseTo(0.5 / 6, 12);
    expect(overall?.perStep.truthCollision).toEqual([0, 0, 0, 0, 0, 0.5]);
  });

  it("skips samples whose driven future is incomplete, and has no scores without samples", () => {
    const metrics = planningMetrics();
    expect(metrics.add({ waypoints: new Float64Array(12), sample: { ...straight, egoFutureMask: [1, 1, 1, 1, 1, 0] } })).toBeNull();
    expect(metrics.result()).toEqual({ overall: null, byCommand: { right: null, left: null, straight: null }, skipped: 1 });
  });

  it("refuses malformed plans and counts nothing then", () => {
    const metrics = planningMetrics();
    expect(() => metrics.add({ waypoints: [0, 1, 2], sample: straight })).toThrow("expected 12 ([6, 2] positions), got 3");
    expect(() => metrics.add({ waypoints: new Float64Array(12).fill(NaN), sample: straight })).toThrow("got NaN");
    expect(() => metrics.add({ waypoints: new Float64Array(12), sample: { ...straight, command: 3 } })).toThrow("unknown command");
    expect(metrics.result().overall).toBeNull();
  });
});
