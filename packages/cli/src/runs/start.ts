import type { Anchors, SceneSplit } from "@distilldrive/datasets";
import { decodeSafetensors, encodeSafetensors, type StoredTensor, variablesOf } from "@distilldrive/tensor";
import { CheckpointError, modelValues, type Task } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { RunError } from "../errors.js";
import { reasonOf, writeWhole } from "./files.js";
import { requireFit, runCheckpoint } from "./planner.js";
import { learnedScenes, readRun, type Run, type StartOfRun } from "./run-file.js";

/** The values a run began with, kept in its directory, so that it needs nothing outside. */
const START_FILE = "start.safetensors";
/** Prefix of the model's variables among those of a task. */
const PREFIX = "model.";

/** What a run begins with instead of random weights. */
export interface FoundStart {
  readonly origin: StartOfRun;
  readonly anchors: Anchors;
  /** Of the model, by the names a checkpoint has them under. */
  readonly values: ReadonlyMap<string, StoredTensor>;
}

/**
 * The trained model a new run begins with: the newest state of another run of the same kind.
 * @param folder that run's directory
 * @throws RunError when it is of another kind; CheckpointError when it has no whole state
 */
export async function findStart(folder: string, task: Run["task"], where: string): Promise<FoundStart> {
  const run = await readRun(folder, where);
  if (run.task !== task) throw new RunError(`${where}: ${folder} cannot be started from, expected a run of "train ${task}", got one of "train ${run.task}". Give another --start.`);
  const { info, tensors } = await runCheckpoint(folder, run);
  const values = new Map([...modelValues(tensors)].map(([name, value]) => [`${PREFIX}${name}`, value] as const));
  return { origin: { run: path.resolve(folder), step: info.step, scenes: learnedScenes(run) }, anchors: run.anchors, values };
}

/** What a run that has no checkpoint yet began with. @throws CheckpointError when the file is gone or damaged */
export async function keptStart(out: string, { start, anchors }: Run, where: string): Promise<FoundStart | null> {
  if (start === undefined) return null;
  const file = path.join(out, START_FILE);
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new CheckpointError(`${where}: ${file} cannot be read (${reasonOf(cause)}), expected the weights the run began with. Restore it, or choose another --out.`);
  });
  return { origin: start, anchors, values: decodeSafetensors(bytes, file).tensors };
}

/** @throws RunError when it cannot be written */
export async function keepStart(out: string, { values }: FoundStart): Promise<void> {
  await writeWhole(path.join(out, START_FILE), encodeSafetensors(values));
}

/**
 * Makes sure that a run can begin with the weights, and is judged on scenes that they have not been trained on.
 * @throws CheckpointError naming the first variable that does not fit; RunError for scenes that were seen
 */
export function requireUsable({ origin, values }: FoundStart, task: Task, { val }: SceneSplit, preset: string, where: string): void {
  requireFit(new Map([...variablesOf(task.model)].filter(([name]) => name.startsWith(PREFIX))), values, origin.run, preset);
  const seen = val.map(({ id }) => id).filter((id) => origin.scenes.includes(id));
  if (seen.length > 0) throw new RunError(`${where}: ${origin.run} has been trained on scenes that are to be held out: ${seen.join(", ")}. Hold out others, or start from a run without them.`);
}
