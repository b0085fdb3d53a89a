import { createStudent, STUDENT_PRESETS, type StudentConfig, studentInputs } from "@distilldrive/student";
import { createTeacher, TEACHER_PRESETS, type TeacherConfig, teacherInputs } from "@distilldrive/teacher";
import { gradients, Graph, initialValues, interpret, parametersOf, sizeOf, sumSquares, variablesOf } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { distillationLoss } from "./distillation-loss.js";

const B = 1;
const TEACHER: TeacherConfig = { ...TEACHER_PRESETS.tiny, channels: 16, heads: 2, maxAgents: 3, maxLines: 2 };
const STUDENT: StudentConfig = {
  ...STUDENT_PRESETS.tiny,
  channels: 16,
  heads: 2,
  cameras: 1,
  image: { height: 8, width: 8 },
  imageChannels: [4, 16],
  queries: 3,
  teacherChannels: 16,
};
const PLAN = Float32Array.from({ length: 216 }, (_, i) => Math.sin(i) * 4);
const CAMERA = { intrinsics: [8, 0, 4, 0, 8, 4, 0, 0, 1], cameraFromEgo: [0, -1, 0, 0, 0, 0, -1, 1.5, 1, 0, 0, 0, 0, 0, 0, 1] };
const OFF = { encoderFeature: 0, decoderFeature: 0, classification: 0, regression: 0 };

function trace(weights: typeof OFF) {
  const graph = new Graph();
  const teacher = createTeacher(TEACHER, { plan: PLAN, motion: new Float32Array(1440) });
  const student = createStudent(STUDENT, { plan: PLAN }, [CAMERA]);
  const seen = teacher.forward(teacherInputs(graph, TEACHER, B, { stream: false }));
  const made = student.forward(studentInputs(graph, STUDENT, B, { stream: false }), { context: { training: true, dropout: null } });
  return { graph, teacher, student, seen, made, ...distillationLoss(student, made, seen, weights) };
}

/** First values of the models' variables and inputs made of sines. */
function bindings({ graph, teacher, student }: ReturnType<typeof trace>) {
  const inputs: Record<string, number[]> = {};
  for (const { source, outputs } of graph.nodes) {
    if (source?.kind !== "input") continue;
    const size = sizeOf(outputs[0]?.shape ?? []);
    inputs[source.name] = Array.from({ length: size }, (_, i) => (/mask/i.test(source.name) ? 1 : /labels/i.test(source.name) ? i % 3 : Math.sin(i + source.name.length)));
  }
  const variables = new Map([...variablesOf({ teacher, student })].map(([name, variable]) => [variable, initialValues(variable.init, sizeOf(variable.shape), 2, name)]));
  return { inputs, variables };
}

describe("distillationLoss", () => {
  it("reaches the student's planner and adapter, never the teacher, and leaves the teacher's statistics alone", () => {
    const traced = trace({ encoderFeature: 1, decoderFeature: 1, classification: 1, regression: 1 });
    const { graph, teacher, student, total } = traced;
    const norms = (model: unknown, prefix: string): void => {
      const parameters = [...parametersOf(model)];
      gradients(total, parameters.map(([, variable]) => variable)).forEach((gradient, i) => graph.output(`${prefix}${parameters[i]?.[0] ?? ""}`, sumSquares(gradient)));
    };
    norms(teacher, "teacher ");
    norms(student, "student ");
    const { outputs } = interpret(graph, bindings(traced));
    for (const [name, value] of outputs) if (name.startsWith("teacher ")) expect(value[0], name).toBe(0);
    for (const name of ["feature_adapter.2.weight", "image_encoder.stages.0.weight", "plan_instance_encoder.0.weight", "layers.7.plan_cls_branch.6.weight", "layers.7.plan_reg_branch.4.weight"]) {
      expect(outputs.get(`student ${name}`)?.[0], name).toBeGreaterThan(0);
    }
    expect(graph.assignments).toHaveLength(0);
  });

  it("is zero where the student says what the teacher says", () => {
    const traced = trace(only("classification"));
    const { graph, seen, student } = traced;
    graph.output("same", distillationLoss(student, seen, seen, only("regression")).total);
    graph.output("kl", distillationLoss(student, seen, seen, only("classification")).total);
    graph.output("different", traced.total);
    const { outputs } = interpret(graph, bindings(traced));
    expect(outputs.get("same")?.[0]).toBe(0);
    expect(Math.abs(outputs.get("kl")?.[0] ?? 1)).toBeLessThan(1e-12);
    expect(outputs.get("different")?.[0]).toBeGreaterThan(1e-6);
  });

  it("switches terms on alone, and refuses to have none", () => {
    for (const name of Object.keys(OFF)) expect(Object.keys(trace(only(name)).terms)).toHaveLength(1);
    expect(() => trace(OFF)).toThrow(/every weight is 0/);
  });
});

function only(name: string): typeof OFF {
  return { ...OFF, [name]: 1 };
}
