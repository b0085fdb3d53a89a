import { describe, expect, it } from "vitest";
import { describeScene } from "./describe.js";
import { fixtureScene } from "./scene.fixture.js";

describe("describeScene", () => {
  it("counts and measures", () => {
    const { distance, meanSpeed, topSpeed, duration, ...rest } = describeScene(fixtureScene({ jumps: [100] }));
    // One of 119 steps of 0.6 m is the jump.
    expect(distance).toBeCloseTo(118 * 0.6, 1);
    expect(duration).toBeCloseTo(11.9, 9);
    expect(meanSpeed).toBeCloseTo(distance / 11.9, 9);
    expect(topSpeed).toBeCloseTo(6, 1);
    expect(rest).toEqual({
      id: "fixture-0",
      source: "synthetic",
      drivingSide: "right",
      frames: 120,
      keyframes: 24,
      usableFrames: 70,
      agents: { car: 1, truck: 1, bus: 1, pedestrian: 1, traffic_cone: 1 },
      commands: { right: 0, left: 70, straight: 0 },
      jumps: [100],
      lines: { ped_crossing: 1, divider: 1, boundary: 2 },
      lanes: 2,
    });
  });
});
