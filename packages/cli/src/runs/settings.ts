import { augmentSchema } from "@distilldrive/datasets";
import { type DistillationWeights, type ImitationWeights, type RewardName, REWARDS } from "@distilldrive/losses";
import { PUBLISHED_DISTILLATION } from "@distilldrive/distill";
import { STUDENT_PRESETS, type StudentConfig } from "@distilldrive/student";
import { TEACHER_PRESETS, type TeacherConfig } from "@distilldrive/teacher";
import { ConfigError, loopSchema, parseConfig, suggestion, townSchema } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { UsageError } from "../errors.js";
import { reasonOf } from "./files.js";

/** What can be trained: a teacher, a student by imitation alone, a student distilled from a teacher. */
export type TaskName = "teacher" | "student" | "distill";

const PRESETS = ["tiny", "small", "full"] as const;
const preset = z.enum(PRESETS).default("tiny");
const weight = (standard: number): z.ZodDefault<z.ZodNumber> => z.number().min(0).default(standard);
const positive = z.int().min(1);
const decoder = z.array(z.enum(["temporal", "agent", "map", "norm", "ffn"])).min(1);

/** A whole {@link TeacherConfig}; fields are described there. */
export const teacherModelSchema = z.strictObject({
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
  planReference: z.enum(["none", "constantTurnRate", "egoStatus"]),
  status: z.enum(["perMode", "mean"]),
  velocityInterval: z.number().positive(),
  directionOffset: z.number().min(0),
  // Runs older than these settings have none of them.
  mapSlots: z.enum(["lines", "padding"]).default("lines"),
  agentMaxGap: z.number().positive().default(2),
  egoVelocity: z.enum(["zero", "previousStatus"]).default("zero"),
  rewards: z.array(z.enum(Object.keys(REWARDS) as RewardName[])).default([]),
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
  planReference: z.enum(["none", "constantTurnRate", "egoStatus"]),
  teacherChannels: positive,
}) satisfies z.ZodType<StudentConfig>;

/** Weights of the imitation loss of the planner itself (S-eq. 9). */
const planningLoss = {
  regression: weight(2),
  status: weight(3),
  classification: weight(0.5),
  reference: weight(2),
  labels: z.enum(["soft", "label"]).default("soft"),
  normaliser: z.enum(["all", "valid"]).default("valid"),
};
const teacherLoss = z.strictObject({ ...planningLoss, motionClassification: weight(0.2), motionRegression: weight(0.2) }) satisfies z.ZodType<ImitationWeights>;
const studentLoss = z.strictObject(planningLoss) satisfies z.ZodType<ImitationWeights>;
const distillationLoss = z.strictObject({
  encoderFeature: weight(PUBLISHED_DISTILLATION.encoderFeature),
  decoderFeature: weight(PUBLISHED_DISTILLATION.decoderFeature),
  classification: weight(PUBLISHED_DISTILLATION.classification),
  regression: weight(PUBLISHED_DISTILLATION.regression),
}) satisfies z.ZodType<DistillationWeights>;

/** Settings of `train teacher`: the loop's, the preset, fields of the model that differ from it, the loss. */
export const teacherSettings = loopSchema.extend({
  preset,
  /** On a few real scenes the town's variety is worth more than its strangeness costs: 24 scenes by default. */
  town: townSchema.prefault({ scenes: 24 }),
  model: teacherModelSchema.partial().prefault({}),
  loss: teacherLoss.prefault({}),
  augmentation: augmentSchema.prefault({}),
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
  if (flags.preset !== undefined && !(PRESETS as readonly string[]).includes(flags.preset)) {
    throw new UsageError(unknownPreset("config", flags.preset));
  }
  const merged: Record<string, unknown> = { ...content };
  if (typeof merged["preset"] === "string" && !(PRESETS as readonly string[]).includes(merged["preset"])) throw new ConfigError(unknownPreset(where, merged["preset"]));
  // Steps win over epochs, so epochs asked for now must not lose to steps of the file.
  if (flags.epochs !== undefined) delete merged["steps"];
  for (const [name, value] of Object.entries(flags)) if (value !== undefined) merged[name] = value;
  switch (task) {
    case "teacher": {
      const settings = parseConfig(teacherSettings, merged, where);
      return { task, settings, model: parseConfig(teacherModelSchema, { ...TEACHER_PRESETS[settings.preset], ...settings.model }, `${where}: model`) };
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

function studentModel(settings: z.output<typeof studentSettings>, where: string): StudentConfig {
  return parseConfig(studentModelSchema, { ...STUDENT_PRESETS[settings.preset], ...settings.model }, `${where}: model`);
}

function unknownPreset(where: string, name: string): string {
  return `${where}: unknown preset "${name}", expected one of ${PRESETS.join(", ")}.${suggestion(name, PRESETS)}`;
}

/** Reads a configuration file. @throws ConfigError when it cannot be read or is no JSON */
export async function readSettingsFile(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new ConfigError(`${file}: cannot be read (${reasonOf(cause)}). Check --config.`);
  });
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new ConfigError(`${file}: no JSON (${reasonOf(cause)}). Write settings such as { "preset": "tiny", "epochs": 10 }.`);
  }
}
