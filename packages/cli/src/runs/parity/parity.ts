import { decodeNpz, decodeStateDict, type NumpyArchive } from "@distilldrive/training";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { RunError } from "../../errors.js";
import type { Backend } from "./backend.js";
import { compareAll, type Comparison } from "./compare.js";
import { Experiment } from "./experiment.js";
import { runTeacher, type TeacherSet } from "./teacher.js";
import { UNITS } from "./units/index.js";

/** Outcome of one set. */
export interface SetResult {
  /** File without `.npz`. */
  readonly name: string;
  readonly state: "passed" | "failed" | "not built";
  readonly comparisons: readonly Comparison[];
  /** Arrays of the file that nothing here computes. */
  readonly left: readonly string[];
  /** Why a set could not run. */
  readonly reason?: string;
}

/** What {@link runParity} does. */
export interface ParityOptions {
  /** Runs the graphs. */
  readonly backend: Backend;
  /** Sets to run, `*` and `?` as in file names; default all. */
  readonly only?: string;
  readonly signal?: AbortSignal;
  /** Called before a set runs. */
  readonly onSet?: (name: string) => void;
  /** Called when a set is done. */
  readonly onResult?: (result: SetResult) => void;
}

/** `<model><anything>_<what was recorded>[_maskfix]` */
const MODEL_SET = /^((?:teacher|student).*?)_(eval_outputs|stage2cfg_outputs|outputs|losses_grads|trainbn)(_maskfix)?$/;
const INPUT = /_(?:weights|inputs)$/;

/**
 * Compares the models and modules with every set of a folder in the golden layout.
 *
 * @param folder with `teacher*_{weights,inputs,outputs,...}.npz` and `unit_*.npz`
 * @returns one result a set, in order of their names
 * @throws RunError when the folder cannot be read or no set in it was asked for
 */
export async function runParity(folder: string, options: ParityOptions): Promise<SetResult[]> {
  const names = await setNames(folder, options.only);
  const results: SetResult[] = [];
  for (const name of names) {
    options.signal?.throwIfAborted();
    options.onSet?.(name);
    const result = await runSet(folder, name, options.backend);
    results.push(result);
    options.onResult?.(result);
  }
  return results;
}

async function setNames(folder: string, only: string | undefined): Promise<string[]> {
  let files: string[];
  try {
    files = await readdir(folder);
  } catch (error) {
    throw new RunError(`parity: cannot read ${folder}, expected a folder of .npz files, got ${error instanceof Error ? error.message : String(error)}. Name another folder.`);
  }
  const sets = files.filter((file) => file.endsWith(".npz")).map((file) => file.slice(0, -4)).filter((name) => !INPUT.test(name)).sort();
  const chosen = only === undefined ? sets : sets.filter((name) => globPattern(only).test(name));
  if (chosen.length === 0) {
    throw new RunError(`parity: nothing to compare in ${folder}, expected teacher*_, student*_ or unit_* sets${only === undefined ? "" : ` that match "${only}"`}, got ${sets.length === 0 ? "no .npz file" : sets.join(", ")}.`);
  }
  return chosen;
}

function globPattern(glob: string): RegExp {
  return new RegExp(`^${glob.replace(/\.npz$/, "").replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`);
}

async function runSet(folder: string, name: string, backend: Backend): Promise<SetResult> {
  const open = async (file: string): Promise<NumpyArchive> => decodeNpz(await readFile(path.join(folder, `${file}.npz`)), `${file}.npz`);
  const model = MODEL_SET.exec(name);
  const unit = UNITS[/^unit_(.*)$/.exec(name)?.[1] ?? ""];
  const notBuilt: SetResult = { name, state: "not built", comparisons: [], left: [] };
  try {
    if (unit && "host" in unit) {
      const archive = await open(name);
      const pairs = unit.host(archive);
      return finish(name, compareAll(pairs), []);
    }
    if (unit) {
      const archive = await open(name);
      const comparisons: Comparison[] = [];
      for (const entry of unit.graphs(archive)) {
        const { experiment, after } = entry instanceof Experiment ? { experiment: entry, after: undefined } : entry;
        comparisons.push(...compareAll(await experiment.run(backend, after)));
      }
      return finish(name, comparisons, leftOf(archive, comparisons));
    }
    if (!model?.[1]?.startsWith("teacher")) return notBuilt;
    const { pairs, left } = await runTeacher(await teacherSet(folder, model, open), backend);
    return finish(name, compareAll(pairs), left);
  } catch (error) {
    if (error instanceof Error && "userFacing" in error) return { name, state: "failed", comparisons: [], left: [], reason: error.message };
    throw error;
  }
}

function finish(name: string, comparisons: readonly Comparison[], left: readonly string[]): SetResult {
  const state = comparisons.length > 0 && comparisons.every(({ ok }) => ok) ? "passed" : "failed";
  return { name, state, comparisons, left, ...(comparisons.length === 0 ? { reason: "nothing in it could be compared" } : {}) };
}

/** Results in an archive (not weights, inputs or cotangents) that were not compared. */
function leftOf({ names }: NumpyArchive, comparisons: readonly Comparison[]): string[] {
  const compared = new Set(comparisons.map(({ name }) => name));
  return names.filter((name) => !compared.has(name) && /(?:^|[._])(?:out\w*|y|loss|grad\w*|attn)(?:\.|$)/.test(name));
}

async function teacherSet(folder: string, model: RegExpExecArray, open: (file: string) => Promise<NumpyArchive>): Promise<TeacherSet> {
  const [name, prefix = "", recorded = "", fixed] = model;
  const expected = await open(name);
  const namesFile = path.join(folder, `${prefix}_gradstat.names.txt`);
  const gradientNames = existsSync(namesFile) ? (await readFile(namesFile, "utf8")).split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "").filter((line) => line !== "") : null;
  const inputs = await open(`${prefix}_inputs`);
  return {
    weights: decodeStateDict(await readFile(path.join(folder, `${prefix}_weights.npz`)), `${prefix}_weights.npz`).tensors,
    inputs,
    expected,
    kind: recorded === "trainbn" || recorded === "losses_grads" ? recorded : "outputs",
    stage2: recorded.startsWith("stage2cfg"),
    mapVisible: fixed !== undefined,
    gradientNames,
    slots: await slotsOf(folder, prefix, expected, inputs, open),
  };
}

/**
 * Agent and line slots: of the set itself, else of the same teacher's outputs, else as few as the inputs need and one more (with a
 * slot to spare in every sample, the number of line slots makes no difference).
 */
async function slotsOf(folder: string, prefix: string, expected: NumpyArchive, inputs: NumpyArchive, open: (file: string) => Promise<NumpyArchive>): Promise<TeacherSet["slots"]> {
  const archives = [expected];
  for (const other of [`${prefix}_outputs`, `${prefix}_outputs_maskfix`]) if (existsSync(path.join(folder, `${other}.npz`))) archives.push(await open(other));
  const size = (arrays: readonly string[]): number | undefined => {
    for (const archive of archives) for (const array of arrays) if (archive.has(array)) return archive.get(array).shape[1];
    return undefined;
  };
  const rows = (array: string): number => Math.max(...inputs.names.filter((name) => name.endsWith(array)).map((name) => inputs.get(name).shape[0] ?? 0));
  return {
    agents: size(["frame0.motion.mask", "frame0.motion.classification.0", "target.motion.cls_target"]) ?? rows(".gt_labels_3d"),
    lines: size(["frame0.inter.map_encoder.padding_mask"]) ?? rows(".gt_map_labels") + 1,
  };
}
