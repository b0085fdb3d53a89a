import { type Command, Option } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { UsageError } from "../errors.js";
import { importRun, type ImportOutcome, sizesOf } from "../runs/import.js";
import { nameList } from "../runs/options.js";
import { readSettingsFile } from "../runs/settings.js";

interface ImportOptions {
  readonly out: string;
  readonly preset?: string;
  readonly compat?: "intended" | "published";
  readonly config?: string;
  readonly prefix?: string;
  readonly allowMissing?: readonly string[];
  readonly allowUnexpected?: readonly string[];
  readonly data?: string;
  readonly val?: readonly string[];
  readonly json?: boolean;
}

/** `distilldrive import`: a PyTorch state dict becomes a run. */
export function importCommand({ io, finish }: Context): Command {
  return describeCommand("import", "Make a run of a teacher's weights under their published names: a PyTorch, safetensors or numpy file.", [
    ["npx distilldrive import teacher.pth --out runs/published", "sizes from the file, behaviour of the published code"],
    ["npx distilldrive import teacher.pth --out runs/published --data data/ --val 0655,1094", "and scenes to evaluate it on"],
    ["npx distilldrive import model.safetensors --out runs/copy", "what `export` wrote, with the settings it had"],
    ["npx distilldrive import stage2.pth --out runs/teacher --prefix head.teacher", "one model of several in a file"],
  ])
    .argument("<file>", "state dict or checkpoint: .pth, .pt, .safetensors or .npz; nothing in it is executed")
    .requiredOption("--out <folder>", "run directory to make; new or empty")
    .option("--preset <name>", "tiny, small, full or published: the sizes the file must have; default those it has")
    .addOption(new Option("--compat <which>", "behave as the paper means or as the published code does; default published, or as the exported run").choices(["intended", "published"]))
    .option("--config <file>", "JSON file with settings, e.g. { \"model\": { \"maxAgents\": 60 } }")
    .option("--prefix <text>", "what stands in front of the model's names; default: found (module., model., ...)")
    .option("--allow-missing <names>", "names that may be missing, separated by commas, * for any characters; they begin anew", nameList)
    .option("--allow-unexpected <names>", "names that may be left out, likewise", nameList)
    .option("--data <path>", "folder with the scenes to evaluate on")
    .option("--val <scenes>", "scenes to evaluate on, separated by commas; default all of --data", nameList)
    .option("--json", "print one JSON object")
    .action(async (file: string, options: ImportOptions) => {
      const { out, preset, compat, config, prefix, allowMissing = [], allowUnexpected = [], data, val } = options;
      if (val !== undefined && data === undefined) throw new UsageError("distilldrive import: --val is given without --data, expected the folder that has those scenes. See: distilldrive import --help");
      const outcome = await importRun({
        file, out, allowMissing, allowUnexpected,
        ...(preset === undefined ? {} : { preset }),
        ...(compat === undefined ? {} : { compat }),
        ...(config === undefined ? {} : { config: { content: await readSettingsFile(config), where: config } }),
        ...(prefix === undefined ? {} : { prefix }),
        ...(data === undefined ? {} : { data }),
        ...(val === undefined ? {} : { val }),
        command: typed(file, options),
      });
      if (options.json === true) writeJson(io, { run: out, ...outcome.state, prefix: outcome.prefix, filled: outcome.filled, carried: outcome.carried, missing: outcome.missing, left: outcome.left, checkpoint: outcome.checkpoint, preset: outcome.run.settings.preset, model: outcome.run.model });
      else io.out(describe(file, out, outcome));
      finish(0);
    });
}

/** The command line as it can be typed again. */
function typed(file: string, options: ImportOptions): string {
  const flag = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const words = Object.entries(options).flatMap(([name, value]) => (value === true ? [flag(name)] : [flag(name), Array.isArray(value) ? value.join(",") : String(value)]));
  return ["distilldrive", "import", file, ...words].join(" ");
}

function describe(file: string, out: string, { run, state, prefix, filled, carried, missing, left }: ImportOutcome): string {
  const place = [state.under.length === 0 ? "" : ` under "${state.under.join(".")}"`, prefix === "" ? "" : `, names behind "${prefix}"`].join("");
  const listed = (names: readonly string[]): string => `${names.slice(0, 6).join(", ")}${names.length > 6 ? ` and ${names.length - 6} more` : ""}`;
  const lines = [`file     ${file}: ${state.format}, ${state.tensors} tensors${place}`];
  if (run.task === "teacher") {
    const { heads, maxAgents, maxLines, mapSlots } = run.model;
    lines.push(`model    teacher of ${sizesOf(run.model)}, ${heads} heads, ${maxAgents} agents, ${maxLines} lines; ${filled} variables filled`);
    if (mapSlots === "padding") lines.push("map      not seen, as in the published code; { \"model\": { \"mapSlots\": \"lines\" } } in --config shows it");
  }
  if (carried.length > 0) lines.push(`kept     without influence on the plan: ${listed(carried)}`);
  if (missing.length > 0) lines.push(`missing  begin anew: ${listed(missing)}`);
  if (left.length > 0) lines.push(`left out ${left.length}: ${listed(left)}`);
  const scenes = run.data.path === "" ? " --data <folder> --val <scenes>" : "";
  return `${lines.join("\n")}\nRun: ${out}\nEvaluate it: npx distilldrive evaluate --run ${out}${scenes}\n`;
}
