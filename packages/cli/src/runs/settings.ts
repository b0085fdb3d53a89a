import { augmentSchema } from "@distilldrive/datasets";
import { type DistillationWeights, type ImitationWeights, PAPER_LABELS, PAPER_REWARDS, PUBLISHED_REWARDS, type RewardName, REWARDS } from "@distilldrive/losses";
import { PUBLISHED_DISTILLATION } from "@distilldrive/distill";
import { STUDENT_PRESETS, type StudentConfig } from "@distilldrive/student";
import { PUBLISHED_TEACHER, SLOT_BUCKETS, type SlotBuckets, TEACHER_COMPAT, TEACHER_PRESETS, type TeacherConfig } from "@distilldrive/teacher";
import { ConfigError, loopSchema, optimizerSchema, parseConfig, suggestion, townSchema } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { UsageError } from "../errors.js";
import { reasonOf } from "./files.js";
import { layered, PUBLISHED_TEACHER_TRAINING } from "./presets.js";

/** What can be trained: a teacher, a student by imitation alone, a student distilled from a teacher. */
export type TaskName = "teacher" | "student" | "distill";

/** Sets of rewards by name. */
const REWARD_SETS = { none: [], published: PUBLISHED_REWARDS, paper: PAPER_REWARDS } as const satisfies Record<string, readonly RewardName[]>;

const SIZES = ["tiny", "small", "full"] as const;
/** Presets of each task; "published" also sets how the model is trained. */
const PRESETS = { teacher: [...SIZES, "published"], student: SIZES, distill: SIZES } as const;
const preset = z.enum(SIZES).default("tiny");
const weight = (standard: number): z.ZodDefault<z.ZodNumber> => z.number().min(0).default(standard);
const positive = z.int().min(1);
const decoder = z.array(z.enum(["temporal", "agent", "map", "norm", "ffn"])).min(1);

const teacherModelFields = z.strictObject({
  channels: positive.multipleOf(8),
  heads: positive,
  agentEncoderLayers: positive,
  decoder,
  decoderGroups: positive,
  memoryFrames: positive,
  maxAgents: z.int().min(0),
  maxLines: positive,
  agentInput: z.enum(["future", "history"]),
  egoInput: z.enum(["none", "status"]),
  planReference: z.enum(["none", "constantTurnRate", "egoMotion"]),
  motionReference: z.enum(["none", "constantVelocity"]),
  status: z.enum(["perMode", "mean"]),
  velocityInterval: z.number().positive(),
  directionOffset: z.number().min(0),
  mapSlots: z.enum(["lines", "padding"]),
  agentMaxGap: z.number().positive(),
  egoVelocity: z.enum(["zero", "previousStatus"]),
  rewards: z.array(z.enum(Object.keys(REWARDS) as RewardName[])),
  rescoring: z.enum(["intended", "published"]),
}) satisfies z.ZodType<TeacherConfig>;

/** A whole {@link TeacherConfig}; fields are described there. Runs older than those with a default here have none of them. */
export const teacherModelSchema = teacherModelFields.extend({
  motionReference: teacherModelFields.shape.motionReference.default("none"),
  mapSlots: teacherModelFields.shape.mapSlots.default("lines"),
  agentMaxGap: teacherModelFields.shape.agentMaxGap.default(2),
  egoVelocity: teacherModelFields.shape.egoVelocity.default("zero"),
  rewards: teacherModelFields.shape.rewards.default([]),
  rescoring: teacherModelFields.shape.rescoring.default("intended"),
}) satisfies z.ZodType<TeacherConfig>;

/** A whole {@link StudentConfig}; fields are described there. */
export const studentModelSchema = z.strictObject({
  channels: positive.multipleOf(8),
  heads: positive,
  cameras: z.literal(6),
  image: z.strictObject({ height: positive, width: positive }),
  imageChannels: z.array(positive).min(1),
  queries: positive,
  perceptionLayers: positive,
  decoder,
  decoderGroups: positive,
  memoryFrames: positive,
  egoInput: z.enum(["none", "status"]),
  planReference: z.enum(["none", "constantTurnRate", "egoMotion"]),
  teacherChannels: positive,
}) satisfies z.ZodType<StudentConfig>;

