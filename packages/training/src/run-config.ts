import { z } from "zod";
import { optimizerSchema, precisionSchema } from "./schedule.js";

/** Scenes of the synthetic town mixed into the training data. */
export const townSchema = z.strictObject({
  /** How many; 0 for none. */
  scenes: z.int().min(0).default(0),
  /** Seed of the first. */
  seed: z.int().min(0).default(1000),
  /** Which of the 10 Hz phases (0 ... 4) are used; each holds every fifth frame. */
  phases: z.array(z.int().min(0).max(4)).min(1).default([0]),
});

/** Training of the reference path (`planReference: "egoMotion"`) before everything else; cheap steps. */
export const referenceSchema = z.strictObject({
  /** Steps; 0 leaves the reference to the training of the whole planner. */
  steps: z.int().min(0).default(1500),
  /** Lanes of a batch. */
  batch: z.int().min(1).default(32),
  /** Peak learning rate. */
  learningRate: z.number().positive().default(1e-3),
  /** Decoupled weight decay; high, because a few scenes are soon learned by heart. */
  weightDecay: z.number().min(0).default(3),
});

/** Settings every training run has, with units and defaults. */
export const loopSchema = z.strictObject({
  /** Decides initial weights, dropout, the order of the data. */
  seed: z.int().min(0).default(1),
  /** Lanes B: streams walked side by side, one frame each per step. */
  batch: z.int().min(1).default(16),
  /** Steps; what is given here wins over `epochs`. */
  steps: z.int().min(1).optional(),
  /** Rounds through all training frames. */
  epochs: z.number().positive().default(3),
  /** Parts each drive is cut into, so that a batch mixes more scenes. */
  parts: z.int().min(1).default(2),
  /** Also train on every drive mirrored left to right. */
  mirror: z.boolean().default(true),
  /** Scenes of the synthetic town that are trained on along with the data: variety that a few real scenes lack. */
  town: townSchema.prefault({}),
  /** Probability of dropout at all published sites. */
  dropout: z.number().min(0).lt(1).default(0.1),
  /** Steps between checkpoints. */
  checkpointEvery: z.int().min(1).default(200),
  /** Checkpoints kept. */
  keep: z.int().min(1).default(2),
  /** Steps between readbacks of the losses; every step is logged all the same. */
  logEvery: z.int().min(1).default(20),
  reference: referenceSchema.prefault({}),
  optimizer: optimizerSchema.prefault({}),
  precision: precisionSchema.prefault({}),
});

/** Settings every training run has. */
export type LoopConfig = z.output<typeof loopSchema>;

/** Steps of a run over `framesPerEpoch` training frames. */
export function stepsOf(config: LoopConfig, framesPerEpoch: number): number {
  return config.steps ?? Math.max(1, Math.round((config.epochs * framesPerEpoch) / config.batch));
}
