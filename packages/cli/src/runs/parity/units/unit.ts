import type { NumpyArchive } from "@distilldrive/training";
import type { Pair } from "../compare.js";
import type { Experiment } from "../experiment.js";

/** A graph to run, and the variables to look at after the run. */
export interface UnitRun {
  readonly experiment: Experiment;
  /** Array to the array that gave a variable its value before. */
  readonly after?: ReadonlyMap<string, string>;
}

/** What a unit's archive asks for: graphs for the backend, or values computed on the host. Parts that the archive lacks are left out. */
export type Unit =
  | { readonly graphs: (archive: NumpyArchive) => readonly (Experiment | UnitRun)[] | Promise<readonly (Experiment | UnitRun)[]> }
  | { readonly host: (archive: NumpyArchive) => readonly Pair[] };
