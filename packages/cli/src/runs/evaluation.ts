import { loadScenes, type Sample, type Scene } from "@distilldrive/datasets";
import { BASELINES, planningMetrics } from "@distilldrive/metrics";
import { type Device, openDevice } from "@distilldrive/tensor";
import { type EvaluatedPlan, evaluatePlanner } from "@distilldrive/training";
import { type PlannerResult, plannerTextTable, type TextCell, textTable } from "@distilldrive/viewer";
import path from "node:path";
import { RunError } from "../errors.js";
import type { Io } from "../io.js";
import { heldOutSamples, scenesOf } from "./data.js";
import { egoStatusBaseline } from "./ego-status.js";
import { writeWhole } from "./files.js";
import { openPlanner } from "./planner.js";
import { learnedScenes, readRun, type Run } from "./run-file.js";

/** What is evaluated on what. */
export interface EvaluationRequest {
  /** Run directory. */
  readonly run: string;
  /** Where the scenes are now; default where the run had them. */
  readonly data?: string;
  /** Scenes to plan in; default those the run held out. */
  readonly val?: readonly string[];
  /** Compare with the ego-status MLP too. */
  readonly mlp: boolean;
}

/** A run evaluated on held-out scenes. */
export interface RunEvaluation {
  readonly folder: string;
  readonly run: Run;
  readonly scenes: readonly Scene[];
  /** Steps the planner has been trained. */
  readonly step: number;
  readonly planner: PlannerResult;
  /** Stand still, constant velocity, constant turn rate, and the ego-status MLP where asked for. */
  readonly baselines: readonly PlannerResult[];
  readonly plans: readonly EvaluatedPlan[];
  readonly samplesPerSecond: number;
}

/**
 * Evaluates the newest checkpoint of a run on scenes it has not seen, beside the baselines; writes `evaluation.json`
 * into the run's directory.
 * @param device default a device of its own
 * @throws RunError for scenes the run was trained on, and when there is nothing to evaluate on; CheckpointError,
 *   DatasetError, DeviceError
 */
export async function evaluateRun(io: Io, request: EvaluationRequest, device?: Device): Promise<RunEvaluation> {
  const { run: folder } = request;
  const run = await readRun(folder, "evaluate");
  const data = request.data ?? run.data.path;
  if (data === "") throw new RunError(`evaluate: ${folder} holds imported weights without scenes, expected where scenes are. Name the folder with --data and the scenes with --val.`);
  const scenes = await evaluationScenes(run, data, request.val);
  const training = request.mlp ? await trainingScenes(io, run, data) : null;
  const own = device ?? (await openDevice());
  try {
    const { planner, step, release } = await openPlanner(folder, run, own, scenes);
    try {
      io.interrupted.throwIfAborted();
      const { table, plans, samplesPerSecond } = await evaluatePlanner(own, planner, scenes);
      const evaluation: RunEvaluation = {
        folder,
        run,
        scenes,
        step,
        planner: { name: planner.name, table, emphasis: true },
        baselines: await evaluateBaselines(io, own, scenes, request.mlp ? { folder: path.join(folder, "ego-status-mlp"), training } : null),
        plans,
        samplesPerSecond,
      };
      await writeWhole(path.join(folder, "evaluation.json"), `${JSON.stringify(evaluationJson(evaluation), null, 2)}\n`);
      return evaluation;
    } finally {
      release();
    }
  } finally {
    if (device === undefined) own.close();
  }
}

/**
 * Stand still, constant velocity and constant turn rate on scenes, and the ego-status MLP where asked for.
 * @param mlp where the MLP is kept, and the scenes to train it on, null for only one that is there already
 */
export async function evaluateBaselines(io: Io, device: Device, scenes: readonly Scene[], mlp: { readonly folder: string; readonly training: readonly Scene[] | null } | null): Promise<PlannerResult[]> {
  const blind = mlp === null ? null : await egoStatusBaseline(io, device, mlp.folder, mlp.training);
  return [...simplePlanners(heldOutSamples(scenes)), ...(blind === null ? [] : [{ name: "ego-status MLP", table: (await evaluatePlanner(device, blind, scenes)).table }])];
}

async function evaluationScenes(run: Run, data: string, val: readonly string[] | undefined): Promise<Scene[]> {
  if (val === undefined && run.data.val.length === 0) throw new RunError("evaluate: the run held no scenes out. Name some it has not seen with --data and --val.");
  const scenes = val === undefined ? await scenesOf(data, run.data.val, "evaluate") : await loadScenes(data, { only: val });
  const seen = scenes.map(({ id }) => id).filter((id) => learnedScenes(run).includes(id));
  if (seen.length > 0) throw new RunError(`evaluate: the run has been trained on ${seen.join(", ")}, expected scenes it has not seen. Leave --val out for those it held out (${run.data.val.join(", ") || "none"}).`);
  return scenes;
}

/** The scenes the run was trained on, to train the MLP on the same; null where they are not at hand. */
async function trainingScenes(io: Io, run: Run, data: string): Promise<Scene[] | null> {
  if (run.imported) {
    io.err("What imported weights were trained on is not known: no ego-status MLP beside them.\n");
    return null;
  }
  for (const place of new Set([data, run.data.path])) {
    try {
      return await scenesOf(place, run.data.train, "evaluate");
    } catch {
      continue;
    }
  }
  io.err(`The scenes the run was trained on are not in ${data}: no ego-status MLP can be trained on them.\n`);
  return null;
}

/** Baselines without parameters on the same samples. */
function simplePlanners(samples: readonly Sample[]): PlannerResult[] {
  return Object.entries(BASELINES).map(([name, plan]) => {
    const metrics = planningMetrics();
    for (const sample of samples) metrics.add({ sample, waypoints: plan(sample) });
    return { name, table: metrics.result() };
  });
}

/** Everything an evaluation found but the plans, for files and `--json`. */
export function evaluationJson({ folder, run, scenes, step, planner, baselines, samplesPerSecond }: RunEvaluation): object {
  return {
    run: folder,
    task: run.task,
    preset: run.settings.preset,
    seed: run.settings.seed,
    step,
    scenes: scenes.map(({ id }) => id),
    samplesPerSecond,
    planners: [...baselines, planner].map(({ name, table }) => ({ name, ...table })),
  };
}

/** The tables of `evaluate`: both conventions, and per command. */
export function formatResults(results: readonly PlannerResult[]): string {
  return `${[plannerTextTable(results, "cumulative"), plannerTextTable(results, "atStep"), commandTextTable(results)].join("\n\n")}\n`;
}

/** Average cumulative L2 and collision rate per command. */
function commandTextTable(results: readonly PlannerResult[]): string {
  const commands = ["left", "straight", "right"] as const;
  const counts = commands.map((command) => Math.max(0, ...results.map(({ table }) => table.byCommand[command]?.samples ?? 0)));
  const header = ["planner", ...commands.flatMap((command, i) => [`L2 ${command} (${counts[i] ?? 0})`, `col ${command}`])];
  const rows = results.map(({ name, table }): TextCell[] => [
    name,
    ...commands.flatMap((command): TextCell[] => {
      const scores = table.byCommand[command]?.cumulative;
      return scores === undefined ? [null, null] : [scores.l2.average, `${(100 * scores.collision.average).toFixed(2)}%`];
    }),
  ]);
  return `Per command (samples): averages of the cumulative means\n${textTable([header, ...rows])}`;
}
