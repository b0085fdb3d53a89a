import { openDevice } from "@distilldrive/tensor";
import { formatDuration } from "@distilldrive/training";
import { plannerTextTable } from "@distilldrive/viewer";
import type { Command } from "commander";
import path from "node:path";
import { type Context, describeCommand, writeJson } from "../command.js";
import type { Io } from "../io.js";
import { DEMO, demoSettings, heldOutNames } from "../runs/demo-plan.js";
import { evaluateRun, evaluationJson } from "../runs/evaluation.js";
import { listFolder, requireWritable, writeWhole } from "../runs/files.js";
import { positiveNumber } from "../runs/options.js";
import { formatMebibytes } from "../runs/profile.js";
import { buildReport, comparison, resultsOf } from "../runs/report.js";
import { findRun } from "../runs/run-file.js";
import { finishedStatistics, peakProcessBytes, type RunStatistics } from "../runs/statistics.js";
import { writeTown } from "../runs/town-files.js";
import { train, type TrainRequest } from "../runs/train.js";

interface DemoOptions {
  readonly out: string;
  readonly minutes: number;
  readonly json?: boolean;
}

/** `distilldrive demo`: everything once, from synthetic scenes to a report. */
export function demoCommand({ io, finish }: Context): Command {
  return describeCommand("demo", "Make synthetic scenes, train a teacher, distil a student from it, and compare both with simple planners.", [
    ["npx distilldrive demo", `about ${DEMO.minutes} minutes on two cores; after Ctrl-C the same command goes on`],
    ["npx distilldrive demo --minutes 30 --out runs/longer", "train longer"],
  ])
    .option("--out <folder>", "where everything goes", "runs/demo")
    .option("--minutes <n>", "scales the training; changes nothing in a demo that has begun", positiveNumber, DEMO.minutes)
    .option("--json", "print one JSON object at the end")
    .action(async (options: DemoOptions) => {
      try {
        await runDemo(io, options);
      } catch (error) {
        if (io.interrupted.aborted) {
          io.err("\nStopped; everything is saved. The same command goes on from here.\n");
          throw io.interrupted.reason;
        }
        throw error;
      }
      finish(0);
    });
}

async function runDemo(io: Io, { out, minutes, json }: DemoOptions): Promise<void> {
  const began = performance.now();
  await requireWritable(out, "demo");
  const folder = (name: string): string => path.join(out, name);
  const data = folder("data");

  io.err(`1/4  ${DEMO.scenes} scenes of the synthetic town in ${data}\n`);
  await writeTown(data, DEMO.town, io.interrupted, () => undefined, await listFolder(data));
  io.err("2/4  training the teacher, which sees agents and map\n");
  const teacher = await stage(io, { task: "teacher", out: folder("teacher"), data, minutes });
  io.err("3/4  distilling the student, which sees six cameras, from the teacher\n");
  const student = await stage(io, { task: "distill", out: folder("student"), data, minutes, teacher: folder("teacher") });
  io.err("4/4  evaluating both on held-out scenes\n");
  const device = await openDevice();
  try {
    const evaluations = [await evaluateRun(io, { run: folder("teacher"), data, mlp: true }, device), await evaluateRun(io, { run: folder("student"), data, mlp: false }, device)];
    const results = resultsOf(evaluations);
    const report = folder("report.html");
    const processBytes = Math.max(teacher.processBytes, student.processBytes, peakProcessBytes());
    const gpuBytes = Math.max(teacher.gpuBytes, student.gpuBytes);
    await writeWhole(report, await buildReport(evaluations, device, {
      title: "DistillDrive demo",
      summary: "A teacher that sees the annotated scene, and a student distilled from it that sees six rendered cameras, both trained a few minutes on synthetic scenes and judged on scenes neither has seen.",
      facts: { "peak device memory": formatMebibytes(gpuBytes), "peak process memory": formatMebibytes(processBytes) },
    }));
    if (json === true) {
      writeJson(io, { out, report, gpuBytes, processBytes, evaluations: evaluations.map(evaluationJson) });
      return;
    }
    const average = (name: string): number => results.find((result) => result.name === name)?.table.overall?.cumulative.l2.average ?? Number.NaN;
    const verdicts = evaluations.map(({ planner: { name } }) => `${name}: average L2 ${average(name).toFixed(2)} m, ${comparison(average(name), average("constant velocity"))} constant velocity`);
    io.out([
      "",
      plannerTextTable(results),
      "",
      ...verdicts,
      `peak memory: ${formatMebibytes(gpuBytes)} on the device in training, ${formatMebibytes(processBytes)} of the process`,
      `report: ${report}   (${formatDuration((performance.now() - began) / 1000)} this time)`,
      "",
    ].join("\n"));
  } finally {
    device.close();
  }
}

interface Stage {
  readonly task: "teacher" | "distill";
  readonly out: string;
  readonly data: string;
  readonly minutes: number;
  readonly teacher?: string;
}

/** Trains, goes on training, or finds that it is done. @throws the signal's reason when it is interrupted */
async function stage(io: Io, { task, out, data, minutes, teacher }: Stage): Promise<RunStatistics> {
  const begun = await findRun(out);
  const done = await finishedStatistics(out, begun);
  if (done !== null) {
    io.err(`     done before: ${done.step} steps in ${formatDuration(done.seconds)}\n`);
    return done;
  }
  const request: TrainRequest = {
    task,
    out,
    data,
    val: heldOutNames(),
    ...(teacher === undefined ? {} : { teacher }),
    // A demo that has begun keeps the settings it was begun with.
    config: { content: begun?.settings ?? demoSettings(task, minutes), where: "demo" },
    flags: {},
    resume: true,
    profile: false,
    command: "distilldrive demo",
  };
  const { result, statistics } = await train(io, request);
  if (result.interrupted) throw io.interrupted.reason;
  return statistics;
}
