import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { BenchError } from "./errors.js";
import type { ModelSize } from "./models/tasks.js";
import { runProgram } from "./program.js";

/** Milliseconds of a process from opening the device until its first training step is done. */
export interface StartTimes {
  readonly openMs: number;
  /** Tracing, planning and compiling. */
  readonly compileMs: number;
  readonly firstStepMs: number;
  /** All of it. */
  readonly totalMs: number;
}

/** Starts with an empty and with a warm driver cache. */
export interface ColdStart {
  readonly cold: StartTimes;
  readonly warm: StartTimes;
}

/**
 * Times the start of the teacher's training twice, each in a process of its own: with an empty driver cache and with the one the first
 * left behind. Only Mesa lets the place of its cache be chosen; with other drivers both find what earlier runs left.
 * @throws BenchError when a process ends early
 */
export async function measureStart(size: ModelSize, signal?: AbortSignal): Promise<ColdStart> {
  const cache = await mkdtemp(path.join(tmpdir(), "distilldrive-shaders-"));
  try {
    return { cold: await startOnce(size, cache, signal), warm: await startOnce(size, cache, signal) };
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

async function startOnce(size: ModelSize, cache: string, signal?: AbortSignal): Promise<StartTimes> {
  let times: StartTimes | undefined;
  await runProgram({ name: "start-worker", purpose: "starting the teacher", task: size, env: { MESA_SHADER_CACHE_DIR: cache } }, (told: StartTimes) => (times = told), signal);
  if (times === undefined) throw new BenchError("bench: the process that starts the teacher told no times.");
  return times;
}
