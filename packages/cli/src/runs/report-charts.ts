import type { Curve, LineChart } from "@distilldrive/viewer";
import { readFile } from "node:fs/promises";
import path from "node:path";

/** A run whose log is drawn. */
export interface LoggedRun {
  /** How the report calls it. */
  readonly name: string;
  /** Run directory with `metrics.jsonl`. */
  readonly folder: string;
}

/** Scalars of one step by name. */
type LogLine = Readonly<Record<string, number>>;
interface Log extends LoggedRun {
  readonly lines: readonly LogLine[];
}

/** Scalars that are drawn together: how their names begin, the chart's title, its axis. */
interface Group {
  readonly prefix: string;
  readonly title: string;
  readonly yLabel: string;
  readonly yScale: "linear" | "log";
}

const GROUPS: readonly Group[] = [
  { prefix: "plan", title: "loss and its planning part", yLabel: "loss", yScale: "log" },
  { prefix: "motion", title: "motion part of the loss", yLabel: "loss", yScale: "log" },
  { prefix: "distill", title: "distillation part of the loss", yLabel: "loss", yScale: "log" },
  { prefix: "reward", title: "rewards", yLabel: "reward", yScale: "linear" },
  { prefix: "weight", title: "learned weights of the rewards", yLabel: "weight", yScale: "linear" },
  { prefix: "value", title: "action values", yLabel: "value", yScale: "linear" },
];

/** Names of the action values in words: what they are needs more than their own. */
const VALUE_WORDS: Readonly<Record<string, string>> = {
  valueReward: "weighted reward",
  valueChosen: "predicted status",
  valueBest: "best by target network",
  valueTarget: "target",
};

/**
 * Curves of `metrics.jsonl`: of every run the loss and its parts, and, where it was trained with reinforcement, rewards,
 * their learned weights and action values; of all runs together the error of the predicted ego status. Runs without a
 * log are left out.
 */
export async function trainingCharts(runs: readonly LoggedRun[]): Promise<LineChart[]> {
  const logs = (await Promise.all(runs.map(readLog))).filter(({ lines }) => lines.length >= 2);
  return [...logs.flatMap((log) => GROUPS.flatMap((group) => groupChart(log, group) ?? [])), ...statusError(logs)];
}

async function readLog(run: LoggedRun): Promise<Log> {
  const text = await readFile(path.join(run.folder, "metrics.jsonl"), "utf8").catch(() => "");
  return { ...run, lines: text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as LogLine) };
}

function groupChart({ name, lines }: Log, { prefix, title, yLabel, yScale }: Group): LineChart | null {
  const columns = Object.keys(lines[0] ?? {}).filter((column) => column.startsWith(prefix));
  if (columns.length === 0) return null;
  const shown = prefix === "plan" ? ["loss", ...columns] : columns;
  const curves = shown.map((column) => curveOf(lines, column, column === "loss" ? "total" : (VALUE_WORDS[column] ?? wordsOf(column.slice(prefix.length)))));
  return { title: `${name}: ${title}`, xLabel: "step", yLabel, yScale, curves };
}

/** Chosen apart from the loss, so that runs with other weights of it can be compared. */
function statusError(logs: readonly Log[]): LineChart[] {
  const curves = logs.filter(({ lines }) => lines[0]?.["errorStatus"] !== undefined).map(({ name, lines }) => curveOf(lines, "errorStatus", name));
  return curves.length === 0 ? [] : [{ title: "error of the predicted ego status", xLabel: "step", yLabel: "mean absolute error", yScale: "log", curves }];
}

function curveOf(lines: readonly LogLine[], column: string, name: string): Curve {
  return { name, points: lines.map((line) => [line["step"] ?? Number.NaN, line[column] ?? Number.NaN] as const) };
}

/** "EncoderFeature" -> "encoder feature". */
function wordsOf(name: string): string {
  return name.replace(/(?!^)([A-Z])/g, " $1").toLowerCase();
}
