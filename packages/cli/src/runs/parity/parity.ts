import { readdir } from "node:fs/promises";
import { RunError } from "../../errors.js";
import type { Backend } from "./backend.js";
import { compareAll, type Comparison } from "./compare.js";
import { Experiment } from "./experiment.js";
import { type NotCompared, notCompared } from "./not-compared.js";
import { runTeacher } from "./teacher.js";
import { type GoldenFolder, openArchive, readTeacherSet } from "./teacher-files.js";
import { unitOf } from "./units/index.js";
import { watched } from "./watched-archive.js";

/** Outcome of one set. */
export interface SetResult {
  /** File without `.npz`. */
  readonly name: string;
  /** "not built": of a model or module that does not exist here; it does not count. */
  readonly state: "passed" | "failed" | "not built";
  readonly comparisons: readonly Comparison[];
  /** Arrays of the file that were neither an input nor compared. */
  readonly left: readonly NotCompared[];
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

const INPUT = /_(?:weights|inputs)$/;

/**
 * Compares the models and modules with every set of a folder in the golden layout.
 *
 * @param folder with `teacher*_{weights,inputs,outputs,...}.npz` and `unit_*.npz`
 * @returns one result a set, in order of their names
 * @throws RunError when the folder cannot be read or no set in it was asked for
 */
export async function runParity(folder: string, options: ParityOptions): Promise<SetResult[]> {
  const { golden, names } = await findSets(folder, options.only);
  const results: SetResult[] = [];
  for (const name of names) {
    options.signal?.throwIfAborted();
    options.onSet?.(name);
    const result = await runSet(golden, name, options);
    results.push(result);
    options.onResult?.(result);
  }
  return results;
}

async function findSets(folder: string, only: string | undefined): Promise<{ golden: GoldenFolder; names: readonly string[] }> {
  let files: string[];
  try {
    files = (await readdir(folder, { withFileTypes: true })).filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    throw new RunError(`parity: cannot read ${folder}, expected a folder of .npz files, got ${error instanceof Error ? error.message : String(error)}. Name another folder.`);
  }
  const sets = files.filter((file) => file.endsWith(".npz")).map((file) => file.slice(0, -4)).filter((name) => !INPUT.test(name)).sort();
  const names = only === undefined ? sets : sets.filter((name) => globPattern(only).test(name));
  if (names.length === 0) {
    const got = sets.length > 0 ? sets.join(", ") : files.some((file) => file.endsWith(".npz")) ? "weights and inputs only" : "no .npz file";
    throw new RunError(`parity: nothing to compare in ${folder}, expected teacher*_, student*_ or unit_* sets${only === undefined ? "" : ` that match "${only}"`}, got ${got}. Name another folder${only === undefined ? "" : " or pattern"}.`);
  }
  return { golden: { folder, files }, names };
}

function globPattern(glob: string): RegExp {
  return new RegExp(`^${glob.replace(/\.npz$/, "").replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`);
}

async function runSet(golden: GoldenFolder, name: string, { backend, signal }: ParityOptions): Promise<SetResult> {
  const found = unitOf(name);
  try {
    if (name.startsWith("teacher")) {
      const { comparisons, left } = await runTeacher(await readTeacherSet(golden, name), backend);
      return outcome(name, comparisons, left);
    }
    if (!found) return { name, state: "not built", comparisons: [], left: [] };
    const archive = watched(await openArchive(golden, name));
    const comparisons: Comparison[] = [];
    if ("host" in found.unit) comparisons.push(...compareAll(found.unit.host(archive)));
    else {
      for (const entry of await found.unit.graphs(archive)) {
        const { experiment, after } = entry instanceof Experiment ? { experiment: entry, after: undefined } : entry;
        comparisons.push(...compareAll(await experiment.run(backend, after)));
      }
    }
    return outcome(name, comparisons, notCompared(found.kind, archive.unread()));
  } catch (error) {
    signal?.throwIfAborted();
    // A file that cannot be what it should be surfaces anywhere, as an error of a shape for one: it fails its set, not the others.
    return { name, state: "failed", comparisons: [], left: [], reason: error instanceof Error ? error.message : String(error) };
  }
}

function outcome(name: string, comparisons: readonly Comparison[], left: readonly NotCompared[]): SetResult {
  const compared = comparisons.some(({ elements }) => elements > 0);
  const state = compared && comparisons.every(({ ok }) => ok) ? "passed" : "failed";
  return { name, state, comparisons, left, ...(compared ? {} : { reason: "nothing in it could be compared" }) };
}
