import { type Device, openDevice, tune, recordTuning } from "@distilldrive/tensor";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Io } from "../io.js";
import { runDevice, tuningFile, writeRunTuning, writeTuning } from "./tuning.js";

describe("tuned runs [gpu]", () => {
  let device: Device;
  let cache = "";
  let said = "";
  const io = (): Io => {
    said = "";
    return { out: () => undefined, err: (text) => (said += text), env: { DISTILLDRIVE_CACHE: cache }, terminal: false, interrupted: new AbortController().signal };
  };
  beforeAll(async () => {
    device = await openDevice();
    cache = await mkdtemp(path.join(tmpdir(), "distilldrive-tuning-"));
  });
  afterAll(async () => {
    device.close();
    await rm(cache, { recursive: true, force: true });
  });

  it("a new run takes the winners of this adapter, one that goes on those it began with", async () => {
    const file = tuningFile(io(), device);
    expect(path.dirname(file)).toBe(cache);
    expect(await runDevice(io(), device, cache, false)).toEqual({ device, table: null });
    const table = await tune(device, recordTuning(), { "matmul.nn 8x8x8": { candidate: "x", milliseconds: { x: 1 } } });
    await writeTuning(file, table);
    const fresh = await runDevice(io(), device, cache, false);
    expect(fresh.table).toEqual(table);
    expect(fresh.device.target.tuning?.choose("matmul.nn 8x8x8", [])).toBe("x");
    const run = path.join(cache, "run");
    expect((await runDevice(io(), device, run, true)).table).toBe(null);
    await writeRunTuning(run, table);
    await rm(file);
    expect((await runDevice(io(), device, run, true)).table).toEqual(table);
    expect(said).toBe("");
  });

  it("a table of another driver, or a damaged one, is ignored with one line", async () => {
    const file = tuningFile(io(), device);
    const table = await tune(device, recordTuning());
    await writeTuning(file, { ...table, adapter: { ...table.adapter, description: "older driver" } });
    expect((await runDevice(io(), device, cache, false)).table).toBe(null);
    expect(said).toMatch(/^tuning {3}.*\.json is ignored: it was measured on description "older driver", this is ".*"\. Measure again with: distilldrive tune\n$/);
    await writeFile(file, (await readFile(file, "utf8")).slice(0, 20));
    expect((await runDevice(io(), device, cache, false)).table).toBe(null);
    expect(said).toContain("is ignored: it is no table of tuned kernels");
  });
});