/** Weights of the imitation loss of the planner itself (S-eq. 9). */
const planningLoss = {
  regression: weight(2),
  status: weight(3),
  classification: weight(0.5),
  reference: weight(2),
  labels: z.enum(["soft", "label"]).default("soft"),
  softLabels: z.strictObject({ neighbours: z.int().min(0), share: z.number().min(0).max(1), floor: z.number().positive().max(1) }).default(PAPER_LABELS),
  normaliser: z.enum(["all", "valid"]).default("valid"),
};
const teacherLoss = z.strictObject({ ...planningLoss, motionClassification: weight(0.2), motionRegression: weight(0.2), reinforcement: weight(1) }) satisfies z.ZodType<ImitationWeights>;
const studentLoss = z.strictObject(planningLoss) satisfies z.ZodType<ImitationWeights>;
const distillationLoss = z.strictObject({
  encoderFeature: weight(PUBLISHED_DISTILLATION.encoderFeature),
  decoderFeature: weight(PUBLISHED_DISTILLATION.decoderFeature),
  classification: weight(PUBLISHED_DISTILLATION.classification),
  regression: weight(PUBLISHED_DISTILLATION.regression),
}) satisfies z.ZodType<DistillationWeights>;

/** Sizes that a batch's slots are cut to; those that are not below the model's maximum do not count. */
const bucketSizes = z.array(positive).refine((sizes) => sizes.every((size, i) => i === 0 || size > (sizes[i - 1] ?? 0)), "expected sizes in ascending order");
const slotBuckets = z.strictObject({
  agents: bucketSizes.default([...SLOT_BUCKETS.agents]),
  lines: bucketSizes.default([...SLOT_BUCKETS.lines]),
}) satisfies z.ZodType<SlotBuckets>;

/** Settings of `train teacher`: the loop's, the preset, fields of the model that differ from it, the loss. */
export const teacherSettings = loopSchema.extend({
  preset: z.enum(PRESETS.teacher).default("tiny"),
  /** What the model does where the published code differs from the paper; default as the preset has it. Fields of `model` win over it. */
  compat: z.enum(["intended", "published"]).optional(),
  /** Reinforcement beside imitation: `published`, the published code's six rewards; `paper`, those and the collision reward; `none`. Default as the preset and `compat` have it; a list of one's own goes into `model.rewards`. */
  rewards: z.enum(["none", "published", "paper"]).optional(),
  /** On a few real scenes a little of the town's variety is worth more than its strangeness costs: 8 scenes by default. */
  town: townSchema.prefault({ scenes: 8 }),
  epochs: loopSchema.shape.epochs.default(4),
  /** Small steps and averaged weights: a few real scenes are soon learned by heart. */
  optimizer: optimizerSchema.extend({ learningRate: optimizerSchema.shape.learningRate.default(3e-4), emaDecay: optimizerSchema.shape.emaDecay.default(0.99) }).prefault({}),
  model: teacherModelFields.partial().prefault({}),
  loss: teacherLoss.prefault({}),
  augmentation: augmentSchema.prefault({}),
  buckets: slotBuckets.prefault({}),
});
/** Settings of `train student`. */
export const studentSettings = loopSchema.extend({ preset, model: studentModelSchema.partial().prefault({}), loss: studentLoss.prefault({}) });
/** Settings of `train distill`: those of `train student` and the weights of distillation. */
export const distillSettings = studentSettings.extend({ distillation: distillationLoss.prefault({}) });

/** Settings of a training run with every default filled in, and the model they make. */
export type ResolvedSettings =
  | { readonly task: "teacher"; readonly settings: z.output<typeof teacherSettings>; readonly model: TeacherConfig }
  | { readonly task: "student"; readonly settings: z.output<typeof studentSettings>; readonly model: StudentConfig }
  | { readonly task: "distill"; readonly settings: z.output<typeof distillSettings>; readonly model: StudentConfig };

