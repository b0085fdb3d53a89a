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
  /** Scenes of the synthetic town that are trained on along with the data: variety that a few real scenes lack. */
  town: z
    .strictObject({
      /** How many; 0 for none. */
      scenes: z.int().min(0).default(0),
      /** Seed of the first. */
      seed: z.int().min(0).default(1000),
      /** Which of the 10 Hz phases (0 ... 4) are used; each holds every fifth frame. */
      phases: z.array(z.int().min(0).max(4)).min(1).default([0]),
    })
    .prefault({}),
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
