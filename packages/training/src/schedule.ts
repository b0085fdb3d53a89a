import { z } from "zod";

/** Optimiser settings with units and defaults; AdamW with decoupled weight decay (Loshchilov and Hutter 2019). */
export const optimizerSchema = z.strictObject({
  /** Peak learning rate. */
  learningRate: z.number().positive().default(1e-3),
  /** Decay of first and second moment. */
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.999),
  eps: z.number().positive().default(1e-8),
  /** Decoupled weight decay, applied to matrices only (rank >= 2); published 1e-3, for far more data. */
  weightDecay: z.number().min(0).default(0.05),
  /** Largest L2 norm of all gradients together. */
  clipNorm: z.number().positive().default(25),
  /** Steps of linear warm-up. */
  warmupSteps: z.int().min(0).default(50),
  /** "cosine" decays to `finalFraction` of the peak at the last step. */
  schedule: z.enum(["cosine", "constant"]).default("cosine"),
  finalFraction: z.number().min(0).max(1).default(0.01),
});

/** Optimiser settings. */
export type OptimizerConfig = z.output<typeof optimizerSchema>;

/**
 * Learning rate of a step (0-based): linear warm-up from 1 / warmupSteps, then cosine or constant.
 * @param totalSteps steps of the whole run
 */
export function learningRateAt(config: OptimizerConfig, step: number, totalSteps: number): number {
  const { learningRate, warmupSteps, schedule, finalFraction } = config;
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  if (schedule === "constant") return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return learningRate * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
