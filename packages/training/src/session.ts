import { compile, createStore, deviceWork, planProgram, type ProfileRow, type Program, randomKey, type Store, type StoredTensor, variablesOf } from "@distilldrive/tensor";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { type Checkpoint, latestCheckpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.js";
import { describePlan, LossWatch } from "./device-loss.js";
import { diagnose } from "./diagnose.js";
import { CheckpointError, NonFiniteError } from "./errors.js";
import type { FitOptions, FitResult, Task, TrainingBatch } from "./fit.js";
import { openMetrics, readLogs, rowInput } from "./metrics-log.js";
import { refreshesAfter, restartInput, scalarInput, stepScalars } from "./optimizer.js";
import { silentProgress } from "./progress.js";
import { bytesOf, StepPrograms } from "./step-programs.js";
import { frozenPrefix, keyInput, traceTraining, type TrainingGraph, watchedLog, workPrefix } from "./training-graph.js";

/**
 * Trains on one device, see `fit`.
 * @throws DeviceLostError saying what was running when the device was lost, besides what `fit` throws
 */
export async function trainOn(options: FitOptions): Promise<FitResult> {
  const { device, task, out, steps, seed, progress = silentProgress } = options;
  const { accumulate } = options.optimizer;
  const watch = new LossWatch(device);
  watch.running("training was prepared");
  const resumed = await openRun(options);
  const training = traceTraining(task, options.optimizer, options.logEvery, options.precision);
  const { store, programs } = await watch.guard(prepare(options, training, resumed));
  const metrics = await openMetrics(path.join(out, "metrics.jsonl"), resumed?.info.logBytes ?? 0);
  const all = (): Program[] => [...programs.steps.all, programs.update, programs.refresh].filter((program) => program !== null);

  const first = resumed?.info.step ?? 0;
  const encodeTimes: number[] = [];
  // Batch states since the last readback, to find a bad batch again.
  const states: unknown[] = [];
  let logged = first;
  let samples = 0;
  let step = first;
  let checkpoint = resumed?.file ?? "";
  let began = performance.now();

  const flush = async (): Promise<void> => {
    const rows = await watch.guard(readLogs(store, training.logs, logged, step));
    const bad = rows.find(({ values }) => values["halted"] !== 0);
    const lines = rows.filter((row) => !bad || row.step < bad.step).map(({ step: at, values }) => {
      const { halted: _, ...shown } = values;
      return { step: at + 1, ...shown };
    });
    await metrics.append(lines);
    if (bad) throw await watch.guard(explain(options, training, programs.steps, states[bad.step - logged], bad.step, checkpoint));
    const last = rows.at(-1);
    logged = step;
    states.length = 0;
    if (!last) return;
    const hidden = ["loss", "halted", "gradientNorm", "lossScale", ...(training.logs.get(watchedLog)?.columns ?? [])];
    const { loss = Number.NaN } = last.values;
    const terms = Object.fromEntries(Object.entries(last.values).filter(([name]) => !hidden.includes(name)));
    const seconds = (performance.now() - began) / 1000;
    const done = Math.max(1, step - first);
    progress.update({ step, totalSteps: steps, loss, terms, samplesPerSecond: samples / seconds, secondsLeft: (seconds / done) * (steps - step) });
  };
  const save = async (batchState: unknown): Promise<void> => {
    await flush();
    const logBytes = await metrics.flush();
    const tensors = await watch.guard(store.snapshot(training.saved));
    checkpoint = await saveCheckpoint(out, { task: task.name, step, totalSteps: steps, seed, logBytes, batches: batchState, run: options.run }, tensors, options.keep);
  };

  progress.start(task.name, steps, step);
  let interrupted = false;
  let profile: readonly ProfileRow[] = [];
  try {
    let state = task.batches.state();
    let batch = step < steps ? await task.batches.next() : undefined;
    await watch.guard(programs.steps.prepare(batch?.slots));
    let last = { program: programs.steps.all[0], inputs: {} };
    began = performance.now();
    while (batch && step < steps) {
      states.push(state);
      for (let part = 0; part < accumulate && batch; part++) {
        await watch.guard(programs.steps.prepare(batch.slots));
        const program = programs.steps.take(batch.slots);
        watch.running(`step ${step + 1} of "${task.name}" ran, ${describePlan(program.plan)}`);
        const inputs = stepInputs(options, batch, step, part);
        last = { program, inputs };
        const start = performance.now();
        program.run(inputs);
        if (part === accumulate - 1) finishStep(programs, options, inputs, step);
        encodeTimes.push(performance.now() - start);
        samples += batch.samples;
        // The next batch is made while the device works.
        state = task.batches.state();
        batch = step + 1 < steps || part + 1 < accumulate ? await task.batches.next() : undefined;
      }
      step++;
      await watch.guard(deviceWork(device.gpu.queue.onSubmittedWorkDone()));
      interrupted = options.signal?.aborted ?? false;
      if (interrupted || step === steps || step % options.checkpointEvery === 0) await save(state);
      else if ((step - first) % options.logEvery === 0 || step - logged === options.logEvery) await flush();
      if (interrupted) break;
    }
    const tensors = await watch.guard(finalValues(store, task, training));
    if (options.profile && step > first && last.program) profile = await watch.guard(last.program.profile(last.inputs));
    return {
      device,
      step,
      interrupted,
      checkpoint,
      tensors,
      seconds: (performance.now() - began) / 1000,
      samples,
      encodeMilliseconds: median(encodeTimes),
      kernels: last.program?.plan.launches.length ?? 0,
      programs: programs.steps.used,
      wholeFlops: options.profile ? planProgram(training.graph, device.target, { precision: options.precision?.storage ?? "f32" }).flops : null,
      gpuBytes: store.bytes + bytesOf(all()),
      profile,
    };
  } finally {
    progress.stop();
    await metrics.close();
    for (const program of all()) program.destroy();
    store.destroy();
  }
}

/** The compiled graphs of a training. */
interface Programs {
  readonly steps: StepPrograms;
  readonly update: Program | null;
  readonly refresh: Program | null;
}

/** Variables with their values at the beginning, and the programs over them. */
async function prepare(options: FitOptions, training: TrainingGraph, resumed: Checkpoint | undefined): Promise<{ readonly store: Store; readonly programs: Programs }> {
  const { device, task, seed } = options;
  const { update, refresh, variables, packs } = training;
  const store = createStore(device, variables, { seed, packs });
  if (task.frozen) store.load(withPrefix(task.frozen.values, frozenPrefix));
  if (options.initial) store.load(options.initial);
  if (resumed) restore(resumed, store, training, options);
  else if (options.optimizer.emaDecay > 0) {
    const names = [...variables.keys()].filter((name) => name.startsWith(emaPrefix));
    store.load(withPrefix(await store.snapshot(names.map((name) => name.slice(emaPrefix.length))), emaPrefix.slice(0, -1)));
  }
  const programs = {
    steps: new StepPrograms(device, training, store, { precision: options.precision?.storage ?? "f32", note: options.progress?.note?.bind(options.progress) }),
    update: update && (await compile(device, update, { store })),
    refresh: refresh && (await compile(device, refresh, { store })),
  };
  return { store, programs };
}

/** Inputs of one batch of a step. */
function stepInputs({ seed, steps, logEvery, optimizer }: FitOptions, batch: TrainingBatch, step: number, part: number): Record<string, ArrayLike<number>> {
  return {
    ...batch.inputs,
    [keyInput]: randomKey(seed, step * optimizer.accumulate + part),
    [scalarInput]: stepScalars(optimizer, step, steps),
    [restartInput]: Float32Array.of(part === 0 ? 1 : 0),
    [rowInput]: Uint32Array.of(step % logEvery),
  };
}

/** What follows the last batch of a step: the update, where it is a program of its own, and the refresh of SOAP's bases when it is due. */
function finishStep({ update, refresh }: Programs, { optimizer }: FitOptions, inputs: Record<string, ArrayLike<number>>, step: number): void {
  update?.run(inputs);
  for (let times = refreshesAfter(optimizer, step); times > 0; times--) refresh?.run({});
}

/** Values of the model's variables, by their names in it; moving averages in the place of parameters that have one. */
async function finalValues(store: Store, task: Task, { variables }: TrainingGraph): Promise<Map<string, StoredTensor>> {
  const names = [...variablesOf(task.model).keys()];
  const taken = names.map((name) => (variables.has(`${emaPrefix}${name}`) ? `${emaPrefix}${name}` : name));
  const values = await store.snapshot(taken);
  return new Map(names.flatMap((name, index) => {
    const value = values.get(taken[index] ?? name);
    return value ? [[name, value] as const] : [];
  }));
}

const emaPrefix = "ema.";

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

function restore({ file, info, tensors }: Checkpoint, store: Store, { saved }: TrainingGraph, { task, seed, steps }: FitOptions): void {
  if (info.seed !== seed) throw new CheckpointError(`train: ${file} was trained with another seed, expected ${info.seed}, got ${seed}. Resume with the same seed.`);
  if (info.totalSteps !== steps) throw new CheckpointError(`train: ${file} belongs to a run of ${info.totalSteps} steps, got ${steps}. Resume with the same length: the learning rate depends on it.`);
  const known = new Set(saved);
  const strange = [...saved.filter((name) => !tensors.has(name)), ...[...tensors.keys()].filter((name) => !known.has(name))];
  if (strange.length > 0) {
    throw new CheckpointError(`train: ${file} does not fit these settings, expected the same variables, got a difference in ${strange.length}, such as "${strange[0] ?? ""}". Resume with the model, optimizer and precision the run began with.`);
  }
  store.load(tensors);
  task.batches.restore(info.batches);
}

function withPrefix(values: ReadonlyMap<string, StoredTensor>, prefix: string): Map<string, StoredTensor> {
  return new Map([...values].map(([name, value]) => [`${prefix}.${name}`, value]));
}

/** Runs the batches of the bad step again op by op, from the state the halt preserved. */
async function explain(options: FitOptions, { variables, logs }: TrainingGraph, steps: StepPrograms, batchState: unknown, step: number, checkpoint: string): Promise<NonFiniteError> {
  const { task, optimizer } = options;
  task.batches.restore(batchState);
  const looked = [...variables.keys()].filter((name) => !logs.has(name) && !name.startsWith(`${workPrefix}.`));
  let culprit: string | null = null;
  for (let part = 0; part < optimizer.accumulate && culprit === null; part++) {
    const batch = await task.batches.next();
    culprit = await diagnose(options.device, steps.graph(batch.slots), steps.store, stepInputs(options, batch, step, part), looked, options.precision?.storage);
  }
  const last = checkpoint === "" ? "there is no checkpoint yet" : `the last good checkpoint is ${checkpoint}`;
  return new NonFiniteError(`train: step ${step + 1} produced a number that is not finite, first in ${culprit ?? "no op when each runs on its own"}; ${last}. Lower the learning rate or clipNorm, or look at that batch.`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

