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
        const compared = results.filter(({ state }) => state !== "not built");
        // Sets of models that are not built do not count, but nothing but them is no parity either.
        const ok = compared.length > 0 && compared.every(({ state }) => state === "passed");
        if (json === true) writeJson(io, { backend: name, description: backend.description, ok, compared: compared.length, sets: results.map((result) => ({ ...result, worst: worstOf(result) })) });
        else io.out(formatSummary(results));
        finish(ok ? 0 : 1);
      } finally {
        backend.close();
      }
    });
}

/** Largest error of a set as a fraction of its tolerance (of those with one), and where. */
function worstOf({ comparisons }: SetResult): { name: string; error: number; tolerance: number } | null {
  const graded = comparisons.filter(({ tolerance, ok }) => tolerance > 0 || !ok);
  const share = ({ error, tolerance }: { error: number; tolerance: number }): number => (error === 0 ? 0 : error / tolerance);
  const [worst] = graded.sort((a, b) => (share(b) === share(a) ? 0 : share(b) - share(a)));
  return worst ? { name: worst.name, error: worst.error, tolerance: worst.tolerance } : null;
}

/** Arrays of one reason that are listed at most; `--json` has all. */
const LISTED = 8;

/** Every tensor of a set, one a line, and what was not compared. */
function formatSet({ name: set, state, reason, comparisons, left }: SetResult): string {
  const lines = [`${set}  ${state}${reason === undefined ? "" : `: ${reason}`}`];
  const width = Math.max(0, ...comparisons.map(({ name }) => name.length));
  for (const { name, kind, error, tolerance, ok, elements, note } of comparisons) {
    const value = kind === "exact" && Number.isFinite(error) ? `${error} differ` : `${Number.isFinite(error) ? error.toExponential(1) : "no match"} of ${tolerance.toExponential(0)}`;
    const remark = elements === 0 && ok ? "no element counts" : note;
    lines.push(`  ${ok ? "ok  " : "FAIL"}  ${name.padEnd(width)}  ${kind.padEnd(10)}  ${value}${remark === undefined ? "" : `  (${remark})`}`);
  }
  for (const [why, names] of byReason(left)) lines.push(`  not compared (${why}): ${names.slice(0, LISTED).join(", ")}${names.length > LISTED ? ` and ${names.length - LISTED} more` : ""}`);
  return `${lines.join("\n")}\n`;
}

function byReason(left: SetResult["left"]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { name, reason } of left) groups.set(reason, [...(groups.get(reason) ?? []), name]);
  return groups;
}

/** One line a set, and a last one for all. */
function formatSummary(results: readonly SetResult[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  const lines = results.map((result) => {
    const worst = worstOf(result);
    const detail = [
      `${result.comparisons.length} tensors`,
      ...(worst ? [`worst ${Number.isFinite(worst.error) ? worst.error.toExponential(1) : "no match"} (${worst.name})`] : []),
      ...(result.left.length > 0 ? [`${result.left.length} arrays not compared`] : []),
    ].join(", ");
    return `${result.name.padEnd(width)}  ${result.state.padEnd(9)}  ${result.state === "not built" ? "" : detail}`.trimEnd();
  });
  const count = (state: SetResult["state"]): number => results.filter((result) => result.state === state).length;
  const nothing = count("not built") === results.length ? "; nothing was compared, which is no success" : "";
  return `\n${lines.join("\n")}\n${count("passed")} passed, ${count("failed")} failed, ${count("not built")} not built${nothing}\n`;
}
