import { describe, expect, it } from "vitest";
import { motionErrors, motionMetrics } from "./motion-metrics.js";

describe("motionErrors", () => {
  const truth = [0, 1, 0, 2, 0, 3];
  // Mode 0 is 1 m off at every step; mode 1 is right until it ends 2 m off.
  const modes = [1, 1, 1, 2, 1, 3, 0, 1, 0, 2, 2, 3];

  it("takes the best mode of each kind, over annotated steps", () => {
    expect(motionErrors({ modes, truth, mask: [1, 1, 1] })).toEqual({ minADE: 2 / 3, minFDE: 1 });
    expect(motionErrors({ modes, truth, mask: [1, 1, 0] })).toEqual({ minADE: 0, minFDE: 0 });
    expect(motionErrors({ modes, truth, mask: [0, 0, 0] })).toBeNull();
  });

  it("ignores garbage at masked steps and refuses it elsewhere", () => {
    expect(motionErrors({ modes: [NaN, 0, 0, 2], truth: [NaN, 0, 0, 2], mask: [0, 1] })).toEqual({ minADE: 0, minFDE: 0 });
    expect(() => motionErrors({ modes: [NaN, 0], truth: [0, 0], mask: [1] })).toThrow("got NaN");
    expect(() => motionErrors({ modes: [0, 0, 0], truth: [0, 0], mask: [1] })).toThrow("[M, T, 2]");
    expect(() => motionErrors({ modes: [], truth: [0, 0], mask: [1] })).toThrow("[M, T, 2]");
  });

  it("averages over agents and counts misses", () => {
    const metrics = motionMetrics();
    expect(metrics.result()).toEqual({ minADE: null, minFDE: null, missRate: null, agents: 0 });
    metrics.add({ modes: [0, 1], truth: [0, 0], mask: [1] });
    metrics.add({ modes: [0, 3], truth: [0, 0], mask: [1] });
    metrics.add({ modes: [0, 3], truth: [0, 0], mask: [0] });
    expect(metrics.result()).toEqual({ minADE: 2, minFDE: 2, missRate: 0.5, agents: 2 });
  });
});
