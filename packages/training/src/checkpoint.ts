import { decodeSafetensors, encodeSafetensors, type StoredTensor } from "@distilldrive/tensor";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import writeFileAtomic from "write-file-atomic";
import { z } from "zod";
import { parseConfig } from "./config.js";
import { CheckpointError } from "./errors.js";

/** What a checkpoint says besides its tensors. */
export interface CheckpointInfo {
  readonly format: 1;
  /** Which trainer wrote it: "teacher", "student", "distill". */
  readonly task: string;
  /** Steps done. */
  readonly step: number;
  readonly totalSteps: number;
  readonly seed: number;
  /** Bytes of `metrics.jsonl` that belong to the steps done. */
  readonly logBytes: number;
  /** Bytes of the tensor file, to notice truncation. */
  readonly tensorBytes: number;
  /** State of the batch source: the next batch after a resume is the one that would have come. */
  readonly batches: unknown;
  /** Whatever the trainer needs to rebuild the model: preset, configuration, data split. */
  readonly run: Readonly<Record<string, unknown>>;
}

/** A checkpoint in memory. */
export interface Checkpoint {
  readonly file: string;
  readonly info: CheckpointInfo;
  readonly tensors: Map<string, StoredTensor>;
}

const infoSchema = z.object({
  format: z.literal(1),
  task: z.string(),
  step: z.int().min(0),
  totalSteps: z.int().min(0),
  seed: z.number(),
  logBytes: z.int().min(0),
  tensorBytes: z.int().min(0),
  batches: z.unknown(),
  run: z.record(z.string(), z.unknown()),
});

const folder = "checkpoints";
const namePattern = /^step-(\d{8})\.json$/;

/**
 * Writes a checkpoint: tensors first, then the JSON that makes it count, each to a temporary file that is flushed to
 * disk and renamed. Afterwards only the newest `keep` remain.
 * @throws CheckpointError when the directory cannot be written
 */
export async function saveCheckpoint(
  runDirectory: string,
  info: Omit<CheckpointInfo, "format" | "tensorBytes">,
  tensors: ReadonlyMap<string, StoredTensor>,
  keep: number,
): Promise<string> {
  const directory = path.join(runDirectory, folder);
  const base = path.join(directory, `step-${String(info.step).padStart(8, "0")}`);
  const bytes = encodeSafetensors(tensors, { task: info.task, step: String(info.step) });
  try {
    await mkdir(directory, { recursive: true });
    await writeFileAtomic(`${base}.safetensors`, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const full: CheckpointInfo = { format: 1, ...info, tensorBytes: bytes.byteLength };
    await writeFileAtomic(`${base}.json`, `${JSON.stringify(full, null, 2)}\n`);
    for (const name of (await checkpointNames(directory)).slice(0, -keep)) {
      await rm(path.join(directory, `${name}.json`), { force: true });
      await rm(path.join(directory, `${name}.safetensors`), { force: true });
    }
  } catch (cause) {
    throw new CheckpointError(`checkpoint: ${base} could not be written (${reason(cause)}). Check permissions and free space; earlier checkpoints are untouched.`);
  }
  return `${base}.json`;
}

/** File of the newest complete checkpoint of a run, or null. */
export async function latestCheckpoint(runDirectory: string): Promise<string | null> {
  const directory = path.join(runDirectory, folder);
  const newest = (await checkpointNames(directory)).at(-1);
  return newest === undefined ? null : path.join(directory, `${newest}.json`);
}

/**
 * Reads a checkpoint.
 * @param location a checkpoint's .json or .safetensors, or a run directory (its newest checkpoint)
 * @throws CheckpointError when it is missing, truncated or no checkpoint
 */
export async function loadCheckpoint(location: string): Promise<Checkpoint> {
  const file = /\.(json|safetensors)$/.test(location) ? location.replace(/\.safetensors$/, ".json") : await latestCheckpoint(location);
  if (file === null) throw new CheckpointError(`checkpoint: ${location} holds none, expected ${folder}/step-<n>.json in it. Give a run directory that has been trained.`);
  let info: CheckpointInfo;
  try {
    info = parseConfig(infoSchema, JSON.parse(await readFile(file, "utf8")), file);
  } catch (cause) {
    throw new CheckpointError(`checkpoint: ${file} could not be read (${reason(cause)}). Use another checkpoint of the run.`);
  }
  const tensorFile = file.replace(/\.json$/, ".safetensors");
  let bytes: Uint8Array;
  try {
    bytes = await readFile(tensorFile);
  } catch (cause) {
    throw new CheckpointError(`checkpoint: ${tensorFile} could not be read (${reason(cause)}). Use another checkpoint of the run.`);
  }
  if (bytes.byteLength !== info.tensorBytes) {
    throw new CheckpointError(`checkpoint: ${tensorFile} is truncated, expected ${info.tensorBytes} bytes, got ${bytes.byteLength}. Use another checkpoint of the run.`);
  }
  return { file, info, tensors: decodeSafetensors(bytes, tensorFile).tensors };
}

async function checkpointNames(directory: string): Promise<string[]> {
  const files = await readdir(directory).catch(() => []);
  return files
    .filter((name) => namePattern.test(name))
    .map((name) => name.slice(0, -5))
    .sort();
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
