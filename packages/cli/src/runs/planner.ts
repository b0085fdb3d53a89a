import type { Scene } from "@distilldrive/datasets";
import { cameraImages, trainedStudent } from "@distilldrive/student";
import { trainedTeacher } from "@distilldrive/teacher";
import { type Device, type NamedVariables, sameShape, type StoredTensor, variablesOf } from "@distilldrive/tensor";
import { type Checkpoint, CheckpointError, loadCheckpoint, modelValues, type TrainedPlanner } from "@distilldrive/training";
import type { Run } from "./run-file.js";

/** A run's planner, ready to plan, and how to let go of what it holds on the device. */
export interface RunPlanner {
  readonly planner: TrainedPlanner;
  /** Steps it has been trained. */
  readonly step: number;
  readonly checkpoint: string;
  readonly release: () => void;
}

/**
 * The newest checkpoint of a run, checked against the run's task and preset.
 * @throws CheckpointError when there is none, or it is damaged or belongs to another run
 */
export async function runCheckpoint(folder: string, run: Run): Promise<Checkpoint> {
  const checkpoint = await loadCheckpoint(folder);
  const { file, info } = checkpoint;
  const refuse = (what: string, expected: string, got: string): never => {
    throw new CheckpointError(`checkpoint: ${file} belongs to another ${what}, expected "${expected}" as in the run's config.json, got "${got}". Put the run's own checkpoint back, or train again.`);
  };
  if (info.task !== run.task) refuse("kind of run", run.task, info.task);
  const preset = info.run["preset"];
  if (preset !== run.settings.preset) refuse("preset", run.settings.preset, String(preset));
  return checkpoint;
}

/**
 * Builds a run's planner with the values of its newest checkpoint.
 * @param scenes every scene it will plan in: students render their cameras from them
 * @throws CheckpointError when there is no checkpoint, or it is damaged or of another model
 */
export async function openPlanner(folder: string, run: Run, device: Device, scenes: readonly Scene[]): Promise<RunPlanner> {
  const { file, info, tensors } = await runCheckpoint(folder, run);
  const values = modelValues(tensors);
  const { planner, release } = buildPlanner(run, values, device, scenes);
  requireFit(variablesOf(planner.model), values, file, run.settings.preset);
  return { planner: { ...planner, name: plannerName(run) }, step: info.step, checkpoint: file, release };
}

function buildPlanner(run: Run, values: ReadonlyMap<string, StoredTensor>, device: Device, scenes: readonly Scene[]): Pick<RunPlanner, "planner" | "release"> {
  if (run.task === "teacher") return { planner: trainedTeacher(run.model, run.anchors, values), release: () => undefined };
  const images = cameraImages(device.gpu, run.model, scenes);
  return { planner: trainedStudent(run.model, run.anchors, values, images), release: () => images.destroy() };
}

/** What a run's planner is called in tables. */
function plannerName(run: Run): string {
  return run.task === "distill" ? "distilled student" : run.task;
}

/**
 * Makes sure that values are a whole state of a model.
 * @throws CheckpointError naming the first variable that is missing or has another shape
 */
export function requireFit(variables: NamedVariables, values: ReadonlyMap<string, StoredTensor>, file: string, preset: string): void {
  for (const [name, { shape, dtype }] of variables) {
    const value = values.get(name);
    if (value !== undefined && sameShape(value.shape, shape) && value.dtype === dtype) continue;
    const got = value === undefined ? "nothing" : `${value.dtype} [${value.shape.join(", ")}]`;
    throw new CheckpointError(`checkpoint: ${file} is no state of a "${preset}" model with the run's settings, expected "${name}" ${dtype} [${shape.join(", ")}], got ${got}. Put the run's own checkpoint back, or train again.`);
  }
}
