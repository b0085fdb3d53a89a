import { z } from "zod";
import { optimizerSchema } from "./schedule.js";

/** Settings every training run has, with units and defaults. */
export const loopSchema = z.strictObject({
  /** Decides initial weights, dropout, the order of the data. */
  seed: z.int().min(0).default(1),
  /** Lanes B: streams walked side by side, one frame each per step. */
  batch: z.int().min(1).default(16),
  /** Steps; what is given here wins over `epochs`. */
  steps: z.int().min(1).optional(),
  /** Rounds through all training frames. */
  epochs: z.number().positive().default(12),
  /** Parts each drive is cut into, so that a batch mixes more scenes. */
  parts: z.int().min(1).default(2),
  /** Also train on every drive mirrored left to right. */
  mirror: z.boolean().default(true),
  /** Probability of dropout at all published sites. */
  dropout: z.number().min(0).lt(1).default(0.1),
  /** Steps between checkpoints. */
  checkpointEvery: z.int().min(1).default(200),
  /** Checkpoints kept. */
  keep: z.int().min(1).default(2),
  /** Steps between readbacks of the losses; every step is logged all the same. */
  logEvery: z.int().min(1).default(20),
  optimizer: optimizerSchema.prefault({}),
});

/** Settings every training run has. */
export type LoopConfig = z.output<typeof loopSchema>;

/** Steps of a run over `framesPerEpoch` training frames. */
export function stepsOf(config: LoopConfig, framesPerEpoch: number): number {
  return config.steps ?? Math.max(1, Math.round((config.epochs * framesPerEpoch) / config.batch));
}
