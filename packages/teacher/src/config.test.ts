import { Graph, parametersOf, planProgram, portableTarget, sizeOf } from "@distilldrive/tensor";
import { expect, test } from "vitest";
import { TEACHER_PRESETS } from "./config.js";
import { teacherInputs } from "./inputs.js";
import { createTeacher, teacherMemory } from "./teacher.js";

test.each([
  { preset: "tiny", parameters: "0.43 M", work: "45 MFLOP" },
  { preset: "small", parameters: "2.52 M", work: "774 MFLOP" },
] as const)("$preset has $parameters parameters and needs $work for a frame, as the README says", ({ preset, parameters, work }) => {
  const config = TEACHER_PRESETS[preset];
  const anchors = { plan: new Float32Array(3 * 6 * 12), motion: new Float32Array(10 * 6 * 24) };
  const teacher = createTeacher(config, anchors);
  const graph = new Graph();
  const { plan, motion } = teacher.forward(teacherInputs(graph, config, 1), { memory: teacherMemory(config, 1) });
  for (const name of ["logits", "deltas", "status"] as const) graph.output(name, plan[name]);
  if (motion) for (const name of ["logits", "deltas"] as const) graph.output(`motion.${name}`, motion[name]);
  const count = [...parametersOf(teacher).values()].reduce((total, { shape }) => total + sizeOf(shape), 0);
  expect(`${(count / 1e6).toFixed(2)} M`).toBe(parameters);
  const flops = planProgram(graph, portableTarget).launches.reduce((total, { kernel }) => total + kernel.cost.flops, 0);
  expect(`${Math.round(flops / 1e6)} MFLOP`).toBe(work);
});
