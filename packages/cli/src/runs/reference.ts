import { EGO_STATUS_FEATURES, fit, optimizerSchema, referenceTask } from "@distilldrive/training";
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

/**
 * Values a planner's reference path begins with: those of the teacher it is distilled from, or trained here and now on
 * the same streams. Interrupted, it goes on when the run does.
 * @returns undefined where there is no learned reference, or it shall learn along with the planner
 */
export async function initialReference(
  io: Io,
  device: Device,
  out: string,
  resolved: ResolvedSettings,
  streams: readonly Stream[],
  teacher: TeacherOfRecord | null,
): Promise<ReadonlyMap<string, StoredTensor> | undefined> {
  const { settings, model } = resolved;
  if (model.planReference !== "egoStatus") return undefined;
  if (teacher?.config.planReference === "egoStatus") {
    return new Map([...teacher.values].flatMap(([name, value]) => (name.startsWith(PREFIX) ? [[`model.${name}`, value] as const] : [])));
  }
  const { steps, batch, learningRate, weightDecay } = settings.reference;
  if (steps === 0) return undefined;
  const batches = streamBatches(streams, { batch, seed: settings.seed, features: EGO_STATUS_FEATURES });
  const augmentation: Augmentation | undefined = resolved.task === "teacher" ? resolved.settings.augmentation : undefined;
  const { tensors } = await fit({
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
  // Half a reference is none: the run begins when it is whole.
  io.interrupted.throwIfAborted();
  return tensors;
}
