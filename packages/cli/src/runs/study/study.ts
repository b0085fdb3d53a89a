import { DatasetError } from "@distilldrive/datasets";
import type { PlanningScores } from "@distilldrive/metrics";
import { openDevice } from "@distilldrive/tensor";
import { formatDuration } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { dawnVersion } from "../../adapter.js";
import { RunError } from "../../errors.js";
import type { Io } from "../../io.js";
import { packageVersion, sourceCommit } from "../../system.js";
import { splitData } from "../data.js";
import { evaluateBaselines, evaluateRun } from "../evaluation.js";
import { listFolder, writeWhole } from "../files.js";
import { findRun } from "../run-file.js";
import { resolveSettings } from "../settings.js";
import { finishedStatistics } from "../statistics.js";
import { writeTown } from "../town-files.js";
import { differences, train } from "../train.js";
import { BASELINE_NAMES, type Job, type Split, type Study, type StudyData } from "./plan.js";
import { type BaselineScores, resultRows, type RunScores, type StudyResults } from "./results.js";
import { studyTable } from "./table.js";

/** How a study is run. */
export interface StudyOptions {
  /** What was typed, for the record. */
  readonly command: string;
  /** s this session may take; no run is begun that would not fit. */
  readonly seconds: number;
}

/** A study after this session. */
export interface StudyOutcome {
  readonly results: StudyResults;
  /** What is left where the time was up: the next run, and how long it will take, s; null when all is done. */
  readonly left: { readonly next: string; readonly seconds: number } | null;
}

/** A run takes as long as those before it, and this much longer: evaluation, and luck. */
const MARGIN = 1.1;

/**
 * Runs what a study still lacks, one run after the other, and refreshes `results.json` and `table.md` after each.
 * @throws RunError for a run that was begun with other settings than the plan has now; the signal's reason when it is
 *   interrupted: everything is saved then
 */
export async function runStudy(io: Io, study: Study, { command, seconds }: StudyOptions): Promise<StudyOutcome> {
  const began = performance.now();
  for (const data of new Map(study.jobs.map(({ data: each }) => [each.path, each])).values()) await provide(io, data);
  const finished: RunScores[] = [];
  const waiting: Job[] = [];
  for (const job of study.jobs) {
    const scores = await finishedRun(study, job);
    if (scores === null) waiting.push(job);
    else finished.push(scores);
  }
  const device = await openDevice();
  const adapter = device.description;
  const baselines: BaselineScores[] = [];
  try {
    for (const split of study.splits) if (split.val.length > 0 && study.plan.baselines.length > 0) baselines.push(...(await baselinesOf(io, study, split, device)));
  } finally {
    device.close();
  }
  const refresh = async (): Promise<StudyResults> => {
    const results: StudyResults = {
      title: study.plan.title, command, commit: sourceCommit(), adapter, date: new Date().toISOString(),
      versions: { distilldrive: packageVersion(), node: process.versions.node, webgpu: dawnVersion() ?? "none" },
      done: finished.length, planned: study.jobs.length,
      rows: resultRows(study, baselines, finished), baselines, runs: finished,
    };
    await writeWhole(path.join(study.out, "results.json"), `${JSON.stringify(results, null, 2)}\n`);
    await writeWhole(path.join(study.out, "table.md"), studyTable(study, results));
    return results;
  };
  let results = await refresh();
  for (const [index, job] of waiting.entries()) {
    io.interrupted.throwIfAborted();
    const expected = expectedSeconds(job, finished);
    if ((performance.now() - began) / 1000 + expected > seconds) return { results, left: { next: describe(job), seconds: expected } };
    io.err(`run ${study.jobs.length - waiting.length + index + 1} of ${study.jobs.length}: ${describe(job)}${expected > 0 ? `, about ${formatDuration(expected)}` : ""}\n`);
    finished.push(await runJob(io, study, job, command));
    results = await refresh();
  }
  return { results, left: null };
}

/** Scenes of the town are written where they are missing. */
async function provide(io: Io, { path: folder, town }: StudyData): Promise<void> {
  if (town !== null) await writeTown(folder, town, io.interrupted, () => undefined, await listFolder(folder));
}

/** What a run is expected to take: as long as the longest of its row, or of all; 0 before there is one. */
function expectedSeconds({ row }: Job, finished: readonly RunScores[]): number {
  const own = finished.filter((run) => run.row === row);
  return MARGIN * 60 * Math.max(0, ...(own.length > 0 ? own : finished).map(({ minutes }) => minutes));
}

