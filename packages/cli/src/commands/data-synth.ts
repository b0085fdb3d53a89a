import type { Command } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { RunError } from "../errors.js";
import { listFolder, requireWritable } from "../runs/files.js";
import { positiveNumber, wholeNumber } from "../runs/options.js";
import { writeTown } from "../runs/town-files.js";

interface SynthOptions {
  readonly out: string;
  readonly scenes: number;
  readonly seed: number;
  readonly duration: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `distilldrive data synth`: scenes of the synthetic town as files. */
export function dataSynthCommand(context: Context): Command {
  return describeCommand("synth", "Make scenes of the synthetic town: same seed, same scenes.", [
    ["npx distilldrive data synth --out town --scenes 8", "town-000000 to town-000007"],
    ["npx distilldrive data synth --out more --scenes 4 --seed 100 --duration 30", "others, longer"],
  ])
    .requiredOption("--out <folder>", "where to; must be empty")
    .option("--scenes <n>", "how many", wholeNumber(1), 8)
    .option("--seed <n>", "seed of the first scene; the others take the following ones", wholeNumber(0), 0)
    .option("--duration <s>", "seconds of a scene, 1 to 60", positiveNumber, 20)
    .option("--force", "write although the folder is not empty, over scenes of the same names")
    .option("--json", "print one JSON object")
    .action(async (options: SynthOptions) => {
      const { io } = context;
      await requireWritable(options.out, "data synth");
      const there = await listFolder(options.out);
      if (there.length > 0 && options.force !== true) {
        throw new RunError(`data synth: ${options.out} is not empty, expected a new or empty folder, got ${there.length} ${there.length === 1 ? "file" : "files"} such as ${there[0] ?? ""}. Choose another --out, or add --force.`);
      }
      const files = await writeTown(options.out, options, io.interrupted, (done) => {
        if (io.terminal) io.err(`\r${done} of ${options.scenes} scenes`);
      });
      if (io.terminal) io.err("\n");
      if (options.json === true) writeJson(io, { out: options.out, files });
      else io.out(`${files.length} ${files.length === 1 ? "scene" : "scenes"} in ${options.out}. Look at them: distilldrive data inspect ${options.out}\n`);
      context.finish(0);
    });
}
