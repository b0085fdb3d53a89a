import type { StoredTensor } from "@distilldrive/tensor";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { latestCheckpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.js";
import { CheckpointError } from "./errors.js";
import { modelValues } from "./model-values.js";

const info = (step: number) => ({ task: "toy", step, totalSteps: 40, seed: 7, logBytes: 12, batches: { position: step }, run: { preset: "tiny" } });
const tensors = (value: number): Map<string, StoredTensor> =>
  new Map<string, StoredTensor>([
    ["model.weight", { shape: [2, 2], dtype: "f32", data: Float32Array.of(value, 1e-40, -0, 3) }],
    ["optimizer.halted", { shape: [], dtype: "u32", data: Uint32Array.of(4294967295) }],
  ]);

describe("checkpoints", () => {
  let scratch: string;
  beforeAll(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), "distilldrive-checkpoint-"));
  });
  afterAll(async () => {
    await rm(scratch, { recursive: true, force: true });
  });

  test("come back as they were written, by run directory, .json or .safetensors", async () => {
    const run = path.join(scratch, "whole");
    const file = await saveCheckpoint(run, info(20), tensors(0.1), 2);
    for (const location of [run, file, file.replace(/json$/, "safetensors")]) {
      const loaded = await loadCheckpoint(location);
      expect(loaded.file).toBe(file);
      expect(loaded.info).toMatchObject({ format: 1, ...info(20) });
      expect(loaded.tensors).toEqual(tensors(0.1));
    }
    expect([...modelValues(tensors(0.1)).keys()]).toEqual(["weight"]);
  });

  test("only those of the highest steps are kept", async () => {
    const run = path.join(scratch, "rotated");
    for (const step of [5, 10, 900, 1000]) await saveCheckpoint(run, info(step), tensors(step), 2);
    expect((await readdir(path.join(run, "checkpoints"))).sort()).toEqual([
      "step-00000900.json", "step-00000900.safetensors", "step-00001000.json", "step-00001000.safetensors",
    ]);
    expect((await loadCheckpoint(run)).info.step).toBe(1000);
  });

  test("tensors without their JSON, left by a kill between the two, do not count", async () => {
    const run = path.join(scratch, "killed");
    await saveCheckpoint(run, info(5), tensors(5), 2);
    await writeFile(path.join(run, "checkpoints", "step-00000010.safetensors"), "half");
    await writeFile(path.join(run, "checkpoints", "step-00000010.json.123"), "{");
    expect(await latestCheckpoint(run)).toMatch(/step-00000005\.json$/);
  });

  test("damage is named, with the file", async () => {
    const run = path.join(scratch, "damaged");
    const file = await saveCheckpoint(run, info(5), tensors(5), 2);
    const tensorFile = file.replace(/json$/, "safetensors");
    const [json, bytes] = [await readFile(file, "utf8"), await readFile(tensorFile)];
    const broken = async (text: string, data: Uint8Array, message: RegExp): Promise<void> => {
      await writeFile(file, text);
      await writeFile(tensorFile, data);
      const refused = loadCheckpoint(run);
      await expect(refused).rejects.toThrow(message);
      await expect(refused).rejects.toThrow("step-00000005");
    };
    await broken(json.slice(0, 40), bytes, /could not be read/);
    await broken(json.replace('"step": 5', '"step": "five"'), bytes, /could not be read.*"step"/s);
    await broken(json.replace('"format": 1', '"format": 2'), bytes, /could not be read.*"format"/s);
    await broken(json, bytes.subarray(0, -1), /is truncated, expected \d+ bytes, got \d+/);
    const header = Uint8Array.from(bytes);
    header[10] = 0xff;
    await broken(json, header, /safetensors/);
    await rm(tensorFile);
    await expect(loadCheckpoint(run)).rejects.toThrow(CheckpointError);
  });

  test.skipIf(process.getuid?.() === 0)("an unwritable directory leaves earlier checkpoints alone (skipped for root, who may write anywhere)", async () => {
    const run = path.join(scratch, "locked");
    await saveCheckpoint(run, info(5), tensors(5), 1);
    await chmod(path.join(run, "checkpoints"), 0o500);
    await expect(saveCheckpoint(run, info(10), tensors(10), 1)).rejects.toThrow(/could not be written.*earlier checkpoints are untouched/);
    await chmod(path.join(run, "checkpoints"), 0o700);
    expect((await loadCheckpoint(run)).info.step).toBe(5);
  });
});
