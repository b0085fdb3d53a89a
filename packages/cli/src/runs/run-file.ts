import { type Anchors, anchorsFromJson, anchorsToJson, townSceneName } from "@distilldrive/datasets";
import type { TeacherConfig } from "@distilldrive/teacher";
import { parseConfig } from "@distilldrive/training";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { RunError, UsageError } from "../errors.js";
import { reasonOf, writeWhole } from "./files.js";
import { type ResolvedSettings, distillSettings, studentModelSchema, studentSettings, teacherModelSchema, teacherSettings } from "./settings.js";

/** Name of the file that makes a folder a run. */
const RUN_FILE = "config.json";

const dataSchema = z.strictObject({
  /** Folder or file the scenes came from, absolute; "" where imported weights came without any. */
  path: z.string(),
  /** Names of the scenes that are trained on. */
  train: z.array(z.string()),
  /** Names of the scenes held out. */
  val: z.array(z.string()),
});
const startOfRun = z.strictObject({
  /** Directory of the run whose weights the run began with, absolute. */
  run: z.string(),
  /** Steps it had been trained. */
  step: z.int(),
  /** Names of all scenes it had learned from. */
  scenes: z.array(z.string()),
});
const shared = {
  format: z.literal(1),
  /** Steps of the whole run. */
  steps: z.int().min(1),
  data: dataSchema,
  anchors: z.unknown(),
  start: startOfRun.optional(),
  versions: z.record(z.string(), z.string()),
  /** What was typed. */
  command: z.string(),
};
const teacherOfRun = z.strictObject({
  /** The teacher's run directory, absolute. */
  run: z.string(),
  /** Steps it had been trained. */
  step: z.int(),
  model: teacherModelSchema,
});
/** Where weights came from that were not trained here. */
const importedSchema = z.strictObject({
  /** File they were read from, absolute. */
  file: z.string(),
  format: z.enum(["PyTorch", "safetensors", "numpy"]),
  /** What was taken off the names, "" or with a dot at the end. */
  prefix: z.string(),
  /** Parameters the file lacked, which began anew. */
  missing: z.array(z.string()),
  /** Names of the file that were left out. */
  unexpected: z.array(z.string()),
});
const runSchema = z.discriminatedUnion("task", [
  z.strictObject({ task: z.literal("teacher"), settings: teacherSettings, model: teacherModelSchema, imported: importedSchema.optional(), ...shared }),
  z.strictObject({ task: z.literal("student"), settings: studentSettings, model: studentModelSchema, ...shared }),
  z.strictObject({ task: z.literal("distill"), settings: distillSettings, model: studentModelSchema, teacher: teacherOfRun, ...shared }),
]);

/** A teacher as its student's run remembers it. */
export interface TeacherOfRun {
  readonly run: string;
  readonly step: number;
  readonly model: TeacherConfig;
}

/** Another run whose weights a run began with. */
export type StartOfRun = z.output<typeof startOfRun>;

/** Where weights came from that were not trained here. */
export type ImportedFrom = z.output<typeof importedSchema>;

/** Everything needed to build a run's model and data again. */
export type Run = ResolvedSettings & {
  readonly steps: number;
  readonly data: { readonly path: string; readonly train: readonly string[]; readonly val: readonly string[] };
  readonly anchors: Anchors;
  readonly versions: Readonly<Record<string, string>>;
  readonly command: string;
  /** Only where a student is distilled. */
  readonly teacher: TeacherOfRun | null;
  /** Only where it did not begin with random weights. */
  readonly start?: StartOfRun | undefined;
  /** Only where weights were imported; such a run holds a model, but no state of a training. */
  readonly imported?: ImportedFrom | undefined;
};

/** Writes `config.json`. @throws RunError when it cannot be written */
export async function writeRun(folder: string, { teacher, anchors, ...run }: Run): Promise<void> {
  const content = { format: 1, ...run, ...(teacher === null ? {} : { teacher }), anchors: JSON.parse(anchorsToJson(anchors)) as unknown };
  await writeWhole(path.join(folder, RUN_FILE), `${JSON.stringify(content, null, 2)}\n`);
}

/** Reads `config.json`; null where the folder holds none. @throws RunError or ConfigError when it is damaged */
export async function findRun(folder: string): Promise<Run | null> {
  const file = path.join(folder, RUN_FILE);
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    // ENOTDIR: the folder itself is a file.
    if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR")) return null;
    throw new RunError(`${file}: cannot be read (${reasonOf(cause)}). Give the --out of a training run.`);
  });
  if (text === null) return null;
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new RunError(`${file}: no JSON (${reasonOf(cause)}). The file is damaged: train again with another --out.`);
  }
  const { format: _, anchors, ...run } = parseConfig(runSchema, content, file);
  const rest = { ...run, anchors: anchorsFromJson(JSON.stringify(anchors), `${file}: anchors`) };
  return rest.task === "distill" ? rest : { ...rest, teacher: null };
}

/** Reads `config.json`. @throws RunError when the folder is no run; RunError or ConfigError when the file is damaged */
export async function readRun(folder: string, where: string): Promise<Run> {
  const run = await findRun(folder);
  if (run === null) throw new RunError(`${where}: ${folder} holds no run, expected ${RUN_FILE} in it. Give the --out of a training run.`);
  return run;
}

/**
 * The run in a folder of runs that was begun last.
 * @throws UsageError when there is none
 */
export async function latestRun(folder: string, where: string): Promise<string> {
  const names = await readdir(folder).catch(() => []);
  const runs = await Promise.all(
    names.map(async (name) => ({ name, begun: (await stat(path.join(folder, name, RUN_FILE)).catch(() => null))?.mtimeMs ?? null })),
  );
  const [latest] = runs.flatMap(({ name, begun }) => (begun === null ? [] : [{ name, begun }])).sort((a, b) => b.begun - a.begun);
  if (latest === undefined) throw new UsageError(`distilldrive ${where}: --run is missing and ${folder}/ holds no run, expected the run directory of a training. See: distilldrive ${where} --help`);
  return path.join(folder, latest.name);
}

/** Names of every scene a run learns from, those of the synthetic town and of the run it began with included. */
export function learnedScenes({ data, settings: { town }, start }: Pick<Run, "data" | "settings" | "start">): string[] {
  return [...data.train, ...(start?.scenes ?? []), ...Array.from({ length: town.scenes }, (_, k) => townSceneName(town.seed + k))];
}
