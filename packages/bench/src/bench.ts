import { type Ceilings, type Kernel, measureCeilings } from "@distilldrive/kernels";
import { recordTuning, tune, tuningOf, type TuningTable, withTuning } from "@distilldrive/tensor";
import { type BenchDevice, openBenchDevice } from "./adapter.js";
import { type ContestEvent, holdContest, nameOf } from "./contest.js";
import { BenchError } from "./errors.js";
import { distilldriveLibrary } from "./libraries/distilldrive.js";
import { distilldriveBlock } from "./libraries/distilldrive-block.js";
import { type PeerName, peerNames } from "./libraries/import-peer.js";
import type { Library } from "./libraries/library.js";
import { peerPackages } from "./libraries/peers.js";
import { measurableBlock, standardBlock } from "./measurable.js";
import { type MeasureOptions, timingOf } from "./measure.js";
import { modelCase, openModel } from "./models/measurable-model.js";
import { measurePair } from "./pair.js";
import { measurables, modelSizeOf, plannedKernels, type PlanOptions, suiteOf } from "./plan.js";
import type { KernelName } from "./problems/problem.js";
import { createReferenceStore } from "./reference-store.js";
import { measureStart } from "./start-time.js";
import { inspectStep, type StepDetails } from "./step-details.js";
import { measureSweep, standardSweep, type SweepPoint, type SweepSizes } from "./sweep.js";
import { type BenchReport, type Comparison, DISTILLDRIVE, type Remark, type Row, sameCase } from "./table.js";
import type { Case } from "./suites.js";
import { fixedKernel, offers, type UserKernel, userLibrary } from "./user-kernel.js";
import { ownVersion, versionOf } from "./versions.js";

