import { createStreams, featureBuilder, type Scene, shuffledOrder, streamBatches } from "@distilldrive/datasets";
import type { Device } from "@distilldrive/tensor";
import {
  type BatchSource, EGO_STATUS_FEATURES, egoStatusTask, fit, latestCheckpoint, loadCheckpoint, loopSchema, modelValues, type TrainedPlanner, trainedEgoStatus,
} from "@distilldrive/training";
import { z } from "zod";
import type { Io } from "../io.js";
import { ioProgress } from "./progress.js";

/** How the blind baseline is trained: the same for every run, so that tables can be compared. */
const BASELINE = { lanes: 64, steps: 2000, seed: 1, learningRate: 2e-3 } as const;

/** Inputs of the baseline by name, and their numbers per sample. */
const FIELDS = { egoStatus: 10, egoPast: 8, egoPastMask: 4, egoFuture: 12, egoFutureMask: 6 } as const;

/**
 * The ego-status MLP trained on a run's training scenes, all phases and mirrored; kept in the run's directory.
 * @param folder where it is kept; a training that was interrupted goes on
 * @param scenes the run's training scenes, or null: only what is kept already
 * @returns the planner; null where none is kept and there are no scenes to train it on
 * @throws the signal's reason when it is interrupted
 */
export async function egoStatusBaseline(io: Io, device: Device, folder: string, scenes: readonly Scene[] | null): Promise<TrainedPlanner | null> {
  const kept = await latestCheckpoint(folder);
  if (kept !== null) {
    const { info, tensors } = await loadCheckpoint(kept);
    if (info.step === info.totalSteps) return trainedEgoStatus(modelValues(tensors));
  }
  if (scenes === null) return null;
  const { optimizer } = loopSchema.parse({ optimizer: { learningRate: BASELINE.learningRate } });
  const result = await fit({
    device,
    task: { ...egoStatusTask({ batches: streamBatches(createStreams(scenes), { batch: BASELINE.lanes, features: EGO_STATUS_FEATURES }), lanes: BASELINE.lanes }), batches: shuffledSamples(scenes) },
    out: folder,
    steps: BASELINE.steps,
    seed: BASELINE.seed,
    optimizer,
    checkpointEvery: 1000,
    keep: 1,
    logEvery: 100,
    resume: true,
    run: {},
    progress: ioProgress(io),
    signal: io.interrupted,
  });
  if (result.interrupted) throw io.interrupted.reason;
  return trainedEgoStatus(modelValues(result.tensors));
}

const stateSchema = z.strictObject({ drawn: z.int().min(0) });

/** Batches of samples drawn anew each round, from tables made once: the baseline needs few numbers, but many rounds. */
function shuffledSamples(scenes: readonly Scene[]): BatchSource {
  const streams = createStreams(scenes);
  const total = streams.reduce((sum, { frames }) => sum + frames.length, 0);
  const tables = Object.fromEntries(Object.entries(FIELDS).map(([name, width]) => [name, new Float32Array(total * width)]));
  const commands = new Int32Array(total);
  let row = 0;
  let builder = { scene: null as Scene | null, build: null as ReturnType<typeof featureBuilder> | null };
  for (const { scene, mirror, frames } of streams) {
    if (builder.scene !== scene) builder = { scene, build: featureBuilder(scene) };
    for (const frame of frames) {
      const sample = builder.build?.(frame, { ...EGO_STATUS_FEATURES, mirror });
      if (sample === undefined) continue;
      for (const name of Object.keys(FIELDS) as (keyof typeof FIELDS)[]) tables[name]?.set(sample[name], row * FIELDS[name]);
      commands[row++] = sample.command;
    }
  }
  let drawn = 0;
  let order = { round: -1, rows: new Uint32Array(0) as ArrayLike<number> };
  const nextRow = (): number => {
    const round = Math.floor(drawn / total);
    if (order.round !== round) order = { round, rows: shuffledOrder(total, BASELINE.seed, round) };
    return order.rows[drawn++ % total] ?? 0;
  };
  return {
    next: () => {
      const rows = Array.from({ length: BASELINE.lanes }, nextRow);
      const inputs: Record<string, ArrayLike<number>> = { command: Int32Array.from(rows, (at) => commands[at] ?? 0) };
      for (const [name, width] of Object.entries(FIELDS)) {
        const batch = new Float32Array(BASELINE.lanes * width);
        rows.forEach((at, lane) => batch.set(tables[name]?.subarray(at * width, (at + 1) * width) ?? [], lane * width));
        inputs[name] = batch;
      }
      return { inputs, samples: BASELINE.lanes };
    },
    state: () => ({ drawn }),
    restore: (state) => {
      ({ drawn } = stateSchema.parse(state));
    },
  };
}
