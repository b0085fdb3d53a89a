import type { Command } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { evaluateRun, evaluationJson, formatResults } from "../runs/evaluation.js";
import { nameList } from "../runs/options.js";
import { latestRun } from "../runs/run-file.js";

interface EvaluateOptions {
  readonly run?: string;
  readonly data?: string;
  readonly val?: readonly string[];
  readonly mlp: boolean;
  readonly json?: boolean;
}

/** `distilldrive evaluate`: a run on its held-out scenes, beside the baselines. */
export function evaluateCommand({ io, finish }: Context): Command {
  return describeCommand("evaluate", "Plan at every keyframe of the held-out scenes and compare with simple planners.", [
    ["npx distilldrive evaluate --run runs/teacher", "on the scenes the run held out"],
    ["npx distilldrive evaluate --run runs/teacher --data more/ --val 0103 --json", "on others, for machines"],
  ])
    .option("--run <folder>", "run directory of a training; default the one in runs/ that was begun last")
    .option("--data <path>", "folder with the scenes; default where the run had them")
    .option("--val <scenes>", "scenes to plan in, separated by commas; default those the run held out", nameList)
    .option("--no-mlp", "leave out the ego-status MLP (trained once per run, on the same scenes)")
    .option("--json", "print one JSON object")
    .action(async ({ run, data, val, mlp, json }: EvaluateOptions) => {
      const evaluation = await evaluateRun(io, { run: run ?? (await latestRun("runs", "evaluate")), mlp, ...(data === undefined ? {} : { data }), ...(val === undefined ? {} : { val }) });
      if (json === true) writeJson(io, evaluationJson(evaluation));
      else io.out(`${formatResults([...evaluation.baselines, evaluation.planner])}\n${evaluation.planner.name} ${evaluation.run.imported ? `imported from ${evaluation.run.imported.file}` : `after ${evaluation.step} steps`}, ${evaluation.samplesPerSecond.toFixed(1)} samples/s\n`);
      finish(0);
    });
}
