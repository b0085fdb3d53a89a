import { EGO_STATUS_FEATURES, fit, type FitResult, optimizerSchema, referenceTask } from "@distilldrive/training";
import { type Augmentation, streamBatches, type Stream } from "@distilldrive/datasets";
import type { TeacherOfRecord } from "@distilldrive/distill";
import type { Device, StoredTensor } from "@distilldrive/tensor";
import path from "node:path";
import type { Io } from "../io.js";
import { ioProgress } from "./progress.js";
import type { ResolvedSettings } from "./settings.js";

/** Folder of the reference path's training in a run directory. */
const FOLDER = "plan-reference";
/** Where the reference's variables are in a planner. */
const PREFIX = "plan_reference.";

/** What a planner's reference path begins with. */
export interface InitialReference {
  /** By variable name, as the planner's checkpoints have them. */
  readonly values: ReadonlyMap<string, StoredTensor>;
  /** The training of the reference where it was interrupted: half a reference is none, so the planner must wait. */
  readonly interrupted: FitResult | null;
}

/**
 * Values a planner's reference path begins with: those of the teacher it is distilled from, or trained here and now on
 * the same streams. Interrupted, it goes on when the run does.
 * @returns null where there is no learned reference, or it shall learn along with the planner
 */
export async function initialReference(
  io: Io,
  device: Device,
  out: string,
  resolved: ResolvedSettings,
  streams: readonly Stream[],
  teacher: TeacherOfRecord | null,
): Promise<InitialReference | null> {
  const { settings, model } = resolved;
  if (model.planReference !== "egoMotion") return null;
  if (teacher?.config.planReference === "egoMotion") {
    const values = new Map([...teacher.values].flatMap(([name, value]) => (name.startsWith(PREFIX) ? [[`model.${name}`, value] as const] : [])));
    return { values, interrupted: null };
  }
  const { steps, batch, learningRate, weightDecay } = settings.reference;
  if (steps === 0) return null;
  const batches = streamBatches(streams, { batch, seed: settings.seed, features: EGO_STATUS_FEATURES });
  const augmentation: Augmentation | undefined = resolved.task === "teacher" ? resolved.settings.augmentation : undefined;
  const result = await fit({
    device,
    task: referenceTask({ batches, lanes: batch, ...(augmentation ? { augmentation } : {}) }),
    out: path.join(out, FOLDER),
    steps,
    seed: settings.seed,
    optimizer: optimizerSchema.parse({ learningRate, weightDecay }),
    checkpointEvery: 500,
    keep: 1,
    logEvery: 50,
    resume: true,
    run: {},
    progress: ioProgress(io),
    signal: io.interrupted,
  });
  return { values: result.tensors, interrupted: result.interrupted ? result : null };
}