async function runJob(io: Io, study: Study, job: Job, command: string): Promise<RunScores> {
  const { folder, data, split, settings, seed, start, judged } = job;
  const begun = await findRun(folder);
  if ((await finishedStatistics(folder, begun)) === null) {
    const { result } = await train(io, {
      task: "teacher", out: folder, data: data.path, val: split.val,
      ...(start === null ? {} : { start }),
      config: { content: settings, where: `${study.where}: row "${job.row}"` },
      flags: { seed },
      resume: true,
      profile: false,
      command,
    });
    if (result.interrupted) throw io.interrupted.reason;
  }
  if (judged) await evaluateRun(io, { run: folder, data: data.path, mlp: false });
  const scores = await finishedRun(study, job);
  if (scores === null) throw new RunError(`study: ${folder} is not whole after its training, expected ${judged ? "training.json and evaluation.json" : "training.json"}. Did something else write there? Run the study again.`);
  return scores;
}

/** A job that was done before; null for one that is not. @throws RunError when the plan has changed since */
async function finishedRun(study: Study, job: Job): Promise<RunScores | null> {
  const { row, split, seed, folder, settings, judged } = job;
  const run = await findRun(folder);
  if (run === null) return null;
  // The whole model, not the fields the plan names: defaults may have changed since.
  const planned = resolveSettings("teacher", settings, { seed }, study.where);
  const changed = differences({ ...run.settings, model: run.model }, { ...planned.settings, model: planned.model });
  if (changed.length > 0) throw new RunError(`study: ${folder} was begun with other settings than ${study.where} has now: ${changed.join("; ")}. Delete that folder to run it again, or choose another --out.`);
  const statistics = await finishedStatistics(folder, run);
  if (statistics === null) return null;
  const overall = judged ? await evaluated(folder, statistics.step) : null;
  if (judged && overall === null) return null;
  return { row, split: split.name, seed, folder: path.relative(study.out, folder), steps: statistics.step, minutes: statistics.seconds / 60, overall };
}

/** What `evaluation.json` says of the run's own planner, which is the last of its list. */
async function evaluated(folder: string, step: number): Promise<PlanningScores | null> {
  const text = await readFile(path.join(folder, "evaluation.json"), "utf8").catch(() => null);
  if (text === null) return null;
  const evaluation = JSON.parse(text) as { step: number; planners: { overall: PlanningScores | null }[] };
  return evaluation.step === step ? (evaluation.planners.at(-1)?.overall ?? null) : null;
}

/** Baselines on a split, kept in the study's folder. */
async function baselinesOf(io: Io, { out, data, plan }: Study, split: Split, device: Awaited<ReturnType<typeof openDevice>>): Promise<BaselineScores[]> {
  const wanted = plan.baselines.map((key) => BASELINE_NAMES[key]);
  const file = path.join(out, "baselines", `${split.name}.json`);
  const kept = await readFile(file, "utf8").catch(() => null);
  const known = kept === null ? [] : (JSON.parse(kept) as BaselineScores[]);
  if (wanted.every((name) => known.some((baseline) => baseline.name === name))) return known.filter(({ name }) => wanted.some((each) => each === name));
  const scenes = await splitData(data.path, split.val);
  const withMlp = plan.baselines.includes("egoStatusMlp");
  io.err(`baselines held out: ${split.name}\n`);
  const tables = await evaluateBaselines(io, device, scenes.val, withMlp ? { folder: path.join(out, "baselines", `${split.name}-ego-status-mlp`), training: scenes.train } : null);
  const [any] = tables;
  // The driven path's own collisions are in every table: they depend on the samples alone.
  const all = [...tables, ...(any === undefined ? [] : [{ name: BASELINE_NAMES.log, table: any.table }])].map(({ name, table: { overall } }): BaselineScores => {
    if (overall === null) throw new DatasetError(`study: no keyframe of ${split.val.join(", ")} has a whole 3 s future, expected some to judge planners on. Hold out other scenes.`);
    return { name, split: split.name, overall };
  });
  await writeWhole(file, `${JSON.stringify(all, null, 2)}\n`);
  return all.filter(({ name }) => wanted.some((each) => each === name));
}

function describe({ row, split, seed }: Job): string {
  return `"${row}", held out: ${split.name}, seed ${seed}`;
}
