import type { Command } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { UsageError } from "../errors.js";
import { exportRun } from "../runs/export.js";

/** `distilldrive export`: a run's weights for PyTorch. */
export function exportCommand({ io, finish }: Context): Command {
  return describeCommand("export", "Write a teacher's weights and batch statistics as safetensors under their published names.", [
    ["npx distilldrive export runs/teacher --out model.safetensors", "the newest checkpoint"],
    ["npx distilldrive import model.safetensors --out runs/copy", "the way back"],
  ])
    .argument("<run>", "run directory of a teacher")
    .requiredOption("--out <file>", ".safetensors file to write; replaced if it is there")
    .option("--json", "print one JSON object")
    .action(async (run: string, { out, json }: { readonly out: string; readonly json?: boolean }) => {
      if (!out.endsWith(".safetensors")) throw new UsageError(`distilldrive export: --out must name a .safetensors file, got "${out}". PyTorch reads it with safetensors.torch.load_file. See: distilldrive export --help`);
      const outcome = await exportRun(run, out);
      if (json === true) writeJson(io, { run, ...outcome });
      else io.out(`${outcome.file}: ${outcome.tensors} tensors, ${(outcome.bytes / 2 ** 20).toFixed(1)} MiB, from ${outcome.checkpoint}\n`);
      finish(0);
    });
}
