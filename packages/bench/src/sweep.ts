import type { Library } from "./libraries/library.js";
import { distilldriveBlock } from "./libraries/distilldrive-block.js";
import { interleave, type MeasureOptions, ratioOf, timingOf } from "./measure.js";
import { measurableBlock, standardBlock } from "./measurable.js";
import { openModel } from "./models/measurable-model.js";
import type { BlockProblem } from "./problems/block.js";
import { BenchError } from "./errors.js";
import type { ModelStep } from "./models/training-step.js";
import type { BlockProgram } from "./libraries/distilldrive-block.js";

/** One training step of a sweep. */
export interface SweepPoint {
  readonly model: "block" | "teacher";
  /** What is doubled from point to point. */
  readonly axis: "batch" | "agents";
  readonly value: number;
  readonly stepMs: number;
  /** Floating point operations of the step's plan. */
  readonly flops: number;
  /** Time and work over those of the point before; 1 at the first. Of time the median over rounds in which both were measured. */
  readonly timeRatio: number;
  readonly workRatio: number;
}

/** The sizes that are swept. */
export interface SweepSizes {
  readonly block: BlockProblem;
  readonly blockBatches: readonly number[];
  readonly blockTokens: readonly number[];
  readonly teacherBatches: readonly number[];
  readonly teacherAgents: readonly number[];
}

/** The standard sweep: batch and agents (the block's tokens) doubled around the standard sizes. */
export const standardSweep: SweepSizes = {
  block: standardBlock,
  blockBatches: [2, 4, 8, 16],
  blockTokens: [42, 84, 168, 336],
  teacherBatches: [4, 8, 16, 32],
  teacherAgents: [8, 16, 32, 64],
};

/** Samples of a sweep for one of a row of the table: a limit on growth is closer to what is measured than that on a speed-up. */
const SAMPLES = 2;

/** Measures how the step time of block and tiny teacher grows; the sizes of one sweep are timed turn by turn. */
export async function measureSweep(library: Library, sizes: SweepSizes, options: MeasureOptions, tell: (line: string) => void): Promise<SweepPoint[]> {
  const { device } = library;
  if (device === undefined) throw new BenchError("bench: a sweep needs a device, expected our own library, got a peer.");
  const { block } = sizes;
  const ofBlock = (problem: BlockProblem): Promise<BlockProgram> => distilldriveBlock(device, problem, measurableBlock(problem).values());
  const ofTeacher = async (size: { batch: number; agents?: number }): Promise<ModelStep> => {
    const step = await openModel(library, "teacher", { preset: "tiny", ...size });
    if (step === undefined) throw new BenchError("bench: the teacher could not be opened.");
    return step;
  };
  const sweeps: readonly { readonly model: SweepPoint["model"]; readonly axis: SweepPoint["axis"]; readonly values: readonly number[]; readonly open: (value: number) => Promise<BlockProgram | ModelStep> }[] = [
    { model: "block", axis: "batch", values: sizes.blockBatches, open: (batch) => ofBlock({ ...block, batch }) },
    { model: "block", axis: "agents", values: sizes.blockTokens, open: (tokens) => ofBlock({ ...block, tokens }) },
    { model: "teacher", axis: "batch", values: sizes.teacherBatches, open: (batch) => ofTeacher({ batch }) },
    { model: "teacher", axis: "agents", values: sizes.teacherAgents, open: (agents) => ofTeacher({ batch: 8, agents }) },
  ];
  const points: SweepPoint[] = [];
  for (const { model, axis, values, open } of sweeps) {
    tell(`sweep ${model} ${axis} ${values.join(", ")}`);
    const steps: (BlockProgram | ModelStep)[] = [];
    try {
      for (const value of values) steps.push(await open(value));
      const samples = await interleave(steps, { ...options, runs: SAMPLES * options.runs });
      values.forEach((value, index) => {
        const own = samples[index] ?? [];
        const flops = steps[index]?.program.plan.flops ?? 0;
        const before = index === 0 ? undefined : points.at(-1);
        points.push({ model, axis, value, stepMs: timingOf(own).medianMs, flops, timeRatio: before ? ratioOf(own, samples[index - 1] ?? []) : 1, workRatio: before ? flops / before.flops : 1 });
      });
    } finally {
      for (const step of steps) step.dispose();
    }
  }
  return points;
}
