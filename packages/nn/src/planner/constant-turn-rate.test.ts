import { cumsum, Graph, interpret } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { constantTurnRate } from "./constant-turn-rate.js";

describe("constantTurnRate", () => {
  it("is the exact arc of the rear axle, seen from the lidar", () => {
    const graph = new Graph();
    const cases = [[8, 0.3], [5, -0.2], [12, 0], [0, 0.4], [3, 1e-6]] as const;
    const speeds = graph.constant(cases.map(([speed]) => speed), [cases.length]);
    const rates = graph.constant(cases.map(([, rate]) => rate), [cases.length]);
    graph.output("positions", cumsum(constantTurnRate(speeds, rates, { steps: 6 }), 1));
    const positions = interpret(graph).outputs.get("positions") ?? [];
    cases.forEach(([speed, rate], row) => {
      for (let step = 1; step <= 6; step++) {
        const turned = rate * 0.5 * step;
        const travelled = speed * 0.5 * step;
        const ahead = Math.abs(rate) < 1e-9 ? travelled : (speed / rate) * Math.sin(turned);
        const left = Math.abs(rate) < 1e-9 ? 0 : (speed / rate) * (1 - Math.cos(turned));
        const at = (row * 6 + step - 1) * 2;
        expect(positions[at]).toBeCloseTo(-(left + 0.94 * Math.sin(turned)), 6);
        expect(positions[at + 1]).toBeCloseTo(ahead + 0.94 * (Math.cos(turned) - 1), 6);
      }
    });
  });
});
