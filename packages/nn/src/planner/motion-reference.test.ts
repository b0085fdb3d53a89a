import { Graph, interpret } from "@distilldrive/tensor";
import { expect, it } from "vitest";
import { expectClose } from "../golden.fixture.js";
import { constantVelocityMotion } from "./motion-reference.js";

it("constantVelocityMotion: half the velocity in every step, per agent", () => {
  const graph = new Graph();
  const boxes = [[3, -1], [0, 0], [0.5, 8], [-2, 4]];
  const anchors = boxes.flatMap(([vx = 0, vy = 0]) => [9, 8, 7, 1, 2, 3, 0.6, 0.8, vx, vy]);
  const motion = constantVelocityMotion(graph.constant(anchors, [2, 2, 10]), 3);
  expect(motion.shape).toEqual([2, 2, 1, 3, 2]);
  graph.output("motion", motion);
  expectClose(interpret(graph).outputs.get("motion"), boxes.flatMap(([vx = 0, vy = 0]) => [vx / 2, vy / 2, vx / 2, vy / 2, vx / 2, vy / 2]), 1e-6, "motion");
});
