import { type Device, DeviceError, type Graph, openDevice, type ProfileRow, type StoredTensor, type Tensor } from "@distilldrive/tensor";
import { DeviceLostError } from "./device-loss.js";
import type { Progress } from "./progress.js";
import type { OptimizerConfig, PrecisionConfig } from "./schedule.js";
import { trainOn } from "./session.js";

/** Sizes that padded axes of a batch were cut to, by a name the task chose; an axis it does not name has all its slots. */
export type Slots = Readonly<Record<string, number>>;

/** Inputs of one step. */
export interface TrainingBatch {
  /** By graph input name. */
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>;
  /** Samples in it. */
  readonly samples: number;
  /** Sizes its axes were cut to; default none. A step program is compiled for every combination that comes. */
  readonly slots?: Slots;
}

/** Where batches come from; must continue exactly from a restored state. */
export interface BatchSource {
  next(): TrainingBatch | Promise<TrainingBatch>;
  /** JSON-able; describes the batches to come. */
  state(): unknown;
  restore(state: unknown): void;
}

/** A traced loss; all are scalars. */
export interface TracedLoss {
  /** To minimise. */
  readonly loss: Tensor;
  /** Its parts by name; logged and shown. */
  readonly terms: Readonly<Record<string, Tensor>>;
  /** What else is logged in `metrics.jsonl`, by name. */
  readonly watched?: Readonly<Record<string, Tensor>>;
}

/** What is trained. The same loop trains every model. */
export interface Task {
  /** "teacher", "student", "distill", ... */
  readonly name: string;
  /** Tree of variables: its parameters are trained, its buffers saved along. */
  readonly model: unknown;
  /** Variables that are read but neither trained nor saved (a frozen teacher), with their values. */
  readonly frozen?: { readonly model: unknown; readonly values: ReadonlyMap<string, StoredTensor> };
  /**
   * Traces the forward pass; inputs come from the batches. `key` is the step's random key for dropout and sampling, `slots` the sizes
   * a batch's axes were cut to. Terms are the same for all of them.
   */
  readonly trace: (graph: Graph, key: Tensor, slots: Slots) => TracedLoss;
  readonly batches: BatchSource;
  /** Combinations its batches may come with besides all slots, for whoever prepares for them (tuning); default none. */
  readonly slots?: readonly Slots[];
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
  /** How numbers are stored; default f32. */
  readonly precision?: PrecisionConfig;
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
  /** Opens a device again after `device` was lost; a task that holds things on its device comes back rebuilt. Default: `openDevice()` and the same task. */
  readonly reopen?: () => Promise<{ readonly device: Device; readonly task?: Task }>;
}

/** A program that forward and backward pass of some batches ran in. */
export interface StepProgram {
  readonly slots: Slots;
  /** Batches it ran. */
  readonly batches: number;
  /** Floating point operations of a batch. */
  readonly flops: number;
}

/** What a run did. */
export interface FitResult {
  /** The device in use at the end: another one than the run began with when that was lost. The caller closes it. */
  readonly device: Device;
  readonly step: number;
  readonly interrupted: boolean;
  readonly checkpoint: string;
  /** Values of the model's variables; with `emaDecay`, the parameters' moving averages. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** s, this session only. */
  readonly seconds: number;
  readonly samples: number;
  /** Median milliseconds to write inputs, encode and submit one step. */
  readonly encodeMilliseconds: number;
  /** Dispatches of the latest step program. */
  readonly kernels: number;
  /** Step programs that batches of this session needed, in the order they came. */
  readonly programs: readonly StepProgram[];
  /** Floating point operations of a batch with all slots; null unless profiled. */
  readonly wholeFlops: number | null;
  /** Bytes on the device: variables, arena, inputs, outputs. */
  readonly gpuBytes: number;
  readonly profile: readonly ProfileRow[];
}

/**
 * Trains a task. Every step is one submit a batch (and one now and then for SOAP's bases) without readback; losses are kept on the
 * device and fetched every `logEvery` steps. Killed anywhere and resumed, the run ends with the same bits. When the device
 * is lost, it is opened again, once, and the run goes on from its last checkpoint.
 * @throws CheckpointError when the directory holds another run or cannot be written; NonFiniteError when training diverges;
 *   ConfigError for parameter groups that name nothing; DeviceError when the device is lost for the second time
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const { task } = options;
  const reopen: NonNullable<FitOptions["reopen"]> = options.reopen ?? (async () => ({ device: await openDevice() }));
  const start = task.batches.state();
  let lost: DeviceLostError;
  try {
    return await trainOn(options);
  } catch (cause) {
    if (!(cause instanceof DeviceLostError)) throw cause;
    lost = cause;
  }
  options.progress?.note?.(`${lost.message} Opening it again and going on from the last checkpoint.`);
  let opened: Awaited<ReturnType<typeof reopen>>;
  try {
    opened = await reopen();
  } catch (cause) {
    throw new DeviceError(`train: ${lost.message} It could not be opened again (${cause instanceof Error ? cause.message : String(cause)}). Resume the run in ${options.out} once the device is back.`);
  }
  const again = { ...options, device: opened.device, task: opened.task ?? task, resume: true };
  again.task.batches.restore(start);
  try {
    return await trainOn(again);
  } catch (cause) {
    opened.device.close();
    if (!(cause instanceof DeviceLostError)) throw cause;
    throw new DeviceError(`train: ${cause.message} This was the second time: before, ${lost.message} Lower the batch or the model's size, or update the driver, and resume the run in ${options.out}.`);
  }
}
