import { parseConfig, type FitResult } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { writeWhole } from "./files.js";
import type { Run } from "./run-file.js";

const schema = z.strictObject({
  /** Steps done. */
  step: z.int(),
  /** s of training, all sessions together. */
  seconds: z.number(),
  /** Samples seen, all sessions together. */
  samples: z.number(),
  /** Median ms to write inputs, encode and submit a step, last session. */
  encodeMilliseconds: z.number(),
  /** Dispatches a step. */
  kernels: z.number(),
  /** Bytes on the device: variables, arena, inputs, outputs. */
  gpuBytes: z.number(),
  /** Largest resident memory of the process, last session, bytes. */
  processBytes: z.number(),
});

/** What training a run has cost. */
export type RunStatistics = z.output<typeof schema>;

const FILE = "training.json";

/** Statistics of a run's sessions so far; null before the first has ended. */
export async function readStatistics(folder: string): Promise<RunStatistics | null> {
  const file = path.join(folder, FILE);
  const text = await readFile(file, "utf8").catch(() => null);
  return text === null ? null : parseConfig(schema, JSON.parse(text) as unknown, file);
}

/** Statistics of a run that has come to its end; null for one that has not. */
export async function finishedStatistics(folder: string, run: Run | null): Promise<RunStatistics | null> {
  const statistics = await readStatistics(folder);
  return run !== null && statistics?.step === run.steps ? statistics : null;
}

/** Adds a session. @throws RunError when the file cannot be written */
export async function writeStatistics(folder: string, before: RunStatistics | null, result: FitResult): Promise<RunStatistics> {
  // A session that found nothing left to do has measured nothing.
  if (before !== null && result.samples === 0) return before;
  const statistics: RunStatistics = {
    step: result.step,
    seconds: (before?.seconds ?? 0) + result.seconds,
    samples: (before?.samples ?? 0) + result.samples,
    encodeMilliseconds: result.encodeMilliseconds,
    kernels: result.kernels,
    gpuBytes: result.gpuBytes,
    processBytes: peakProcessBytes(),
  };
  await writeWhole(path.join(folder, FILE), `${JSON.stringify(statistics, null, 2)}\n`);
  return statistics;
}

/** Largest resident memory of this process so far, bytes. */
export function peakProcessBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