/** What to measure and how. */
export interface BenchOptions extends PlanOptions {
  /** Libraries to measure beside ours. Default none. */
  readonly peers?: readonly PeerName[];
  /** Samples per library and row. Default 20. */
  readonly runs?: number;
  /** A sample repeats its work until it takes about this long. Default 10 ms. */
  readonly sampleMs?: number;
  /** Also measure how the step time of block and teacher grows; true for the standard sizes. */
  readonly sweep?: boolean | SweepSizes;
  /** First measure which of our kernels are the fastest for these rows on this adapter, as `distilldrive tune` does for a model. Default: what the rules choose. */
  readonly tune?: boolean;
  /** Also time the start of the teacher, with an empty and with a warm driver cache. Default false. */
  readonly cold?: boolean;
  /** Told what is being measured. */
  readonly progress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Kernels of one's own beside ours and the peers'. */
export interface Bench {
  /**
   * Registers a kernel for rows of the suite `kernels`; it is compared with the float64 reference before it is timed.
   * @param kernel what it computes, e.g. "matmul"
   * @param entry a finished `Kernel` (a matmul counts as NN unless `form` says otherwise), or what `defineKernel` made
   */
  add(kernel: KernelName, entry: Kernel | UserKernel, options?: { readonly form?: "NN" | "NT" | "TN" }): void;
  /** Measures. @throws PeerError when a peer is not installed; BenchError for options that fit nothing */
  run(options?: BenchOptions): Promise<BenchReport>;
}

/** A bench without kernels of one's own yet. */
export function createBench(): Bench {
  const kernels: UserKernel[] = [];
  return {
    add: (kernel, entry, { form } = {}) => {
      if ("build" in entry && entry.kernel !== kernel) throw new BenchError(`bench.add: "${entry.name}" is made for ${entry.kernel}, got "${kernel}". Add it under its own name.`);
      kernels.push("build" in entry ? entry : fixedKernel(kernel, entry, form));
    },
    run: (options = {}) => measureAll(kernels, options),
  };
}

async function measureAll(kernels: readonly UserKernel[], options: BenchOptions): Promise<BenchReport> {
  const { peers = [], progress = () => undefined, signal } = options;
  const measure: MeasureOptions = { runs: options.runs ?? 20, sampleMs: options.sampleMs ?? 10 };
  const unknown = peers.find((name) => !peerNames.includes(name));
  if (unknown !== undefined) throw new BenchError(`bench: unknown peer "${String(unknown)}", expected one of ${peerNames.join(", ")}.`);
  const suite = suiteOf(options);
  if (suite === "kernels" && plannedKernels(options).length === 0) throw new BenchError(`bench: no row is called "${options.only ?? ""}". Leave --only out to see them all.`);
  const events: MeasuredEvent[] = [];
  const remarks: Remark[] = [];
  const comparisons: Comparison[] = [];
  const method: string[] = [];
  const listenTo = (pair: string, own: MeasuredEvent[]) => (event: ContestEvent): void => {
    if (event.kind === "started") progress(`${pair}  ${nameOf(event.row)}`);
    else if (event.kind === "remark") remarks.push(event.remark);
    else own.push(event);
  };
  const close = (own: readonly MeasuredEvent[]): void => {
    events.push(...own);
    comparisons.push(...compared(own));
  };

  const references = await createReferenceStore();
  try {
    const alone = await measureHere(kernels, options, measure, async (library, users, target) => {
      // Peers are measured with ours in processes of their own; models only we have are measured here.
      const rows = await measurables(options, library);
      const shared = peers.length > 0 && suite !== "teacher" && suite !== "student";
      const own: MeasuredEvent[] = [];
      for (const row of rows) {
        const matching = users.filter(({ kernel }) => suite === "kernels" && plannedKernels(options).some((planned) => sameCase(planned, row.row) && offers(kernel, planned.problem, planned.direction, target)));
        if (shared && matching.length === 0) continue;
        await holdContest([row], [library, ...matching.map(({ library: user }) => user)], { ...measure, references, ...(signal ? { signal } : {}) }, listenTo(DISTILLDRIVE, own));
      }
      close(own);
      if (!shared) for (const row of rows) for (const peer of peers) remarks.push({ ...row.row, library: peer, status: "not offered", detail: "no peer has this model" });
    });
    for (const peer of suite === "teacher" || suite === "student" ? [] : peers) {
      const own: MeasuredEvent[] = [];
      const listen = listenTo(`${DISTILLDRIVE} and ${peer}`, own);
      const { problems, directions, only, block, preset, batch } = options;
      const plan = Object.fromEntries(Object.entries({ suite: options.suite, problems, directions, only, block, preset, batch }).filter(([, value]) => value !== undefined)) as PlanOptions;
      let latest: Case | undefined;
      try {
        await measurePair({ peer, plan, measure, references: references.folder, ...(alone.tuning ? { tuning: alone.tuning } : {}) }, (event) => {
          if (event.kind === "opened") {
            if (event.remark !== "") method.push(`${peer}: ${event.remark}`);
            return;
          }
          if (event.kind === "started") latest = event.row;
          listen(event);
        }, signal);
      } catch (cause) {
        if (latest === undefined || !(cause instanceof BenchError)) throw cause;
        // What was measured before stays; the rest of this peer has no figures.
        remarks.push({ ...latest, library: peer, status: "failed", detail: `and every row after it: ${cause.message.split("\n")[0] ?? ""}` });
      }
      close(own);
    }
    const size = modelSizeOf(options);
    if (options.cold === true) progress(`start of the teacher, ${size.preset}`);
    const start = options.cold === true ? { ...size, ...(await measureStart(size, signal)) } : undefined;
    return {
      ...(start && { start }),
      adapter: alone.adapter,
      versions: versionsOf(peers),
      ceilings: alone.ceilings,
      rows: merged(events),
      comparisons,
      remarks,
      steps: alone.steps,
      sweep: alone.sweep,
      method: [...methodOf(measure, peers), alone.tuning ? "Our kernels are those that tuning for these rows on this adapter chose." : "Our kernels are those the rules choose for this class of adapter, not tuned.", ...method],
    };
  } finally {
    await references.remove();
  }
}

type MeasuredEvent = Extract<ContestEvent, { readonly kind: "measured" }>;

interface UserContender {
  readonly kernel: UserKernel;
  readonly library: Library;
}

interface MeasuredHere {
  readonly adapter: string;
  readonly ceilings: Ceilings;
  readonly steps: readonly StepDetails[];
  readonly sweep: readonly SweepPoint[];
  readonly tuning: TuningTable | undefined;
}

/** What is measured in this process: ceilings, users' kernels, whole steps and the sweep. */
async function measureHere(
  kernels: readonly UserKernel[],
  options: BenchOptions,
  measure: MeasureOptions,
  contest: (library: Library, users: readonly UserContender[], target: Parameters<typeof userLibrary>[1]) => Promise<void>,
): Promise<MeasuredHere> {
  const { progress = () => undefined, sweep = false } = options;
  const opened = await openBenchDevice();
  const { device, adapter } = opened;
  try {
    progress("ceilings");
    const ceilings = await measureCeilings(device.gpu, { rounds: measure.runs });
    const tuning = options.tune === true ? await tuneRows(opened, options) : undefined;
    const library = distilldriveLibrary(tuning ? withTuning(device, tuningOf(tuning)) : device, ownVersion());
    const users = kernels.map((kernel) => ({ kernel, library: userLibrary(device.gpu, device.target, kernel) }));
    await contest(library, users, device.target);
    const steps = await detailsOf(library, options, measure.runs);
    const points = sweep === false ? [] : await measureSweep(library, sweep === true ? standardSweep : sweep, measure, progress);
    return { adapter, ceilings, steps, sweep: points, tuning };
  } finally {
    device.close();
  }
}

/** Plans every row to learn which kernels there are to choose from, and measures them. */
async function tuneRows({ device }: BenchDevice, options: BenchOptions): Promise<TuningTable> {
  const { progress = () => undefined, signal } = options;
  const recorder = recordTuning();
  const recording = distilldriveLibrary(withTuning(device, recorder), ownVersion());
  for (const row of await measurables(options, recording)) {
    progress(`planning  ${nameOf(row.row)}`);
    (await row.prepare(recording, row.values()))?.dispose();
  }
  return tune(device, recorder, {}, { ...(signal ? { signal } : {}), onMeasured: (key, { candidate }, done, total) => progress(`tuning  ${done}/${total}  ${key}  ${candidate}`) });
}

async function detailsOf(library: Library, options: BenchOptions, runs: number): Promise<StepDetails[]> {
  const suite = suiteOf(options);
  const { device } = library;
  if (device === undefined || suite === "kernels") return [];
  const size = modelSizeOf(options);
  const block = measurableBlock(options.block ?? standardBlock);
  const row = suite === "block" ? block.row : modelCase(suite, size);
  const step = suite === "block" ? await distilldriveBlock(device, options.block ?? standardBlock, block.values()) : await openModel(library, suite, size);
  if (step === undefined) return [];
  try {
    return [await inspectStep(device.gpu, { kernel: row.kernel, shape: row.form === "pre-norm" ? row.shape : `${row.form} ${row.shape}` }, step, runs)];
  } finally {
    step.dispose();
  }
}

/** Rows of one library from every process it was measured in: their samples together. */
function merged(events: readonly MeasuredEvent[]): Row[] {
  const groups: MeasuredEvent[][] = [];
  for (const event of events) {
    const group = groups.find(([first]) => first !== undefined && first.library === event.library && sameCase(first.row, event.row));
    if (group) group.push(event);
    else groups.push([event]);
  }
  return groups.flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const timing = timingOf(group.flatMap(({ samples }) => samples));
    const { suite, kernel, form, shape, direction } = first.row;
    return [{
      suite, kernel, form, shape, library: first.library, direction, ...timing,
      gflops: first.flops / timing.medianMs / 1e6,
      gbps: first.bytes / timing.medianMs / 1e6,
      maxRelError: Math.max(...group.map(({ maxRelError }) => maxRelError)),
    }];
  });
}

