import { buildAnchors, createStreams, generateTown, NO_AUGMENTATION, streamBatches } from "@distilldrive/datasets";
import { distillTask, PUBLISHED_DISTILLATION } from "@distilldrive/distill";
import type { ImitationWeights } from "@distilldrive/losses";
import { cameraImages, STUDENT_PRESETS } from "@distilldrive/student";
import { createTeacher, TEACHER_PRESETS, type TeacherConfig, teacherFeatures, type TeacherPreset, teacherTask } from "@distilldrive/teacher";
import { type Device, initialValues, sizeOf, variablesOf } from "@distilldrive/tensor";
import type { Task } from "@distilldrive/training";

/** Sizes of models that can be asked for. */
export const presetNames = Object.keys(TEACHER_PRESETS) as readonly TeacherPreset[];

/** The weights the published loss has. */
const loss: ImitationWeights = { regression: 2, status: 3, classification: 0.5 };
const dropout = 0.1;

/** A model of a preset, perhaps with other slots, on scenes of the synthetic town. */
export interface ModelSize {
  readonly preset: TeacherPreset;
  /** Lanes B. */
  readonly batch: number;
  /** Agent slots; default the preset's. */
  readonly agents?: number;
}

/** A task, and what gives back what it holds on the device. */
export interface OwnedTask {
  readonly task: Task;
  readonly release: () => void;
}

/** The teacher's training task. */
export function teacherOfSize({ preset, batch, agents }: ModelSize): OwnedTask {
  const config: TeacherConfig = { ...TEACHER_PRESETS[preset], ...(agents === undefined ? {} : { maxAgents: agents }) };
  const { streams, anchors } = town();
  const batches = streamBatches(streams, { batch, seed: 0, features: teacherFeatures(config) });
  return { task: teacherTask({ config, anchors, batches, lanes: batch, loss, dropout, augmentation: NO_AUGMENTATION }), release: () => undefined };
}

/** The student's training task with distillation from a teacher of the same preset, untrained: that costs the same. */
export function studentOfSize(device: Device, { preset, batch }: ModelSize): OwnedTask {
  const config = STUDENT_PRESETS[preset];
  const { scenes, streams, anchors } = town();
  const teacherConfig = TEACHER_PRESETS[preset];
  const images = cameraImages(device.gpu, config, scenes);
  const batches = streamBatches(streams, { batch, seed: 0, features: teacherFeatures(teacherConfig) });
  const variables = variablesOf(createTeacher(teacherConfig, anchors));
  const values = new Map([...variables].map(([name, { shape, dtype, init }]) => [name, { shape, dtype, data: Float32Array.from(initialValues(init, sizeOf(shape), 1, name)) }]));
  const teacher = { config: teacherConfig, anchors, values };
  return { task: distillTask({ config, anchors, batches, lanes: batch, loss, dropout, images, teacher, weights: PUBLISHED_DISTILLATION }), release: () => images.destroy() };
}

function town(): { scenes: ReturnType<typeof generateTown> extends Iterable<infer S> ? S[] : never; streams: ReturnType<typeof createStreams>; anchors: ReturnType<typeof buildAnchors> } {
  const scenes = [...generateTown({ seed: 0, scenes: 3 })];
  return { scenes, streams: createStreams(scenes, { mirror: false, parts: 4 }), anchors: buildAnchors(scenes, { seed: 0 }) };
}
