import type { Anchors, FeatureOptions, StreamBatches } from "@distilldrive/datasets";
import { imitation, type ImitationWeights } from "@distilldrive/losses";
import type { ForwardContext } from "@distilldrive/nn";
import type { StoredTensor, Tensor } from "@distilldrive/tensor";
import { streamSource, type Task, type TrainedPlanner } from "@distilldrive/training";
import type { StudentConfig } from "./config.js";
import { type CameraImageSource, studentRig } from "./images.js";
import { studentInputs, studentTargets } from "./inputs.js";
import { createStudent, studentMemory } from "./student.js";

/** How a student is trained. */
export interface StudentTaskOptions {
  readonly config: StudentConfig;
  readonly anchors: Anchors;
  readonly batches: StreamBatches;
  /** Lanes B of the batches. */
  readonly lanes: number;
  readonly loss: ImitationWeights;
  /** Probability of dropout at all published sites; 0 for none. */
  readonly dropout: number;
  readonly images: CameraImageSource;
}

/** Feature options for a student alone: it needs no annotated agents or map lines, so one slot each will do. */
export const STUDENT_FEATURES: FeatureOptions = { maxAgents: 1, maxLines: 1 };

/** The forward context of a training step. */
export function trainingContext(dropout: number, key: Tensor): ForwardContext {
  return { training: true, dropout: dropout > 0 ? { rate: dropout, key } : null };
}

/** The student's training by imitation alone, for `fit`. */
export function studentTask({ config, anchors, batches, lanes, loss, dropout, images }: StudentTaskOptions): Task {
  const student = createStudent(config, anchors, studentRig(config));
  const memory = studentMemory(config, lanes);
  const objective = imitation(loss);
  return {
    name: "student",
    model: { model: student, memory },
    batches: streamSource(batches, { more: images.inputs }),
    trace: (graph, key) => {
      const outputs = student.forward(studentInputs(graph, config, lanes), { memory, context: trainingContext(dropout, key) });
      const { total, terms } = graph.scope("loss", () => objective(outputs, studentTargets(graph, lanes)));
      return { loss: total, terms };
    },
  };
}

/** A trained student for evaluation. @param values variables by name, see `modelValues` */
export function trainedStudent(config: StudentConfig, anchors: Anchors, values: ReadonlyMap<string, StoredTensor>, images: CameraImageSource): TrainedPlanner {
  const student = createStudent(config, anchors, studentRig(config));
  return {
    name: "student",
    model: student,
    values,
    features: STUDENT_FEATURES,
    memory: (lanes) => studentMemory(config, lanes),
    trace: (graph, lanes, memory) => student.forward(studentInputs(graph, config, lanes), { memory: memory as ReturnType<typeof studentMemory> }),
    more: images.inputs,
  };
}
