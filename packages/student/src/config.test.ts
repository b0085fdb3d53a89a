import { Graph, parametersOf, planProgram, portableTarget, sizeOf } from "@distilldrive/tensor";
import { expect, test } from "vitest";
import { STUDENT_PRESETS } from "./config.js";
import { studentRig } from "./images.js";
import { studentInputs } from "./inputs.js";
import { createStudent, studentMemory } from "./student.js";

test.each([
  { preset: "tiny", parameters: "0.38 M", work: "51 MFLOP" },
  { preset: "small", parameters: "2.27 M", work: "725 MFLOP" },
] as const)("$preset has $parameters parameters and needs $work for a frame, as the README says", ({ preset, parameters, work }) => {
  const config = STUDENT_PRESETS[preset];
  const anchors = { plan: new Float32Array(3 * 6 * 12) };
  const student = createStudent(config, anchors, studentRig(config));
  const graph = new Graph();
  const { plan } = student.forward(studentInputs(graph, config, 1), { memory: studentMemory(config, 1) });
  for (const name of ["logits", "deltas", "status"] as const) graph.output(name, plan[name]);
  const count = [...parametersOf(student).values()].reduce((total, { shape }) => total + sizeOf(shape), 0);
  expect(`${(count / 1e6).toFixed(2)} M`).toBe(parameters);
  const flops = planProgram(graph, portableTarget).launches.reduce((total, { kernel }) => total + kernel.cost.flops, 0);
  expect(`${Math.round(flops / 1e6)} MFLOP`).toBe(work);
});
