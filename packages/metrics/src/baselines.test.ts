import { readFileSync } from "node:fs";
import { sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { BASELINES, constantTurnRate, constantVelocity, standStill, type BaselinePlanner } from "./baselines.js";
import { planningMetrics } from "./planning-metrics.js";

const status = (forward: number, left: number, rate: number): { egoStatus: number[] } => ({ egoStatus: [0, 0, 0, 0, 0, rate, forward, left, 0, 0] });

describe("baselines", () => {
  it("stand, or drive straight ahead along +y", () => {
    expect(Array.from(standStill())).toEqual(Array.from({ length: 12 }, () => 0));
    for (const planner of [constantVelocity, constantTurnRate]) {
      const plan = planner(status(8, 0, 0));
      expect(Array.from(plan, (value) => Math.abs(value))).toEqual([0, 4, 0, 8, 0, 12, 0, 16, 0, 20, 0, 24]);
    }
  });

  it("turn around the rear axle: after half a circle the origin looks back", () => {
    const rate = Math.PI / 3;
    const radius = 5 / rate;
    const plan = constantTurnRate(status(5, 0, rate));
    // Rear axle: from (0, -0.94) to 2 radii to the left; the lidar then hangs 0.94 m behind it in y.
    expect(plan[10]).toBeCloseTo(-2 * radius, 9);
    expect(plan[11]).toBeCloseTo(-2 * 0.94, 9);
    expect(constantTurnRate(status(5, 0, rate), { ahead: 0 })[11]).toBeCloseTo(0, 9);
  });

  it("start with the same velocity, lever arm included", () => {
    const [x = NaN] = constantVelocity(status(6, 0.2, 0.3));
    expect(x).toBeCloseTo(-0.5 * (0.2 + 0.3 * 0.94), 12);
    const small = status(6, 0.2, 1e-7);
    expect(constantTurnRate(small)[11]).toBeCloseTo(constantVelocity(small)[11] ?? NaN, 5);
  });

  it("refuse a status that is not ten numbers", () => {
    expect(() => constantVelocity({ egoStatus: [1, 2] })).toThrow("expected 10 ([10]), got 2");
  });
});

interface Keyframe {
  readonly heading: number;
  readonly speed_prev_0p5s: number | null;
  readonly waypoints: readonly (readonly [number, number])[];
  readonly future_crosses_splice: boolean;
}

const keyframes = sharedPath("data", "keyframes");

describe.skipIf(keyframes === null)("baselines on real keyframes", () => {
  // Average cumulative L2 of the rear axle, from the speed and turn of the last 0.5 s, over keyframes with 1 s of past.
  const yardsticks: readonly [string[], number, number][] = [
    [["0655", "1094"], 0.85, 0.83],
    [["0061", "1077"], 0.82, 0.74],
  ];
  it.each(yardsticks)("reach the yardsticks on %s", (scenes, velocity, turnRate) => {
    expect(Math.abs(averageL2(scenes, BASELINES["constant velocity"]) - velocity)).toBeLessThan(0.02);
    expect(Math.abs(averageL2(scenes, BASELINES["constant turn rate"]) - turnRate)).toBeLessThan(0.02);
  });
});

function averageL2(scenes: readonly string[], planner: BaselinePlanner): number {
  const metrics = planningMetrics();
  for (const scene of scenes) {
    const file = readFileSync(`${keyframes ?? ""}/scene-${scene}.json`, "utf8");
    const { keyframes: frames } = JSON.parse(file) as { keyframes: Keyframe[] };
    frames.forEach(({ heading, speed_prev_0p5s: speed, waypoints, future_crosses_splice: crosses }, k) => {
      const previous = frames[k - 1];
      if (k < 2 || crosses || waypoints.length < 6 || speed === null || previous === undefined) return;
      const turn = Math.atan2(Math.sin(heading - previous.heading), Math.cos(heading - previous.heading));
      const positions = waypoints.flatMap(([forward, left]) => [-left, forward]);
      metrics.add({
        waypoints: planner(status(speed, 0, turn / 0.5), { ahead: 0 }),
        sample: {
          command: 2,
          egoFuture: positions.map((value, i) => value - (positions[i - 2] ?? 0)),
          egoFutureMask: [1, 1, 1, 1, 1, 1],
          futureObstacles: [],
        },
      });
    });
  }
  const { overall } = metrics.result();
  expect(overall?.samples).toBeGreaterThan(60);
  return overall?.cumulative.l2.average ?? NaN;
}
