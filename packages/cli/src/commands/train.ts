import { chromeTrace } from "@distilldrive/tensor";
import { formatDuration } from "@distilldrive/training";
import { type Command, Option } from "commander";
import path from "node:path";
import { type Context, describeCommand, writeJson } from "../command.js";
import type { Io } from "../io.js";
import { writeWhole } from "../runs/files.js";
import { nameList, positiveNumber, wholeNumber } from "../runs/options.js";
import { formatProfile, profileByKernel } from "../runs/profile.js";
import { readRun } from "../runs/run-file.js";
import { readSettingsFile, type TaskName } from "../runs/settings.js";
import { train, type TrainOutcome } from "../runs/train.js";

interface TrainOptions {
  readonly out?: string;
  readonly data?: string;
  readonly val?: readonly string[];
  readonly teacher?: string;
  readonly start?: string;
  readonly anchors?: string;
  readonly preset?: string;
  readonly compat?: string;
  readonly rewards?: string;
  readonly config?: string;
  readonly epochs?: number;
  readonly steps?: number;
  readonly seed?: number;
  readonly resume?: boolean;
  readonly profile?: boolean;
  readonly json?: boolean;
}

/** What each kind of training does, and an example of it. */
const KINDS: readonly { readonly task: TaskName; readonly does: string; readonly example: string }[] = [
  { task: "teacher", does: "Train a teacher, which sees agents and map, by imitation.", example: "train teacher --data data/ --val 0655,1094 --out runs/teacher" },
  { task: "student", does: "Train a student, which sees cameras only, by imitation alone.", example: "train student --data data/ --val 0655,1094 --out runs/student" },
  { task: "distill", does: "Train a student by imitation and by distillation from a trained teacher.", example: "train distill --teacher runs/teacher --out runs/distilled" },
];

/** `distilldrive train`: the three trainers. */
export function trainCommand(context: Context): Command {
  const group = describeCommand("train", "Train a teacher, a student, or a student distilled from a teacher.", KINDS.map(({ example, does }) => [`npx distilldrive ${example}`, does]));
  for (const kind of KINDS) group.addCommand(trainTaskCommand(context, kind));
  return group;
}

