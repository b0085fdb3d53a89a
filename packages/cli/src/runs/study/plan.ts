import { townSceneName } from "@distilldrive/datasets";
import { ConfigError, parseConfig, suggestion } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { UsageError } from "../../errors.js";
import { reasonOf } from "../files.js";
import { layered } from "../presets.js";
import { resolveSettings } from "../settings.js";

/** Planners that need no row: what each is called in a plan and in the tables. */
export const BASELINE_NAMES = {
  standStill: "stand still",
  constantVelocity: "constant velocity",
  constantTurnRate: "constant turn rate",
  egoStatusMlp: "ego-status MLP",
  log: "the log itself",
} as const;

const townData = z.strictObject({
  town: z.strictObject({
    /** How many scenes; they are written to the study's folder. */
    scenes: z.int().min(1),
    /** Seed of the first. */
    seed: z.int().min(0).default(0),
    /** s */
    duration: z.number().min(1).max(60).default(20),
  }),
});
/** A folder with scenes, relative to the plan's file, or scenes of the synthetic town. */
const dataSchema = z.union([z.string().min(1), townData], { error: 'expected a folder with scenes, or { "town": { "scenes": 30 } }' });
/** Names of scenes to hold out, or how many of the town's last. */
const splitSchema = z.union([z.array(z.string().min(1)), z.int().min(1)], { error: "expected a list of scene names, or how many of the town's last scenes" });
const settings = z.record(z.string(), z.unknown()).default({});
const seeds = z.array(z.int().min(0)).min(1);

const rowSchema = z.strictObject({
  name: z.string().min(1),
  /** Printed below the table. */
  note: z.string().optional(),
  /** Settings of `train teacher` that differ from `base`. */
  settings,
  /** Default the plan's. */
  seeds: seeds.optional(),
  /** Name of a row above: begin with its weights and anchors, of the same split and seed where it has them, else of its first. */
  startFrom: z.string().optional(),
  /** Data of its own, for a row that others start from; such a row is not in the tables. */
  data: dataSchema.optional(),
  /** What the paper reports: average L2 in m and collision rate in %. */
  paper: z.strictObject({ l2: z.number(), collision: z.number() }).optional(),
});

const planSchema = z.strictObject({
  title: z.string().min(1),
  /** Printed above the tables. */
  note: z.string().optional(),
  data: dataSchema.optional(),
  /** Held-out scenes: every row is trained and evaluated once for each of these. */
  val: z.array(splitSchema).min(1),
  /** Settings of `train teacher` that all rows share. */
  base: settings,
  seeds: seeds.default([1]),
  rows: z.array(rowSchema).min(1),
  baselines: z.array(z.enum(Object.keys(BASELINE_NAMES) as (keyof typeof BASELINE_NAMES)[])).default(["constantVelocity", "egoStatusMlp", "log"]),
});

/** A plan as it is written, with defaults filled in. */
export type StudyPlan = z.output<typeof planSchema>;

/** Where scenes come from: a folder that is there, or one to fill with scenes of the town. */
export interface StudyData {
  readonly path: string;
  readonly town: { readonly scenes: number; readonly seed: number; readonly duration: number } | null;
}

/** Held-out scenes. */
export interface Split {
  /** "0655-1094", or "last-6": part of folder names. */
  readonly name: string;
  readonly val: readonly string[];
}

/** One training, and its evaluation. */
export interface Job {
  readonly row: string;
  readonly split: Split;
  readonly seed: number;
  /** Run directory. */
  readonly folder: string;
  readonly data: StudyData;
  /** Content of a settings file. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Run directory to start from. */
  readonly start: string | null;
  /** Whether it is judged on its split and stands in the tables. */
  readonly judged: boolean;
}

/** A plan made into jobs, in the order in which they run. */
export interface Study {
  readonly plan: StudyPlan;
  /** Folder of the study. */
  readonly out: string;
  /** The plan's file, for messages. */
  readonly where: string;
  readonly data: StudyData;
  readonly splits: readonly Split[];
  readonly jobs: readonly Job[];
}

/**
 * Reads a plan and checks everything in it, the settings of all rows included.
 * @param file the plan, JSON
 * @param out folder of the study
 * @param data folder with scenes, instead of the plan's
 * @throws ConfigError for everything wrong in the file, with its path; UsageError where the data are missing
 */
