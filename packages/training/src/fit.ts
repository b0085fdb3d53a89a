import {
  compile, createStore, type Device, Graph, type NamedVariables, parametersOf, type ProfileRow, randomKey, type Store, type StoredTensor,
  type Tensor, type Variable, variablesOf,
} from "@distilldrive/tensor";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { type Checkpoint, latestCheckpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.js";
import { diagnose } from "./diagnose.js";
import { CheckpointError, NonFiniteError } from "./errors.js";
import { appendLog, type DeviceLog, deviceLog, openMetrics, readLog, rowInput } from "./metrics-log.js";
import { appendUpdate, type OptimizerState, optimizerState, scalarInput, stepScalars } from "./optimizer.js";
import { type Progress, silentProgress } from "./progress.js";
import type { OptimizerConfig } from "./schedule.js";

/** Inputs of one step. */
export interface TrainingBatch {
  /** By graph input name. */
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>;
  /** Samples in it. */
  readonly samples: number;
}

/** Where batches come from; must continue exactly from a restored state. */
export interface BatchSource {
  next(): TrainingBatch | Promise<TrainingBatch>;
  /** JSON-able; describes the batches to come. */
  state(): unknown;
  restore(state: unknown): void;
}

/** What is trained. The same loop trains every model. */
export interface Task {
  /** "teacher", "student", "distill", ... */
  readonly name: string;
  /** Tree of variables: its parameters are trained, its buffers saved along. */
  readonly model: unknown;
  /** Variables that are read but neither trained nor saved (a frozen teacher), with their values. */
  readonly frozen?: { readonly model: unknown; readonly values: ReadonlyMap<string, StoredTensor> };
  /** Traces the forward pass; inputs come from the batches. `key` is the step's random key for dropout and sampling. */
  readonly trace: (graph: Graph, key: Tensor) => { readonly loss: Tensor; readonly terms: Readonly<Record<string, Tensor>> };
  readonly batches: BatchSource;
}

/** How to train. */
export interface FitOptions {
  readonly device: Device;
  readonly task: Task;
  /** Run directory: `checkpoints/`, `metrics.jsonl`. */
  readonly out: string;
  readonly steps: number;
  readonly seed: number;
  readonly optimizer: OptimizerConfig;
  /** Steps between checkpoints; the last step always gets one. */
  readonly checkpointEvery: number;
  /** Checkpoints kept. */
  readonly keep: number;
  /** Steps between readbacks of the losses; every step is logged all the same. */
  readonly logEvery: number;
  /** Values to begin with instead of the initialisers', by the names variables have in the task's model. */
  readonly initial?: ReadonlyMap<string, StoredTensor>;
  /** Continue from the newest checkpoint of `out`, if there is one. */
  readonly resume: boolean;
  /** Saved with every checkpoint, to rebuild the model later. */
  readonly run: Readonly<Record<string, unknown>>;
  readonly progress?: Progress;
  /** Stops after the current step and leaves a checkpoint. */
  readonly signal?: AbortSignal;
  /** Also time every kernel once, after the last step. */
  readonly profile?: boolean;
}

/** What a run did. */
export interface FitResult {
  readonly step: number;
  readonly interrupted: boolean;
  readonly checkpoint: string;
  /** Values of the model's variables. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** s, this session only. */
  readonly seconds: number;
  readonly samples: number;
  /** Median milliseconds to write inputs, encode and submit one step. */
  readonly encodeMilliseconds: number;
  readonly kernels: number;
  /** Bytes on the device: variables, arena, inputs, outputs. */
  readonly gpuBytes: number;
  readonly profile: readonly ProfileRow[];
}

/** A training graph with the variables around the model's own. */
export interface TrainingGraph {
  readonly graph: Graph;
  readonly variables: NamedVariables;
  readonly log: DeviceLog;
  readonly optimizer: OptimizerState;
}

/** Input name of the step's random key. */
export const keyInput = "key";
const logName = "training.log";

/** Traces forward pass, backward pass, update and log of one step into one graph. */
export function traceTraining(task: Task, config: OptimizerConfig, logRows: number): TrainingGraph {
  const graph = new Graph();
  const key = graph.input(keyInput, [4], "u32");
  const { loss, terms } = task.trace(graph, key);
  const optimizer = optimizerState(parametersOf(task.model));
  const { gradientNorm, halted } = appendUpdate(graph, loss, optimizer, config);
  const scalars = { loss, ...terms, gradientNorm, halted };
  const log = deviceLog(Object.keys(scalars), logRows);
  appendLog(graph, scalars, log.variable);
  const variables = new Map<string, Variable>([
    ...variablesOf(task.model),
    ...[...optimizer.m].map(([name, variable]) => [`optimizer.m.${name}`, variable] as const),
    ...[...optimizer.v].map(([name, variable]) => [`optimizer.v.${name}`, variable] as const),
    ["optimizer.halted", optimizer.halted],
    [logName, log.variable],
    ...(task.frozen ? [...variablesOf(task.frozen.model, frozenPrefix)] : []),
  ]);
  return { graph, variables, log, optimizer };
}

const frozenPrefix = "frozen";

/**
 * Trains a task. Every step is one submit without readback; losses are kept on the device and fetched every `logEvery`
 * steps. Killed anywhere and resumed, the run ends with the same bits.
 * @throws CheckpointError when the directory holds another run or cannot be written; NonFiniteError when training diverges
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const { device, task, out, steps, seed, progress = silentProgress } = options;
  const resumed = await openRun(options);
  const training = traceTraining(task, options.optimizer, options.logEvery);
  const store = createStore(device, training.variables, { seed });
  if (task.frozen) store.load(withPrefix(task.frozen.values, frozenPrefix));
  if (options.initial) store.load(options.initial);
  if (resumed) restore(resumed, store, task, options);
  const program = await compile(device, training.graph, { store });
  const metrics = await openMetrics(path.join(out, "metrics.jsonl"), resumed?.info.logBytes ?? 0);
  const saved = [...training.variables.keys()].filter((name) => !name.startsWith(`${frozenPrefix}.`));

  const first = resumed?.info.step ?? 0;
  const encodeTimes: number[] = [];
  // Batch states since the last readback, to find a bad batch again.
  const states: unknown[] = [];
  let logged = first;
  let samples = 0;
  let step = first;
  let checkpoint = resumed?.file ?? "";
  const began = performance.now();

  const flush = async (): Promise<void> => {
    const rows = await readLog(store, logName, training.log, logged, step);
    const bad = rows.find(({ values }) => values["halted"] !== 0);
    const lines = rows.filter((row) => !bad || row.step < bad.step).map(({ step: at, values }) => {
      const { halted: _, ...shown } = values;
      return { step: at + 1, ...shown };
    });
    await metrics.append(lines);
    if (bad) throw await explain(options, training, store, states[bad.step - logged], bad.step, checkpoint);
    const last = rows.at(-1);
    logged = step;
    states.length = 0;
    if (!last) return;
    const { loss = Number.NaN, halted: _, gradientNorm: __, ...terms } = last.values;
    const seconds = (performance.now() - began) / 1000;
    const done = Math.max(1, step - first);
    progress.update({ step, totalSteps: steps, loss, terms, samplesPerSecond: samples / seconds, secondsLeft: (seconds / done) * (steps - step) });
  };
  const save = async (batchState: unknown): Promise<void> => {
    await flush();
    const logBytes = await metrics.flush();
    const tensors = await store.snapshot(saved);
    checkpoint = await saveCheckpoint(out, { task: task.name, step, totalSteps: steps, seed, logBytes, batches: batchState, run: options.run }, tensors, options.keep);
  };
  const stepInputs = (batch: TrainingBatch): Record<string, ArrayLike<number>> => ({
    ...batch.inputs,
    [keyInput]: randomKey(seed, step),
    [scalarInput]: stepScalars(options.optimizer, step, steps),
    [rowInput]: Uint32Array.of(step % options.logEvery),
  });

  progress.start(task.name, steps, step);
  let interrupted = false;
  let profile: readonly ProfileRow[] = [];
  try {
    let state = task.batches.state();
    let batch = step < steps ? await task.batches.next() : undefined;
    let lastInputs: Record<string, ArrayLike<number>> | undefined;
    while (batch && step < steps) {
      states.push(state);
      lastInputs = stepInputs(batch);
      const start = performance.now();
      program.run(lastInputs);
      encodeTimes.push(performance.now() - start);
      samples += batch.samples;
      step++;
      // The next batch is made while the device works.
      state = task.batches.state();
      batch = step < steps ? await task.batches.next() : undefined;
      await device.gpu.queue.onSubmittedWorkDone();
      interrupted = options.signal?.aborted ?? false;
      if (interrupted || step === steps || step % options.checkpointEvery === 0) await save(state);
      else if ((step - first) % options.logEvery === 0 || step - logged === options.logEvery) await flush();
      if (interrupted) break;
    }
    const model = new Map((await store.snapshot(variablesOf(task.model).keys())).entries());
    if (options.profile && lastInputs) profile = await program.profile(lastInputs);
    return {
      step,
      interrupted,
      checkpoint,
      tensors: model,
      seconds: (performance.now() - began) / 1000,
      samples,
      encodeMilliseconds: median(encodeTimes),
      kernels: program.plan.launches.length,
      gpuBytes: program.bytes + store.bytes,
      profile,
    };
  } finally {
    progress.stop();
    await metrics.close();
    program.destroy();
    store.destroy();
  }
}

/** Makes the run directory, and finds what it already holds. */
async function openRun({ out, resume, task }: FitOptions): Promise<Checkpoint | undefined> {
  try {
    await mkdir(out, { recursive: true });
  } catch (cause) {
    throw new CheckpointError(`train: run directory ${out} cannot be written (${cause instanceof Error ? cause.message : String(cause)}). Choose another --out.`);
  }
  const existing = await latestCheckpoint(out);
  if (existing === null) return undefined;
  if (!resume) throw new CheckpointError(`train: ${out} already holds a run, expected an empty directory, got ${path.basename(existing)}. Add --resume to continue it, or choose another --out.`);
  const checkpoint = await loadCheckpoint(existing);
  if (checkpoint.info.task !== task.name) throw new CheckpointError(`train: ${out} holds a run of "${checkpoint.info.task}", expected "${task.name}". Choose another --out.`);
  return checkpoint;
}

function restore({ file, info, tensors }: Checkpoint, store: Store, task: Task, { seed, steps }: FitOptions): void {
  if (info.seed !== seed) throw new CheckpointError(`train: ${file} was trained with another seed, expected ${info.seed}, got ${seed}. Resume with the same seed.`);
  if (info.totalSteps !== steps) throw new CheckpointError(`train: ${file} belongs to a run of ${info.totalSteps} steps, got ${steps}. Resume with the same length: the learning rate depends on it.`);
  store.load(tensors);
  task.batches.restore(info.batches);
}

function withPrefix(values: ReadonlyMap<string, StoredTensor>, prefix: string): Map<string, StoredTensor> {
  return new Map([...values].map(([name, value]) => [`${prefix}.${name}`, value]));
}

/** Runs the bad step again op by op, from the state the halt preserved. */
async function explain(options: FitOptions, { graph, variables }: TrainingGraph, store: Store, batchState: unknown, step: number, checkpoint: string): Promise<NonFiniteError> {
  const { task, seed, steps, optimizer, logEvery } = options;
  task.batches.restore(batchState);
  const batch = await task.batches.next();
  const culprit = await diagnose(options.device, graph, store, {
    ...batch.inputs,
    [keyInput]: randomKey(seed, step),
    [scalarInput]: stepScalars(optimizer, step, steps),
    [rowInput]: Uint32Array.of(step % logEvery),
  }, [...variables.keys()].filter((name) => name !== logName));
  const last = checkpoint === "" ? "there is no checkpoint yet" : `the last good checkpoint is ${checkpoint}`;
  return new NonFiniteError(`train: step ${step + 1} produced a number that is not finite, first in ${culprit}; ${last}. Lower the learning rate or clipNorm, or look at that batch.`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

