import type { HorizonValues, PlanningScores } from "@distilldrive/metrics";
import { BASELINE_NAMES, type Study } from "./plan.js";

/** A baseline on a split. */
export interface BaselineScores {
  readonly name: string;
  readonly split: string;
  readonly overall: PlanningScores;
}

/** A finished job. */
export interface RunScores {
  readonly row: string;
  readonly split: string;
  readonly seed: number;
  /** Run directory, relative to the study's. */
  readonly folder: string;
  readonly steps: number;
  /** Of training, all sessions that came to their end. */
  readonly minutes: number;
  /** null for a row that is not judged. */
  readonly overall: PlanningScores | null;
}

/** Mean over seeds, and their sample standard deviation, null for one seed. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number | null;
}

/** A line of a table: cumulative means. */
export interface ResultRow {
  readonly name: string;
  /** Name of a split, or ALL_SPLITS. */
  readonly split: string;
  readonly seeds: readonly number[];
  /** m */
  readonly l2: Readonly<Record<keyof HorizonValues, Spread>>;
  /** Rate, 0 .. 1. */
  readonly collision: Readonly<Record<keyof HorizonValues, Spread>>;
  /** Mean over its runs; null for baselines. */
  readonly minutes: number | null;
}

/** Everything `results.json` holds. */
export interface StudyResults {
  readonly title: string;
  readonly command: string;
  /** Of the sources, null outside of a clone. */
  readonly commit: string | null;
  readonly adapter: string;
  /** When the file was written, ISO 8601. */
  readonly date: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly done: number;
  readonly planned: number;
  readonly rows: readonly ResultRow[];
  readonly baselines: readonly BaselineScores[];
  readonly runs: readonly RunScores[];
}

/** The split of lines that average over all splits. */
export const ALL_SPLITS = "all splits";

const HORIZONS = ["at1s", "at2s", "at3s", "average"] as const;

interface Entry {
  readonly split: string;
  readonly seed: number;
  readonly minutes: number | null;
  readonly scores: { readonly l2: HorizonValues; readonly collision: HorizonValues };
}

/**
 * Lines of the tables: baselines, then the plan's rows, for every split; with more than one split also their averages, over
 * seeds that have all splits. Lines without a finished run are left out.
 */
export function resultRows({ plan, splits }: Pick<Study, "plan" | "splits">, baselines: readonly BaselineScores[], runs: readonly RunScores[]): ResultRow[] {
  const names = splits.map(({ name }) => name);
  const lines = [
    ...plan.baselines.map((key) => ({
      name: BASELINE_NAMES[key],
      entries: baselines.filter(({ name }) => name === BASELINE_NAMES[key]).map(({ name, split, overall }): Entry => ({ split, seed: 0, minutes: null, scores: name === BASELINE_NAMES.log ? logScores(overall) : overall.cumulative })),
      isBaseline: true,
    })),
    ...plan.rows.map((row) => ({
      name: row.name,
      entries: runs.flatMap(({ row: name, split, seed, minutes, overall }): Entry[] => (name === row.name && overall !== null ? [{ split, seed, minutes, scores: overall.cumulative }] : [])),
      isBaseline: false,
    })),
  ];
  const lineOf = (name: string, split: string, entries: readonly Entry[], isBaseline: boolean): ResultRow[] => {
    if (entries.length === 0) return [];
    const each = (quantity: "l2" | "collision"): ResultRow["l2"] => spreads(entries.map(({ scores }) => scores[quantity]));
    const seeds = isBaseline ? [] : entries.map(({ seed }) => seed);
    return [{ name, split, seeds, l2: each("l2"), collision: each("collision"), minutes: isBaseline ? null : mean(entries.map(({ minutes }) => minutes ?? 0)) }];
  };
  return [
    ...names.flatMap((split) => lines.flatMap(({ name, entries, isBaseline }) => lineOf(name, split, entries.filter((entry) => entry.split === split), isBaseline))),
    ...(names.length > 1 ? lines.flatMap(({ name, entries, isBaseline }) => lineOf(name, ALL_SPLITS, averagedOver(names, entries), isBaseline)) : []),
  ];
}

/** One entry for each seed that has all splits. */
function averagedOver(splits: readonly string[], entries: readonly Entry[]): Entry[] {
  return [...new Set(entries.map(({ seed }) => seed))].flatMap((seed): Entry[] => {
    const own = entries.filter((entry) => entry.seed === seed && splits.includes(entry.split));
    if (own.length < splits.length) return [];
    const average = (quantity: "l2" | "collision"): HorizonValues => horizons((horizon) => mean(own.map(({ scores }) => scores[quantity][horizon])));
    return [{ split: ALL_SPLITS, seed, minutes: mean(own.map(({ minutes }) => minutes ?? 0)), scores: { l2: average("l2"), collision: average("collision") } }];
  });
}

/**
 * What the driven path would score: no distance, and the rate of steps at which it meets an annotated box itself. Those
 * steps are left out of every planner's collision rate, so this is a yardstick, not a floor.
 */
function logScores({ perStep }: PlanningScores): Entry["scores"] {
  const until = (steps: number): number => mean(perStep.truthCollision.slice(0, steps));
  const [at1s, at2s, at3s] = [until(2), until(4), until(6)];
  return { l2: horizons(() => 0), collision: { at1s, at2s, at3s, average: mean([at1s, at2s, at3s]) } };
}

function horizons(value: (horizon: (typeof HORIZONS)[number]) => number): HorizonValues {
  return { at1s: value("at1s"), at2s: value("at2s"), at3s: value("at3s"), average: value("average") };
}

function spreads(values: readonly HorizonValues[]): ResultRow["l2"] {
  const of = (horizon: (typeof HORIZONS)[number]): Spread => spread(values.map((value) => value[horizon]));
  return { at1s: of("at1s"), at2s: of("at2s"), at3s: of("at3s"), average: of("average") };
}

/** Mean and sample standard deviation. @param values at least one */
export function spread(values: readonly number[]): Spread {
  const centre = mean(values);
  const deviation = values.length < 2 ? null : Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
  return { mean: centre, deviation };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
