import { type Command, Option } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { type BackendName, openBackend } from "../runs/parity/backend.js";
import { runParity, type SetResult } from "../runs/parity/parity.js";

interface ParityCommandOptions {
  readonly only?: string;
  readonly backend: BackendName;
  readonly json?: boolean;
}

/** `distilldrive parity`: the models against recorded values of the published ones. */
export function parityCommand({ io, finish }: Context): Command {
  return describeCommand("parity", "Compare the models with recorded inputs, outputs, losses and gradients of the published ones.", [
    ["npx distilldrive parity golden/", "every set in the folder, on the GPU adapter"],
    ["npx distilldrive parity golden/ --only 'teacher64_*_maskfix' --backend reference", "some of them, in float64"],
  ])
    .argument("<folder>", "folder of .npz files: teacher*_, student*_ and unit_* sets")
    .option("--only <glob>", "sets to compare, e.g. 'unit_*'")
    .addOption(new Option("--backend <name>", "kernels on the adapter, or their float64 references").choices(["gpu", "reference"]).default("gpu"))
    .option("--json", "print one JSON object")
    .action(async (folder: string, { only, backend: name, json }: ParityCommandOptions) => {
      const backend = await openBackend(name);
      try {
        io.err(`backend  ${backend.description}\n`);
        const results = await runParity(folder, {
          backend,
          ...(only === undefined ? {} : { only }),
          signal: io.interrupted,
          onSet: (set) => {
            io.err(`${set} ...\n`);
          },
          onResult: (result) => {
            if (json !== true) io.out(formatSet(result));
          },
        });
        const failed = results.filter(({ state }) => state === "failed");
        if (json === true) writeJson(io, { backend: name, description: backend.description, ok: failed.length === 0, sets: results.map((result) => ({ ...result, worst: worstOf(result) })) });
        else io.out(formatSummary(results));
        finish(failed.length === 0 ? 0 : 1);
      } finally {
        backend.close();
      }
    });
}

/** Largest error of a set as a fraction of its tolerance (of those with one), and where. */
function worstOf({ comparisons }: SetResult): { name: string; error: number; tolerance: number } | null {
  const graded = comparisons.filter(({ tolerance, ok }) => tolerance > 0 || !ok);
  const [worst] = graded.sort((a, b) => b.error / b.tolerance - a.error / a.tolerance);
  return worst ? { name: worst.name, error: worst.error, tolerance: worst.tolerance } : null;
}

/** Every tensor of a set, one a line. */
function formatSet(result: SetResult): string {
  const lines = [`${result.name}  ${result.state}${result.reason === undefined ? "" : `: ${result.reason}`}`];
  const width = Math.max(0, ...result.comparisons.map(({ name }) => name.length));
  for (const { name, kind, error, tolerance, ok } of result.comparisons) {
    lines.push(`  ${ok ? "ok  " : "FAIL"}  ${name.padEnd(width)}  ${kind.padEnd(10)}  ${kind === "exact" ? `${error} differ` : `${error.toExponential(1)} of ${tolerance.toExponential(0)}`}`);
  }
  if (result.left.length > 0) lines.push(`  not compared: ${result.left.join(", ")}`);
  return `${lines.join("\n")}\n`;
}

/** One line a set. */
function formatSummary(results: readonly SetResult[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  const lines = results.map((result) => {
    const worst = worstOf(result);
    const detail = worst ? `${result.comparisons.length} tensors, worst ${worst.error.toExponential(1)} (${worst.name})` : `${result.comparisons.length} tensors`;
    return `${result.name.padEnd(width)}  ${result.state.padEnd(9)}  ${result.state === "not built" ? "" : detail}`.trimEnd();
  });
  return `\n${lines.join("\n")}\n`;
}
