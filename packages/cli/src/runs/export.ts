import { createTeacher, publishedStateOf } from "@distilldrive/teacher";
import { encodeRawSafetensors, type StoredTensor } from "@distilldrive/tensor";
import { modelValues, parseConfig } from "@distilldrive/training";
import { stat } from "node:fs/promises";
import { z } from "zod";
import { RunError } from "../errors.js";
import { requireWritable, writeWhole } from "./files.js";
import { runCheckpoint } from "./planner.js";
import { readRun } from "./run-file.js";
import { teacherModelSchema } from "./settings.js";

/** Where a checkpoint keeps tensors of an imported state dict that the model has no variable for. */
export const CARRIED = "carried.";

/** Key of {@link exportSchema} in a safetensors file's metadata. */
const KEY = "distilldrive";
const exportSchema = z.object({ task: z.literal("teacher"), preset: z.string(), model: teacherModelSchema, steps: z.int().min(0) });

/** What an export says about its model besides the tensors; JSON in the file's metadata. */
export type ExportInfo = z.output<typeof exportSchema>;

/** What an export of ours says about its model; null for files of others. @throws ConfigError when it is damaged */
export function exportInfo(metadata: Readonly<Record<string, string>>, where: string): ExportInfo | null {
  const text = metadata[KEY];
  if (text === undefined) return null;
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    content = text;
  }
  return parseConfig(exportSchema, content, `${where}: metadata "${KEY}"`);
}

/** What was written. */
export interface ExportOutcome {
  readonly file: string;
  readonly tensors: number;
  readonly bytes: number;
  /** Steps the model has been trained; 0 for imported weights. */
  readonly step: number;
  readonly checkpoint: string;
}

/**
 * Writes the newest checkpoint of a teacher's run as safetensors under the published names, with the published modules' counters and
 * constants; with `emaDecay`, the moving averages.
 * @param file a `.safetensors` file, replaced if it is there
 * @throws RunError when the folder holds no teacher or the file cannot be written; CheckpointError when the checkpoint is damaged
 */
export async function exportRun(folder: string, file: string): Promise<ExportOutcome> {
  await requireWritable(file.replace(/[^/\\]*$/, "") || ".", "export");
  if (await stat(file).then((info) => info.isDirectory(), () => false)) throw new RunError(`export: ${file} is a folder, expected a file to write. Name one in it, such as ${file.replace(/\/$/, "")}/model.safetensors.`);
  const run = await readRun(folder, "export");
  if (run.task !== "teacher") throw new RunError(`export: ${folder} holds a ${run.task === "distill" ? "distilled student" : run.task}, expected a teacher: students are not the published ones yet, so they have no published names. Give the run of a teacher.`);
  const { file: checkpoint, info, tensors } = await runCheckpoint(folder, run);
  const carried = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) if (name.startsWith(CARRIED)) carried.set(name.slice(CARRIED.length), tensor);
  const state = publishedStateOf(createTeacher(run.model, run.anchors), modelValues(tensors), carried, info.step);
  const about: ExportInfo = { task: "teacher", preset: run.settings.preset, model: { ...run.model, decoder: [...run.model.decoder], rewards: [...run.model.rewards] }, steps: info.step };
  const bytes = encodeRawSafetensors(state, { format: "pt", [KEY]: JSON.stringify(about) });
  await writeWhole(file, bytes);
  return { file, tensors: state.size, bytes: bytes.byteLength, step: info.step, checkpoint };
}
