import type { Anchors } from "@distilldrive/datasets";
import { type DistillationWeights, imitation } from "@distilldrive/losses";
import { createStudent, studentInputs, studentMemory, studentRig, studentTargets, type StudentTaskOptions, trainingContext } from "@distilldrive/student";
import { createTeacher, teacherInputs, teacherMemory, type TeacherConfig } from "@distilldrive/teacher";
import { add, type StoredTensor } from "@distilldrive/tensor";
import { streamSource, type Task } from "@distilldrive/training";
import { distillationLoss } from "./distillation-loss.js";

/** A trained teacher. */
export interface TeacherOfRecord {
  readonly config: TeacherConfig;
  readonly anchors: Anchors;
  /** Variables by name. */
  readonly values: ReadonlyMap<string, StoredTensor>;
}

/** How a student is distilled. The batches must carry the teacher's features, see `teacherFeatures`. */
export interface DistillTaskOptions extends StudentTaskOptions {
  readonly teacher: TeacherOfRecord;
  readonly weights: DistillationWeights;
}

/**
 * The student's training by imitation and by distillation from a frozen teacher, for `fit`. Teacher and student see the
 * same frames; the teacher runs at inference, without dropout, with a memory of its own.
 */
export function distillTask({ config, anchors, batches, lanes, loss, dropout, images, teacher, weights }: DistillTaskOptions): Task {
  const student = createStudent(config, anchors, studentRig(config));
  const memory = studentMemory(config, lanes);
  const teacherModel = createTeacher(teacher.config, teacher.anchors);
  const teacherQueues = teacherMemory(teacher.config, lanes);
  const objective = imitation(loss);
  return {
    name: "distill",
    model: { model: student, memory, teacherMemory: teacherQueues },
    frozen: { model: teacherModel, values: teacher.values },
    batches: streamSource(batches, { more: images.inputs }),
    trace: (graph, key) => {
      const seen = graph.scope("teacher", () => teacherModel.forward(teacherInputs(graph, teacher.config, lanes), { memory: teacherQueues }));
      const made = graph.scope("student", () => student.forward(studentInputs(graph, config, lanes), { memory, context: trainingContext(dropout, key) }));
      const own = graph.scope("loss", () => objective(made, studentTargets(graph, lanes)));
      if (Object.values(weights).every((weight) => weight === 0)) return { loss: own.total, terms: own.terms };
      const distilled = graph.scope("loss", () => distillationLoss(student, made, seen, weights));
      return { loss: add(own.total, distilled.total), terms: { ...own.terms, ...distilled.terms } };
    },
  };
}