function trainTaskCommand({ io, finish }: Context, { task, does, example }: (typeof KINDS)[number]): Command {
  const command = describeCommand(task, does, [
    [`npx distilldrive ${example}`, "start"],
    [`npx distilldrive train ${task} --out runs/${task === "distill" ? "distilled" : task} --resume`, "go on after Ctrl-C or a crash"],
  ]).option("--out <folder>", "run directory: config.json, metrics.jsonl, checkpoints/; default runs/, named after the task and the held-out scenes");
  if (task === "distill") command.option("--teacher <run>", "run directory of the trained teacher");
  if (task === "teacher") command.addOption(new Option("--compat <which>", "behave as the paper means or as the published code does; default as the preset").choices(["intended", "published"]));
  if (task === "teacher") command.addOption(new Option("--rewards <which>", "reinforcement beside imitation: the published rewards, or the paper's, with collisions; default as the preset").choices(["none", "published", "paper"]));
  if (task !== "distill") command.option("--start <run>", "run directory whose weights and anchors to begin with; it must not have seen the scenes held out");
  if (task !== "distill") command.option("--anchors <path>", ".npy vocabulary in the published layout, or a folder with both; default clusters of the training scenes");
  return command
    .option("--data <path>", `folder with scenes${task === "distill" ? "; default the teacher's" : ""}`)
    .option("--val <scenes>", `scenes to hold out, separated by commas${task === "distill" ? "; default the teacher's" : ""}`, nameList)
    .option("--preset <name>", `size of the model: tiny, small or full; ${task === "teacher" ? "or published: also trained as published; " : ""}default tiny`)
    .option("--config <file>", "JSON file with settings; flags win over it")
    .option("--epochs <n>", "rounds through all training frames", positiveNumber)
    .option("--steps <n>", "steps; wins over epochs", wholeNumber(1))
    .option("--seed <n>", "decides initial weights, dropout, the order of the data", wholeNumber(0))
    .option("--resume", "go on from the newest checkpoint in --out, bit for bit; all other options may be left out")
    .option("--profile", "print time and throughput of every kernel, and peak memory; write a Chrome trace of a step")
    .option("--json", "print one JSON object at the end")
    .action(async (options: TrainOptions) => {
      const out = options.out ?? defaultRunFolder(task, options);
      const { data, val, teacher, start, anchors, preset, compat, rewards, config, epochs, steps, seed, resume = false, profile = false } = options;
      // A misspelt folder must not begin a training of its own.
      if (resume) await readRun(out, `train ${task} --resume`);
      const outcome = await train(io, {
        task,
        out,
        ...(data === undefined ? {} : { data }),
        ...(val === undefined ? {} : { val }),
        ...(teacher === undefined ? {} : { teacher }),
        ...(start === undefined ? {} : { start }),
        ...(anchors === undefined ? {} : { anchors }),
        ...(config === undefined ? {} : { config: { content: await readSettingsFile(config), where: config } }),
        flags: {
          ...(preset === undefined ? {} : { preset }),
          ...(compat === undefined ? {} : { compat }),
          ...(rewards === undefined ? {} : { rewards }),
          ...(epochs === undefined ? {} : { epochs }),
          ...(steps === undefined ? {} : { steps }),
          ...(seed === undefined ? {} : { seed }),
        },
        resume,
        profile,
        command: typed(task, options),
      });
      const trace = path.join(out, "profile.trace.json");
      if (profile) await writeWhole(trace, chromeTrace(outcome.result.profile, `distilldrive train ${task}`));
      if (outcome.result.interrupted) stopped(io, outcome, `npx distilldrive train ${task} --out ${out} --resume`);
      if (options.json === true) writeJson(io, summary(outcome, out, profile));
      else io.out(`${outcome.ceilings ? `${formatProfile(outcome.result, outcome.ceilings)}timeline         ${trace}  (open it in chrome://tracing or ui.perfetto.dev)\n\n` : ""}${finished(outcome, out)}`);
      finish(0);
    });
}

/** `runs/teacher-0655-1094`, or `runs/distill-<the teacher's folder>`. */
function defaultRunFolder(task: TaskName, { val = [], teacher }: TrainOptions): string {
  return path.join("runs", [task, ...(teacher === undefined ? [] : [path.basename(teacher)]), ...val].join("-"));
}

/** The command line as it can be typed again. */
function typed(task: TaskName, options: TrainOptions): string {
  const words = Object.entries(options).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, Array.isArray(value) ? value.join(",") : String(value)]));
  return ["distilldrive", "train", task, ...words].join(" ");
}

/** Says where a run stopped and how to go on. @throws the interrupt, so that the command ends with status 130 */
export function stopped(io: Io, { run, result }: TrainOutcome, goOn: string): never {
  io.err(`\nStopped after step ${result.step} of ${run.steps}; everything is saved in ${result.checkpoint}.\nGo on with: ${goOn}\n`);
  throw io.interrupted.reason;
}

function finished({ run, statistics }: TrainOutcome, out: string): string {
  const rate = statistics.samples / Math.max(statistics.seconds, Number.MIN_VALUE);
  const next = run.data.val.length === 0 ? "" : `Evaluate it: npx distilldrive evaluate --run ${out}\n`;
  return `${run.task}: ${statistics.step} steps in ${formatDuration(statistics.seconds)}, ${rate.toFixed(1)} samples/s. Run: ${out}\n${next}`;
}

function summary({ run, result, statistics, ceilings }: TrainOutcome, out: string, profile: boolean): object {
  const kernels = profile ? { profile: profileByKernel(result.profile), programs: result.programs, wholeFlops: result.wholeFlops, ceilings } : {};
  return { run: out, task: run.task, preset: run.settings.preset, seed: run.settings.seed, steps: run.steps, checkpoint: result.checkpoint, data: run.data, ...statistics, ...kernels };
}
