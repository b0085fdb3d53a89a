import { openDevice } from "@distilldrive/tensor";
import type { Command } from "commander";
import path from "node:path";
import { type Context, describeCommand, writeJson } from "../command.js";
import { evaluateRun, type RunEvaluation } from "../runs/evaluation.js";
import { requireWritable, writeWhole } from "../runs/files.js";
import { nameList } from "../runs/options.js";
import { buildReport, runNames } from "../runs/report.js";

interface ReportOptions {
  readonly run: readonly string[];
  readonly out: string;
  readonly data?: string;
  readonly val?: readonly string[];
  readonly mlp: boolean;
  readonly json?: boolean;
}

/** `distilldrive report`: runs compared, as one HTML file. */
export function reportCommand({ io, finish }: Context): Command {
  return describeCommand("report", "Evaluate runs on the same held-out scenes and write one HTML file with tables, curves and pictures.", [
    ["npx distilldrive report --run runs/teacher --run runs/distilled --out report.html", "teacher beside student"],
  ])
    .requiredOption("--run <folder>", "run directory of a training; may be repeated", (folder: string, before: readonly string[] = []) => [...before, folder])
    .requiredOption("--out <file>", "the report, one HTML file")
    .option("--data <path>", "folder with the scenes; default where the runs had them")
    .option("--val <scenes>", "scenes to plan in, separated by commas; default those the runs held out", nameList)
    .option("--no-mlp", "leave out the ego-status MLP")
    .option("--json", "print one JSON object")
    .action(async ({ run: folders, out, data, val, mlp, json }: ReportOptions) => {
      await requireWritable(path.dirname(out), "report");
      const device = await openDevice();
      try {
        const evaluations: RunEvaluation[] = [];
        for (const run of folders) {
          // The MLP depends on the training scenes only, and runs that are compared share them.
          const wanted = mlp && evaluations.length === 0;
          evaluations.push(await evaluateRun(io, { run, mlp: wanted, ...(data === undefined ? {} : { data }), ...(val === undefined ? {} : { val }) }, device));
        }
        const title = `DistillDrive: ${runNames(evaluations).join(", ")}`;
        await writeWhole(out, await buildReport(evaluations, device, { title }));
      } finally {
        device.close();
      }
      if (json === true) writeJson(io, { out, runs: folders });
      else io.out(`Report: ${out}\n`);
      finish(0);
    });
}
