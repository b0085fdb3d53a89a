import { buildAnchors, createStreams, generateTown, NO_AUGMENTATION, streamBatches, type StreamBatches } from "@distilldrive/datasets";
import { distillTask, PUBLISHED_DISTILLATION } from "@distilldrive/distill";
import type { ImitationWeights } from "@distilldrive/losses";
import { cameraImages, STUDENT_PRESETS } from "@distilldrive/student";
import { createTeacher, TEACHER_PRESETS, type TeacherConfig, teacherFeatures, type TeacherPreset, teacherTask } from "@distilldrive/teacher";
import { type Device, initialValues, sizeOf, variablesOf } from "@distilldrive/tensor";
import type { Task } from "@distilldrive/training";
import { BenchError } from "../errors.js";

/** Sizes of models that can be asked for. */
export const presetNames = Object.keys(TEACHER_PRESETS) as readonly TeacherPreset[];

/** The weights the published loss has. */
const loss: ImitationWeights = { regression: 2, status: 3, classification: 0.5 };
const dropout = 0.1;

/** How many of the slots are used. */
export interface Present {
  readonly agents?: number;
  readonly lines?: number;
}

/** A model of a preset, perhaps with other slots, on scenes of the synthetic town. */
export interface ModelSize {
  readonly preset: TeacherPreset;
  /** Lanes B. */
  readonly batch: number;
  /** Agent slots; default the preset's. */
  readonly agents?: number;
  /** Agents and lines in every sample of the teacher's batches; default `agents`, and what the town's scenes have. */
  readonly present?: Present;
}

/** A task, and what gives back what it holds on the device. */
export interface OwnedTask {
  readonly task: Task;
  readonly release: () => void;
}

/** The teacher's training task. */
export function teacherOfSize({ preset, batch, agents, present = {} }: ModelSize): OwnedTask {
  const config: TeacherConfig = { ...TEACHER_PRESETS[preset], ...(agents === undefined ? {} : { maxAgents: agents }) };
  const { streams, anchors } = town();
  const batches = crowded(streamBatches(streams, { batch, seed: 0, features: teacherFeatures(config) }), { ...(agents === undefined ? {} : { agents }), ...present });
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

const AGENT_FIELDS = ["boxes", "labels", "agentMask", "instanceIds", "futureDisplacement", "futureMask", "pastDisplacement", "pastMask"] as const;
const LINE_FIELDS = ["lines", "lineLabels", "lineMask"] as const;

/** Batches with as many agents and lines as asked for: the scene's own again and again, so that work and masks are those of a fuller scene. */
function crowded(batches: StreamBatches, { agents, lines }: Present): StreamBatches {
  if (agents === undefined && lines === undefined) return batches;
  return {
    ...batches,
    next: () => {
      const batch = batches.next();
      const repeated = <Field extends keyof typeof batch>(fields: readonly Field[], mask: Float32Array, wanted: number | undefined): Partial<typeof batch> => {
        if (wanted === undefined) return {};
        const lanes = batch.laneMask.length;
        const slots = mask.length / lanes;
        if (wanted > slots) throw new BenchError(`bench: more in a sample than there are slots, expected at most ${slots}, got ${wanted}. Choose a larger preset.`);
        const used = Array.from({ length: lanes }, (_, lane) => Math.max(1, mask.subarray(lane * slots, (lane + 1) * slots).lastIndexOf(1) + 1));
        return Object.fromEntries(fields.map((field) => {
          const from = batch[field] as Float32Array | Int32Array;
          const width = from.length / mask.length;
          const empty = field === "instanceIds" ? -1 : 0;
          const value = from.map((_, i) => {
            const [row, column] = [Math.floor(i / width), i % width];
            const [lane, slot] = [Math.floor(row / slots), row % slots];
            return slot < wanted ? (from[(lane * slots + (slot % (used[lane] ?? 1))) * width + column] ?? 0) : empty;
          });
          return [field, value];
        }));
      };
      const changed = { ...batch, ...repeated(AGENT_FIELDS, batch.agentMask, agents), ...repeated(LINE_FIELDS, batch.lineMask, lines) };
      // Nobody beyond the agents asked for was there before.
      const slots = batch.matchIndex.length / batch.laneMask.length;
      return agents === undefined ? changed : { ...changed, matchIndex: batch.matchIndex.map((match, i) => (i % slots < agents ? match : -1)) };
    },
  };
}
