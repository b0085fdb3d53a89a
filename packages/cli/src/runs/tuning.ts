import { checkTuningTable, type Device, tuningOf, type TuningTable, withTuning } from "@distilldrive/tensor";
import envPaths from "env-paths";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Io } from "../io.js";
import { writeWhole } from "./files.js";

/** A table's name in a run directory: the run goes on with the kernels it began with. */
const RUN_FILE = "tuning.json";

/** Where `distilldrive tune` keeps the winners of a device: one file per adapter in the user's cache folder, or in `DISTILLDRIVE_CACHE`. */
export function tuningFile({ env }: Io, { gpu }: Device): string {
  const { vendor, architecture, device } = gpu.adapterInfo;
  const slug = [vendor, architecture, device].join(" ").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "");
  return path.join(env["DISTILLDRIVE_CACHE"] ?? envPaths("distilldrive", { suffix: "" }).cache, `tuning-${slug || "adapter"}.json`);
}

/** The table in a file; null where there is none or it is of no use here, which is said in one line. */
export async function readTuning(io: Io, file: string, device: Device): Promise<TuningTable | null> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return null;
  const lookup = checkTuningTable(parse(text), device);
  if ("table" in lookup) return lookup.table;
  io.err(`tuning   ${file} is ignored: ${lookup.ignored}. Measure again with: distilldrive tune\n`);
  return null;
}

/** A run's device, and the table to put beside a run that begins. */
export interface RunDevice {
  readonly device: Device;
  /** null: kernels are chosen by the rules. */
  readonly table: TuningTable | null;
}

/**
 * The device of a training: a new run takes the winners measured on this adapter, one that goes on those it began with, so
 * that it stays exact.
 */
export async function runDevice(io: Io, device: Device, folder: string, resumed: boolean): Promise<RunDevice> {
  const table = await readTuning(io, resumed ? path.join(folder, RUN_FILE) : tuningFile(io, device), device);
  return table === null ? { device, table } : { device: withTuning(device, tuningOf(table)), table };
}

/** Keeps a run's table beside it. @throws RunError when it cannot be written */
export async function writeRunTuning(folder: string, table: TuningTable): Promise<void> {
  await writeTuning(path.join(folder, RUN_FILE), table);
}

/** @throws RunError when it cannot be written */
export async function writeTuning(file: string, table: TuningTable): Promise<void> {
  await writeWhole(file, `${JSON.stringify(table, null, 2)}\n`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