/** Ratios within one process. */
function compared(events: readonly MeasuredEvent[]): Comparison[] {
  return events.filter(({ library }) => library === DISTILLDRIVE).flatMap((ours) =>
    events.filter(({ library, row }) => library !== DISTILLDRIVE && sameCase(row, ours.row)).map((peer) => {
      const [oursMs, peerMs] = [timingOf(ours.samples).medianMs, timingOf(peer.samples).medianMs];
      const { suite, kernel, form, shape, direction } = ours.row;
      return { suite, kernel, form, shape, direction, peer: peer.library, oursMs, peerMs, speedup: peerMs / oursMs };
    }),
  );
}

function versionsOf(peers: readonly PeerName[]): Record<string, string> {
  const packages = ["webgpu", ...new Set(peers.map((peer) => peerPackages[peer]))];
  return { distilldrive: ownVersion(), node: process.versions.node, ...Object.fromEntries(packages.map((name) => [name, versionOf(name) ?? "not installed"])) };
}

function methodOf({ runs, sampleMs }: MeasureOptions, peers: readonly PeerName[]): string[] {
  return [
    `Medians of ${runs} samples per library after a warm-up; a sample repeats the work until it takes about ${sampleMs} ms and then waits once for queue.onSubmittedWorkDone(), the same for every library.`,
    ...(peers.length > 0 ? ["Each peer shares a process, one WebGPU device and its queue with ours; samples alternate, and ratios are taken within that process. Our rows pool the samples of all processes."] : []),
    "Inputs and results stay on the device. Every result is compared with a float64 reference before anything is timed; a wrong one is not timed.",
    "GFLOP/s and GB/s count the work of the mathematics, the same for every library: recomputation earns nothing.",
    "The ceilings are the best of a few kernels that only multiply and add, and that only copy, measured in this run.",
  ];
}
