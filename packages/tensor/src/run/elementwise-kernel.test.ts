import { compare, dataSeed, f32, lawRuns, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Graph } from "../graph.js";
import { interpret } from "../interpret.js";
import { add, mul, relu } from "../ops/elementwise.js";
import { sizeOf } from "../shape.js";
import { type Device, openDevice } from "./device.js";
import { compile } from "./program.js";

/** Extents that are and are not multiples of four, small ones, and enough rows for an invocation to take several steps. */
const shapes = fc.oneof(
  fc.array(fc.constantFrom(1, 2, 3, 4, 5, 8), { minLength: 0, maxLength: 5 }),
  fc.tuple(fc.constantFrom(1, 3), fc.integer({ min: 1000, max: 1300 }), fc.constantFrom(8, 9, 12)).map((shape): number[] => shape),
  fc.tuple(fc.integer({ min: 3, max: 40 }), fc.constantFrom(511, 512, 516)).map((shape): number[] => shape),
);

describe("elementwise kernels [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("agree with the reference however their inputs are broadcast, on this target and on a GPU's", async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.array(fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), { minLength: 2, maxLength: 2 }), fc.nat({ max: 2 }), dataSeed, async (shape, broadcast, cut, seed) => {
        const graph = new Graph();
        const whole = graph.input("x0", shape);
        const [a, b] = broadcast.map((axes, i) => graph.input(`x${i + 1}`, shape.map((n, axis) => (axes[axis] ? 1 : n)).slice(i === 1 ? Math.min(cut, shape.length) : 0)));
        if (!a || !b) return;
        graph.output("y", relu(add(mul(whole, a), b)));
        const inputs = Object.fromEntries([whole, a, b].map((input, i) => [`x${i}`, uniformData(sizeOf(input.shape), seed + i)]));
        const expected = interpret(graph, { inputs }).outputs.get("y") ?? new Float64Array(0);
        for (const target of [device.target, { ...device.target, class: "gpu" } as const]) {
          const program = await compile({ ...device, target }, graph);
          program.run(inputs);
          compare(await program.read("y"), expected, f32, { op: `elementwise ${target.class}`, shape: [whole, a, b].map((input) => input.shape), seed });
          expect(program.plan.launches.length).toBe(1);
          program.destroy();
        }
      }),
      lawRuns({ runs: 100, name: "elementwise kernels" }),
    );
  });
});
