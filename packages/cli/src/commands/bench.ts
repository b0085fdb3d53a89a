import { type Bench, type BenchOptions, createBench, formatReport, type PeerName, peerNames, presetNames, reportHtml, suiteNames, type UserKernel } from "@distilldrive/bench";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Context, describeCommand } from "../command.js";
import { UsageError } from "../errors.js";
import { reasonOf, requireWritable, writeWhole } from "../runs/files.js";
import { nameList, wholeNumber } from "../runs/options.js";

interface BenchFlags {
  readonly suite: string;
  readonly peers: readonly PeerName[];
  readonly only?: string;
  readonly runs: number;
  readonly preset: (typeof presetNames)[number];
  readonly batch: number;
  readonly agents?: number;
  readonly lines?: number;
  readonly sweep: boolean;
  readonly cold: boolean;
  readonly tune: boolean;
  readonly register: readonly string[];
  readonly json?: string;
  readonly html: string | false;
}

/** `distilldrive bench`: our kernels and training steps beside other libraries on the same adapter. */
export function benchCommand({ io, finish }: Context): Command {
  return describeCommand("bench", "Measure kernels and training steps, beside other WebGPU libraries on the same adapter.", [
    ["npx distilldrive bench", "every kernel, ours alone"],
    ["npx distilldrive bench --suite block --peers tfjs,jax-js", "a transformer block's training step, beside two libraries"],
    ["npx distilldrive bench --suite matmul --register ./my-kernel.mjs", "a WGSL kernel of your own beside ours"],
    ["npx distilldrive bench --suite teacher --preset full --batch 6 --agents 40 --lines 30", "a teacher's step, and what it does without"],
    ["npx distilldrive bench --peers tfjs,jax-js,jax-js-wasm,onnxruntime-web --json out.json", "everything, figures as JSON"],
  ])
    .option("--suite <name>", `${suiteNames.join(", ")}, or one kernel such as matmul`, "kernels")
    .option("--peers <names>", `libraries to measure beside ours, separated by commas: ${peerNames.join(", ")}`, peerList, [])
    .option("--only <text>", "only rows whose name contains this, e.g. \"NN [168\"")
    .option("--runs <n>", "samples per library and row", wholeNumber(1), 20)
    .option("--preset <name>", `size of teacher and student: ${presetNames.join(", ")}`, presetName, "tiny")
    .option("--batch <n>", "lanes of teacher and student", wholeNumber(1), 8)
    .option("--agents <n>", "agents in every sample of the teacher; default what the town's scenes have", wholeNumber(1))
    .option("--lines <n>", "map lines in every sample of the teacher; default what the town's scenes have", wholeNumber(1))
    .option("--sweep", "also measure how step time grows with batch and agents", false)
    .option("--cold", "also time the teacher's start, with an empty and a warm driver cache", false)
    .option("--tune", "first find our fastest kernels for these rows on this adapter", false)
    .option("--register <module>", "module whose default export is a kernel of your own (see @distilldrive/bench); may be repeated", (file: string, before: readonly string[]) => [...before, file], [])
    .option("--json <file>", "write every figure as JSON")
    .option("--html <file>", "the page with bars and roofline", "bench.html")
    .option("--no-html", "write no page")
    .action(async (flags: BenchFlags) => {
      const { json, html } = flags;
      for (const file of [json, html]) if (typeof file === "string") await requireWritable(path.dirname(path.resolve(file)), "bench");
      const bench = createBench();
      for (const file of flags.register) await register(bench, file);
      const options: BenchOptions = {
        // The library knows the suites and says so when the name is none.
        suite: flags.suite as NonNullable<BenchOptions["suite"]>,
        peers: flags.peers,
        runs: flags.runs,
        preset: flags.preset,
        batch: flags.batch,
        sweep: flags.sweep,
        cold: flags.cold,
        tune: flags.tune,
        ...(flags.agents === undefined && flags.lines === undefined ? {} : { present: { ...(flags.agents === undefined ? {} : { agents: flags.agents }), ...(flags.lines === undefined ? {} : { lines: flags.lines }) } }),
        ...(flags.only === undefined ? {} : { only: flags.only }),
        progress: (line) => io.err(`${line}\n`),
        signal: io.interrupted,
      };
      const report = await bench.run(options);
      io.out(formatReport(report));
      if (json !== undefined) await writeWhole(json, `${JSON.stringify(report, null, 2)}\n`);
      if (html !== false) await writeWhole(html, reportHtml(report));
      const files = [json, html].filter((file) => typeof file === "string");
      if (files.length > 0) io.out(`written: ${files.join(", ")}\n`);
      finish(report.remarks.some(({ status, library }) => status !== "not offered" && library === "distilldrive") ? 1 : 0);
    });
}

function peerList(text: string): PeerName[] {
  return nameList(text).map((name) => {
    const found = peerNames.find((peer) => peer === name);
    if (found === undefined) throw new InvalidArgumentError(`Unknown library "${name}", expected ${peerNames.join(", ")}.`);
    return found;
  });
}

function presetName(text: string): (typeof presetNames)[number] {
  const found = presetNames.find((name) => name === text);
  if (found === undefined) throw new InvalidArgumentError(`Expected ${presetNames.join(", ")}.`);
  return found;
}

/** Adds what a module exports by default: a kernel of `defineKernel`, several, or a function that is given the bench. */
async function register(bench: Bench, file: string): Promise<void> {
  let exported: unknown;
  try {
    ({ default: exported } = (await import(pathToFileURL(path.resolve(file)).href)) as { default?: unknown });
  } catch (cause) {
    throw new UsageError(`distilldrive bench: ${file} cannot be imported (${reasonOf(cause)}). Check the path given to --register.`);
  }
  if (typeof exported === "function") {
    (exported as (bench: Bench) => void)(bench);
    return;
  }
  for (const kernel of Array.isArray(exported) ? (exported as unknown[]) : [exported]) {
    if (!isUserKernel(kernel)) throw new UsageError(`distilldrive bench: ${file} exports no kernel, expected as default what defineKernel() of @distilldrive/bench makes, a list of them, or a function of the bench. See packages/bench/README.md.`);
    bench.add(kernel.kernel, kernel);
  }
}

function isUserKernel(value: unknown): value is UserKernel {
  return typeof value === "object" && value !== null && "build" in value && typeof value.build === "function" && "kernel" in value && "name" in value;
}