/** Settings that have a flag; a flag wins over the configuration file. */
export interface SettingFlags {
  readonly preset?: string;
  /** Teachers only. */
  readonly compat?: string;
  /** Teachers only. */
  readonly rewards?: string;
  readonly epochs?: number;
  readonly steps?: number;
  readonly seed?: number;
}

/**
 * Puts flags over the content of a configuration file and checks both.
 * @param content parsed configuration, {} for none
 * @param where the file's name for messages
 * @throws UsageError for an unknown --preset; ConfigError for everything wrong in the file, with path and nearest name
 */
export function resolveSettings(task: TaskName, content: unknown, flags: SettingFlags, where = "config"): ResolvedSettings {
  if (content === null || typeof content !== "object" || Array.isArray(content)) {
    throw new ConfigError(`${where}: expected an object of settings such as { "preset": "tiny", "epochs": 10 }, got ${Array.isArray(content) ? "a list" : String(content)}. See docs/configuration.md.`);
  }
  const presets: readonly string[] = PRESETS[task];
  if (flags.preset !== undefined && !presets.includes(flags.preset)) throw new UsageError(unknownPreset("config", flags.preset, presets));
  const own: Record<string, unknown> = { ...content };
  if (typeof own["preset"] === "string" && !presets.includes(own["preset"])) throw new ConfigError(unknownPreset(where, own["preset"], presets));
  const published = task === "teacher" && (flags.preset ?? own["preset"]) === "published";
  const merged = published ? layered(PUBLISHED_TEACHER_TRAINING, own) : own;
  // Steps win over epochs, so epochs asked for now must not lose to steps of the file.
  if (flags.epochs !== undefined) delete merged["steps"];
  for (const [name, value] of Object.entries(flags)) if (value !== undefined) merged[name] = value;
  switch (task) {
    case "teacher": {
      const settings = parseConfig(teacherSettings, merged, where);
      return { task, settings, model: parseConfig(teacherModelSchema, teacherModel(settings), `${where}: model`) };
    }
    case "student": {
      const settings = parseConfig(studentSettings, merged, where);
      return { task, settings, model: studentModel(settings, where) };
    }
    case "distill": {
      const settings = parseConfig(distillSettings, merged, where);
      return { task, settings, model: studentModel(settings, where) };
    }
  }
}

/** The model of a teacher's settings: fields of its own over `rewards` over `compat` over the preset. */
function teacherModel({ preset: name, compat, rewards, model }: Pick<z.output<typeof teacherSettings>, "preset" | "compat" | "rewards" | "model">): object {
  return { ...(name === "published" ? PUBLISHED_TEACHER : TEACHER_PRESETS[name]), ...(compat === undefined ? {} : TEACHER_COMPAT[compat]), ...(rewards === undefined ? {} : { rewards: REWARD_SETS[rewards] }), ...model };
}

function studentModel(settings: z.output<typeof studentSettings>, where: string): StudentConfig {
  return parseConfig(studentModelSchema, { ...STUDENT_PRESETS[settings.preset], ...settings.model }, `${where}: model`);
}

function unknownPreset(where: string, name: string, presets: readonly string[]): string {
  return `${where}: unknown preset "${name}", expected one of ${presets.join(", ")}.${suggestion(name, presets)}`;
}

/** Reads a configuration file. @throws ConfigError when it cannot be read or is no JSON */
export async function readSettingsFile(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new ConfigError(`${file}: cannot be read (${reasonOf(cause)}), expected a JSON file with settings. Check --config.`);
  });
  try {
    // Some editors put a mark in front, which is no JSON.
    return JSON.parse(text.replace(/^\uFEFF/, "")) as unknown;
  } catch (cause) {
    throw new ConfigError(`${file}: no JSON (${reasonOf(cause)}). Write settings such as { "preset": "tiny", "epochs": 10 }.`);
  }
}
