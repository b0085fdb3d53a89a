import { formatDuration } from "@distilldrive/training";
import type { Command } from "commander";
import path from "node:path";
import { type Context, describeCommand, writeJson } from "../command.js";
import { requireWritable } from "../runs/files.js";
import { positiveNumber } from "../runs/options.js";
import { readPlan } from "../runs/study/plan.js";
import { runStudy } from "../runs/study/study.js";
import { studyTable } from "../runs/study/table.js";

interface StudyCommandOptions {
  readonly out: string;
  readonly data?: string;
  readonly hours?: number;
  readonly json?: boolean;
}

/** `distilldrive study`: a table of experiments by one command. */
export function studyCommand({ io, finish }: Context): Command {
  return describeCommand("study", "Train and evaluate every row of a plan, seed by seed, into one table.", [
    ["npx distilldrive study examples/studies/teacher-town-table2.json --out runs/table2", "the same command goes on after Ctrl-C or a crash"],
    ["npx distilldrive study examples/studies/teacher-real.json --data data/ --out runs/real --hours 2.5", "begin no run that would not end in time"],
  ])
    .argument("<plan>", "JSON file: rows, splits, seeds, settings; see docs/studies.md")
    .requiredOption("--out <folder>", "folder of the study: runs/, results.json, table.md")
    .option("--data <path>", "folder with scenes, instead of the plan's")
    .option("--hours <n>", "stop before a run that would end later than this; the same command goes on", positiveNumber)
    .option("--json", "print results.json instead of the table")
    .action(async (file: string, { out, data, hours, json }: StudyCommandOptions) => {
      await requireWritable(out, "study");
      const study = await readPlan(file, out, data);
      const again = ["npx distilldrive study", file, "--out", out, ...(data === undefined ? [] : ["--data", data])].join(" ");
      try {
        const { results, left } = await runStudy(io, study, { command: again, seconds: hours === undefined ? Infinity : 3600 * hours });
        if (json === true) writeJson(io, results);
        else io.out(`${studyTable(study, results)}\nTables: ${path.join(out, "table.md")}, ${path.join(out, "results.json")}\n`);
        if (left !== null) io.err(`${results.done} of ${results.planned} runs done. The next, ${left.next}, takes about ${formatDuration(left.seconds)} and would not fit.\nGo on with: ${again}\n`);
      } catch (error) {
        if (io.interrupted.aborted) {
          io.err(`\nStopped; everything is saved.\nGo on with: ${again}\n`);
          throw io.interrupted.reason;
        }
        throw error;
      }
      finish(0);
    });
}
