import type { Anchors, Augmentation, FeatureOptions, StreamBatches } from "@distilldrive/datasets";
import { imitation, type ImitationWeights } from "@distilldrive/losses";
import { PUBLISHED_RESCORING } from "@distilldrive/nn";
import type { StoredTensor } from "@distilldrive/tensor";
import { type Slots, streamSource, type Task, type TrainedPlanner } from "@distilldrive/training";
import { TEACHER_PRESETS, type TeacherConfig } from "./config.js";
import { teacherInputs, teacherTargets } from "./inputs.js";
import { bucketedSource, type SlotBuckets, slotCombinations, withSlots } from "./slots.js";
import { createTeacher, teacherMemory } from "./teacher.js";

/** How a teacher is trained. */
export interface TeacherTaskOptions {
  readonly config: TeacherConfig;
  readonly anchors: Anchors;
  /** Batches with the teacher's {@link teacherFeatures}. */
  readonly batches: StreamBatches;
  /** Lanes B of the batches. */
  readonly lanes: number;
  readonly loss: ImitationWeights;
  /** Probability of dropout at all published sites; 0 for none. */
  readonly dropout: number;
  /** Random changes to the batches; default none. */
  readonly augmentation?: Augmentation;
  /** Sizes that the slots of a batch are cut to; default SLOT_BUCKETS. */
  readonly buckets?: SlotBuckets;
}

/** Feature options of samples a teacher of this size reads. */
export function teacherFeatures({ maxAgents, maxLines }: Pick<TeacherConfig, "maxAgents" | "maxLines">): FeatureOptions {
  return { maxAgents, maxLines };
}

/** The teacher's training by imitation, for `fit`. Model variables are saved under their published names behind `model.`. */
export function teacherTask({ config, anchors, batches, lanes, loss, dropout, augmentation, buckets }: TeacherTaskOptions): Task {
  const teacher = createTeacher(config, anchors);
  const memory = teacherMemory(config, lanes);
  const objective = imitation(loss);
  return {
    name: "teacher",
    model: { model: teacher, memory },
    batches: bucketedSource(streamSource(batches, augmentation ? { augmentation } : {}), config, lanes, buckets),
    slots: slotCombinations(config, buckets),
    trace: (graph, key, slots: Slots) => {
      const cut = withSlots(config, slots);
      const context = { training: true, dropout: dropout > 0 ? { rate: dropout, key } : null };
      const outputs = teacher.forward(teacherInputs(graph, cut, lanes), { memory, context });
      const { futureDisplacement, futureMask, boxes, ...ego } = teacherTargets(graph, cut, lanes);
      const targets = config.maxAgents > 0 ? { ...ego, futureDisplacement, futureMask, boxes } : ego;
      const { total, terms, watched } = graph.scope("loss", () => objective(outputs, targets));
      return { loss: total, terms, watched };
    },
  };
}

/**
 * A trained teacher for evaluation. It plans with the published number of agent slots, however few were trained with: no weight
 * depends on it, and in a crowd the sixteenth nearest agent is 13 m away.
 *
 * @param values variables by published name, see `modelValues`
 */
export function trainedTeacher(trained: TeacherConfig, anchors: Anchors, values: ReadonlyMap<string, StoredTensor>): TrainedPlanner {
  const config = trained.maxAgents === 0 ? trained : { ...trained, maxAgents: Math.max(trained.maxAgents, TEACHER_PRESETS.full.maxAgents) };
  const teacher = createTeacher(config, anchors);
  return {
    name: "teacher",
    model: teacher,
    values,
    features: teacherFeatures(config),
    ...(config.rescoring === "published" ? { rescore: PUBLISHED_RESCORING.teacher } : {}),
    memory: (lanes) => teacherMemory(config, lanes),
    trace: (graph, lanes, memory) => teacher.forward(teacherInputs(graph, config, lanes), { memory: memory as ReturnType<typeof teacherMemory> }),
  };
}