export async function readPlan(file: string, out: string, data?: string): Promise<Study> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new UsageError(`distilldrive study: ${file} cannot be read (${reasonOf(cause)}), expected a plan such as those in examples/studies. See: docs/studies.md`);
  });
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`${file}: no JSON (${reasonOf(cause)}). See docs/studies.md.`);
  }
  const plan = parseConfig(planSchema, content, file);
  const folderOf = (given: z.output<typeof dataSchema>, name: string): StudyData =>
    typeof given === "string" ? { path: path.resolve(path.dirname(file), given), town: null } : { path: path.join(out, name), town: given.town };
  if (data === undefined && plan.data === undefined) throw new UsageError(`distilldrive study: ${file} names no data. Add --data <folder with scenes>.`);
  const shared = data === undefined ? folderOf(plan.data ?? "", "data") : { path: path.resolve(data), town: null };
  const splits = plan.val.map((split) => splitOf(split, shared, file));
  const jobs = jobsOf(plan, out, shared, splits, (given, name) => folderOf(given, `data-${name}`), file);
  return { plan, out, where: file, data: shared, splits, jobs };
}

function splitOf(split: z.output<typeof splitSchema>, { town }: StudyData, file: string): Split {
  if (typeof split !== "number") return { name: slug(split.join("-")) || "nothing-held-out", val: split };
  if (town === null) throw new ConfigError(`${file}: "val": ${split} counts scenes of the town, expected names of scenes with the data of a folder. Write them as a list.`);
  if (split >= town.scenes) throw new ConfigError(`${file}: "val": ${split} of ${town.scenes} scenes held out leaves none to train on. Hold out fewer.`);
  return { name: `last-${split}`, val: Array.from({ length: split }, (_, k) => townSceneName(town.seed + town.scenes - split + k)) };
}

/** First seeds of all rows first, so that a table is soon complete and gains seeds later. */
function jobsOf(plan: StudyPlan, out: string, shared: StudyData, splits: readonly Split[], folderOf: (data: z.output<typeof dataSchema>, name: string) => StudyData, file: string): Job[] {
  const names = plan.rows.map(({ name }) => slug(name));
  const rows = plan.rows.map((row, index) => {
    const [where, name] = [`${file}: rows.${index} "${row.name}"`, names[index] ?? ""];
    if (name === "" || names.indexOf(name) !== index) throw new ConfigError(`${where}: the name makes no folder of its own, expected letters or digits that no other row has, got "${name}". Rename the row.`);
    const above = plan.rows.slice(0, index).map((other) => other.name);
    if (row.startFrom !== undefined && !above.includes(row.startFrom)) {
      throw new ConfigError(`${where}: startFrom "${row.startFrom}" is no row above it, expected ${above.length === 0 ? "none for the first row" : `one of ${above.join(", ")}`}.${suggestion(row.startFrom, above)}`);
    }
    const content = layered(plan.base, row.settings);
    resolveSettings("teacher", content, {}, where);
    const own = row.data === undefined ? null : folderOf(row.data, name);
    return { ...row, slug: name, content, own, splits: own ? [{ name: "nothing-held-out", val: [] }] : splits, seeds: row.seeds ?? plan.seeds };
  });
  const folder = (row: (typeof rows)[number], split: Split, seed: number): string => path.join(out, "runs", row.slug, `${split.name}-seed-${seed}`);
  const startOf = ({ startFrom }: (typeof rows)[number], split: Split, seed: number): string | null => {
    const source = rows.find(({ name }) => name === startFrom);
    if (source === undefined) return null;
    const [firstSplit = split, firstSeed = seed] = [source.splits.find(({ name }) => name === split.name) ?? source.splits[0], source.seeds.includes(seed) ? seed : source.seeds[0]];
    return folder(source, firstSplit, firstSeed);
  };
  const rounds = Math.max(...rows.map((row) => row.seeds.length));
  const jobs = Array.from({ length: rounds }, (_, round) =>
    rows.flatMap((row) => {
      const seed = row.seeds[round];
      if (seed === undefined) return [];
      return row.splits.map((split): Job => ({
        row: row.name, split, seed, folder: folder(row, split, seed), data: row.own ?? shared, settings: row.content, start: startOf(row, split, seed), judged: row.own === null && split.val.length > 0,
      }));
    }),
  ).flat();
  return startsFirst(jobs);
}

/** A job behind the one it starts from: a row may use a seed that its source has in a later round. */
function startsFirst(jobs: readonly Job[]): Job[] {
  const ordered: Job[] = [];
  const place = (job: Job): void => {
    if (ordered.includes(job)) return;
    const source = jobs.find(({ folder }) => folder === job.start);
    if (source) place(source);
    ordered.push(job);
  };
  jobs.forEach(place);
  return ordered;
}

function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "");
}
