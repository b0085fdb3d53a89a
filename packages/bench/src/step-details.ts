import { deviceWork } from "@distilldrive/kernels";
import type { Program } from "@distilldrive/tensor";
import type { Prepared } from "./libraries/library.js";
import { timingOf } from "./measure.js";

/** Floating point operations of a training step, and of its forward pass alone. */
export interface Work {
  readonly step: number;
  readonly forward: number;
}

/** What a step computes, and what it would compute without the savings. */
export interface StepWork {
  /** Sizes the batch's slots were cut to; none where all are computed. */
  readonly slots: Readonly<Record<string, number>>;
  /** Cut slots, and only the rows that somebody reads. */
  readonly computed: Work;
  /** Every padded slot. */
  readonly allSlots: Work;
  /** Every padded slot, and also the rows that nobody reads. */
  readonly allRows: Work;
}

/** What is known of a whole training step besides its time. */
export interface StepDetails {
  /** As in the table. */
  readonly kernel: string;
  readonly shape: string;
  /** Queue submits of one step. */
  readonly submits: number;
  readonly dispatches: number;
  /** Median milliseconds of a step, and of what the host does in it: writing inputs, encoding, submitting. */
  readonly stepMs: number;
  readonly encodeMs: number;
  /** encodeMs / stepMs */
  readonly encodeShare: number;
  /** Bytes of intermediates in the plan, and the most that are alive at one time. */
  readonly plannedPeakBytes: number;
  readonly lowerBoundBytes: number;
  /** Bytes on the device: intermediates, variables, inputs, outputs. */
  readonly deviceBytes: number;
  /** What it computes and saves; models only. */
  readonly work?: StepWork;
  /** Buffers created from the third step on; none are expected. */
  readonly allocationsAfterSecondStep: number;
}

/** A step's program and what is known of it. */
export interface InspectedStep {
  readonly program: Program;
  readonly deviceBytes: number;
  readonly work?: () => StepWork;
}

/** Runs a training step a few times with every call to the device counted. */
export async function inspectStep(gpu: GPUDevice, name: { readonly kernel: string; readonly shape: string }, step: Prepared & InspectedStep, runs: number): Promise<StepDetails> {
  const { program: { plan }, deviceBytes } = step;
  const work = step.work?.();
  let [submits, buffers] = [0, 0];
  const restore = [countCalls(gpu.queue, "submit", () => submits++), countCalls(gpu, "createBuffer", () => buffers++)];
  try {
    for (let warm = 0; warm < 2; warm++) {
      step.launch();
      await deviceWork(step.settle());
    }
    [submits, buffers] = [0, 0];
    const [encodes, steps]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      const start = performance.now();
      step.launch();
      encodes.push(performance.now() - start);
      await deviceWork(step.settle());
      steps.push(performance.now() - start);
    }
    const [encodeMs, stepMs] = [timingOf(encodes).medianMs, timingOf(steps).medianMs];
    return {
      ...name,
      submits: submits / runs,
      dispatches: plan.launches.length,
      stepMs,
      encodeMs,
      encodeShare: encodeMs / stepMs,
      plannedPeakBytes: plan.peakBytes,
      lowerBoundBytes: plan.lowerBoundBytes,
      deviceBytes,
      ...(work && { work }),
      allocationsAfterSecondStep: buffers,
    };
  } finally {
    for (const undo of restore) undo();
  }
}

/** Calls `count` after every call of a method. @returns what puts the method back */
function countCalls<Target extends object>(target: Target, method: keyof Target & string, count: () => void): () => void {
  const original = target[method] as unknown as (...args: unknown[]) => unknown;
  Object.defineProperty(target, method, {
    configurable: true,
    value: (...args: unknown[]) => {
      count();
      return original.apply(target, args);
    },
  });
  return () => Reflect.deleteProperty(target, method);
}
