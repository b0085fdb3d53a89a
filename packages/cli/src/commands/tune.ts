import { buildAnchors, generateTown } from "@distilldrive/datasets";
import { type Device, openDevice, planProgram, recordTuning, tune, type TuningRecorder, type TuningWinner, withTuning } from "@distilldrive/tensor";
import { traceTraining } from "@distilldrive/training";
import { type Command, Option } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { wholeNumber } from "../runs/options.js";
import { readSettingsFile, resolveSettings, type TaskName } from "../runs/settings.js";
import { buildTask } from "../runs/train.js";
import { readTuning, tuningFile, writeTuning } from "../runs/tuning.js";

interface TuneOptions {
  readonly model: TaskName;
  readonly preset?: string;
  readonly config?: string;
  readonly rounds: number;
  readonly out?: string;
  readonly json?: boolean;
}

/** `distilldrive tune`: the fastest kernels for a model's shapes on this adapter. */
export function tuneCommand({ io, finish }: Context): Command {
  return describeCommand("tune", "Measure the kernels a model's training could use on this adapter and keep the fastest: later runs take them.", [
    ["npx distilldrive tune", "for the tiny teacher"],
    ["npx distilldrive tune --model distill --preset small", "for a distillation of the small preset"],
  ])
    .addOption(new Option("--model <kind>", "training to tune for").choices(["teacher", "student", "distill"]).default("teacher"))
    .option("--preset <name>", "size of the model: tiny, small or full; default tiny")
    .option("--config <file>", "JSON file with the settings of the training")
    .option("--rounds <n>", "measurements of every candidate", wholeNumber(1), 11)
    .option("--out <file>", "where to keep the winners; default the user's cache folder, where trainings look for them")
    .option("--json", "print the winners as one JSON object")
    .action(async ({ model, preset, config, rounds, out, json }: TuneOptions) => {
      const content = config === undefined ? {} : await readSettingsFile(config);
      const resolved = resolveSettings(model, content, preset === undefined ? {} : { preset }, config);
      const teacher = model === "distill" ? resolveSettings("teacher", {}, { preset: resolved.settings.preset }) : null;
      const device = await openDevice();
      try {
        const file = out ?? tuningFile(io, device);
        const known = await readTuning(io, file, device);
        const recorder = recordTuning();
        record(recorder, resolved, teacher, device);
        io.err(`tuning   ${device.description}: ${[...recorder.choices.values()].filter(({ length }) => length > 1).length} choices of ${model} ${resolved.settings.preset}\n`);
        const table = await tune(device, recorder, known?.winners, {
          rounds,
          signal: io.interrupted,
          onMeasured: (key, winner, done, total) => {
            io.err(`${String(done).padStart(String(total).length)}/${total}  ${key}  ${describeWinner(winner)}\n`);
          },
        });
        await writeTuning(file, table);
        if (json === true) writeJson(io, { file, ...table });
        else io.out(`Winners: ${file}\n`);
      } finally {
        device.close();
      }
      finish(0);
    });
}

/** Plans the training's program, with a few scenes of the town in place of data: shapes depend on the settings alone. */
function record(recorder: TuningRecorder, resolved: ReturnType<typeof resolveSettings>, teacher: ReturnType<typeof resolveSettings> | null, device: Device): void {
  const scenes = [...generateTown({ seed: 0, scenes: 2 })];
  const anchors = buildAnchors(scenes, { mirror: true, seed: 0 });
  const frozen = teacher?.task === "teacher" ? { config: teacher.model, anchors, values: new Map() } : null;
  const built = buildTask(resolved, { train: scenes, val: [] }, [], anchors, frozen, device);
  try {
    const { optimizer, logEvery, precision } = resolved.settings;
    const { graph, graphFor } = traceTraining(built.task, optimizer, logEvery, precision);
    const { target } = withTuning(device, recorder);
    for (const each of [graph, ...(built.task.slots ?? []).map(graphFor)]) planProgram(each, target, { precision: precision.storage });
  } finally {
    built.release();
  }
}

/** `subgroup6x4n 1.02 ms, 1.8 x the slowest`. */
function describeWinner({ candidate, milliseconds }: TuningWinner): string {
  const times = Object.values(milliseconds);
  const best = milliseconds[candidate] ?? 0;
  const gain = best > 0 ? Math.max(...times) / best : 1;
  return `${candidate} ${best.toFixed(3)} ms, ${gain.toFixed(1)} x as fast as the slowest of ${times.length}`;
}
