import { type Device, DeviceError, openDevice } from "@distilldrive/tensor";
import { countCalls } from "@distilldrive/testkit";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { latestCheckpoint, loadCheckpoint } from "./checkpoint.js";
import { fit, type FitOptions } from "./fit.js";
import { TOY_SETTINGS, toyTask } from "./testing/toy-task.js";

describe("fit [gpu]", () => {
  let device: Device;
  let scratch: string;
  beforeAll(async () => {
    device = await openDevice();
    scratch = await mkdtemp(path.join(tmpdir(), "distilldrive-fit-"));
  });
  afterAll(async () => {
    device.close();
    await rm(scratch, { recursive: true, force: true });
  });
  const options = (name: string, more: Partial<FitOptions> = {}): FitOptions => ({
    device,
    task: toyTask(),
    out: path.join(scratch, name),
    ...TOY_SETTINGS,
    resume: false,
    ...more,
  });
  const bytesOf = async (name: string): Promise<{ weights: Buffer; log: string }> => {
    const file = await latestCheckpoint(path.join(scratch, name));
    return {
      weights: await readFile((file ?? "").replace(/json$/, "safetensors")),
      log: await readFile(path.join(scratch, name, "metrics.jsonl"), "utf8"),
    };
  };

  test("the loss falls, every step is logged, the last checkpoints are kept", async () => {
    const result = await fit(options("whole"));
    const lines = (await readFile(path.join(scratch, "whole", "metrics.jsonl"), "utf8")).trim().split("\n").map((line) => JSON.parse(line) as { step: number; loss: number });
    expect(lines.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(lines[19]?.loss).toBeLessThan(lines[0]?.loss ?? 0);
    expect(result.step).toBe(20);
    expect((await readdir(path.join(scratch, "whole", "checkpoints"))).sort()).toEqual(["step-00000015.json", "step-00000015.safetensors", "step-00000020.json", "step-00000020.safetensors"]);
  });

  test("killed with SIGKILL and resumed, the run ends with the same bits and the same log", async () => {
    const script = fileURLToPath(new URL("./testing/toy-run.ts", import.meta.url));
    const run = (resume: string, killAfter: number): Promise<string> =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, ["--conditions=@distilldrive/source", "--import", "tsx", script, path.join(scratch, "killed"), resume]);
        let output = "";
        let errors = "";
        child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
        child.stdout.on("data", (chunk: Buffer) => {
          output += chunk.toString();
          const step = Number(/step (\d+)\n$/.exec(output)?.[1] ?? 0);
          if (step >= killAfter) child.kill("SIGKILL");
        });
        child.on("close", () => {
          if (output === "") reject(new Error(errors));
          else resolve(output);
        });
      });
    expect(await run("", 11)).not.toContain("done");
    expect(await run("resume", 99)).toContain("done 20");
    const [whole, killed] = [await bytesOf("whole"), await bytesOf("killed")];
    expect(killed.log).toBe(whole.log);
    expect(killed.weights.equals(whole.weights)).toBe(true);
  });

  test("stopped by a signal, it leaves a checkpoint and resumes to the same bits", async () => {
    const stop = new AbortController();
    const progress = { start: () => undefined, stop: () => undefined, update: ({ step }: { step: number }): void => { if (step >= 6) stop.abort(); } };
    const first = await fit(options("stopped", { signal: stop.signal, progress }));
    expect(first.interrupted).toBe(true);
    expect(first.step).toBeLessThan(20);
    await fit(options("stopped", { resume: true }));
    const [whole, stopped] = [await bytesOf("whole"), await bytesOf("stopped")];
    expect(stopped.log).toBe(whole.log);
    expect(stopped.weights.equals(whole.weights)).toBe(true);
  });

  test("a number that is not finite stops the run with step and op, and leaves the state before it", async () => {
    const failing = options("diverged", { task: toyTask({ poisonAt: 8 }) });
    await expect(fit(failing)).rejects.toThrow(/step 9 produced a number that is not finite, first in element \d+ of %\d+ = (mul|square|matmul|sum).*last good checkpoint is .*step-00000005\.json/s);
    const lines = (await readFile(path.join(scratch, "diverged", "metrics.jsonl"), "utf8")).trim().split("\n");
    expect(lines).toHaveLength(8);
  });

  test("when the device is lost, it is opened again and the run ends with the same bits; a second loss is an error", async () => {
    const losing = async (name: string, times: number): Promise<{ notes: string[]; run: Promise<unknown> }> => {
      const notes: string[] = [];
      const task = toyTask();
      let current = await openDevice();
      let left = times;
      const watched = { ...task, batches: { ...task.batches, next: () => {
        // Batches are made while the device works on the step before.
        if (task.batches.state() === 12 && left-- > 0) current.gpu.destroy();
        return task.batches.next();
      } } };
      const progress = { start: () => undefined, stop: () => undefined, update: () => undefined, note: (text: string) => { notes.push(text); } };
      const reopen = async (): Promise<{ device: Device }> => ({ device: (current = await openDevice()) });
      return { notes, run: fit(options(name, { device: current, task: watched, progress, reopen })).finally(() => { current.close(); }) };
    };
    const once = await losing("lost", 1);
    expect(await once.run).toMatchObject({ step: 20 });
    expect(once.notes).toEqual([expect.stringMatching(/was lost \(.*\) while step 12 of "toy" ran, a program of \d+ kernels, the costliest \S+ \(.*going on from the last checkpoint\.$/)]);
    const [whole, lost] = [await bytesOf("whole"), await bytesOf("lost")];
    expect(lost.log).toBe(whole.log);
    expect(lost.weights.equals(whole.weights)).toBe(true);
    const twice = await losing("lost-twice", 2);
    await expect(twice.run).rejects.toThrow(DeviceError);
    const refused = await losing("lost-for-good", 2);
    await expect(refused.run).rejects.toThrow(/second time.*Lower the batch.*resume the run in .*lost-for-good/s);
  });

  test("a directory that holds a run is not overwritten", async () => {
    await expect(fit(options("whole"))).rejects.toThrow("already holds a run");
    await expect(fit(options("whole", { resume: true, seed: 8 }))).rejects.toThrow("another seed, expected 7, got 8");
  });

  test("a step is one submit, one write, no map and no new buffer; only readbacks of the log map", async () => {
    const counts = countCalls(device.gpu);
    const seen: { submits: number; maps: number; buffers: number }[] = [];
    const task = toyTask();
    const watched = { ...task, batches: { ...task.batches, next: () => {
      seen.push({ submits: counts.submits, maps: counts.maps, buffers: counts.buffers });
      return task.batches.next();
    } } };
    await fit(options("counted", { task: watched, logEvery: 10, checkpointEvery: 100 }));
    // The batch of step k is asked for before step k is submitted: entries differ by exactly the step between them.
    const between = seen.slice(2, 10).map((entry, i) => ({
      submits: entry.submits - (seen[i + 1]?.submits ?? 0),
      maps: entry.maps - (seen[i + 1]?.maps ?? 0),
      buffers: entry.buffers - (seen[i + 1]?.buffers ?? 0),
    }));
    expect(between).toEqual(between.map(() => ({ submits: 1, maps: 0, buffers: 0 })));
  });

  test("damaged checkpoints and unwritable directories give clear errors", async () => {
    await fit(options("damaged", { steps: 5 }));
    const file = (await latestCheckpoint(path.join(scratch, "damaged"))) ?? "";
    await truncate(file.replace(/json$/, "safetensors"), 100);
    await expect(loadCheckpoint(file)).rejects.toThrow(/truncated, expected \d+ bytes, got 100/);
    await writeFile(path.join(scratch, "a-file"), "");
    await expect(fit(options("a-file/run"))).rejects.toThrow("cannot be written");
    await expect(loadCheckpoint(path.join(scratch, "nothing"))).rejects.toThrow("holds none");
  });
});
