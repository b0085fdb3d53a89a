import { z } from "zod";

/** Parameters with settings of their own, chosen by name. */
export const parameterGroupSchema = z.strictObject({
  /** Names of parameters as checkpoints show them, without the leading "model."; `*` stands for any characters. A parameter belongs to the first group that names it. */
  match: z.string().min(1),
  /** Factor on the learning rate; published 0.1 for the student's image backbone. */
  learningRateFactor: z.number().min(0).default(1),
  /** Decoupled weight decay of every parameter of the group, vectors too; default: the optimiser's, for matrices only. */
  weightDecay: z.number().min(0).optional(),
  /** Not trained at all: no gradient, no moments. */
  frozen: z.boolean().default(false),
});

/** Settings of SOAP alone. */
export const soapSchema = z.strictObject({
  /** Steps between two refreshes of the eigenbases, one power iteration each; published 10. */
  preconditionFrequency: z.int().min(1).default(10),
  /** Sides of a matrix longer than this get no preconditioner. */
  maxPreconditionDim: z.int().min(1).max(2048).default(1024),
  /** Decay of the preconditioners' statistics; default beta2. */
  shampooBeta: z.number().min(0).lt(1).optional(),
});

/** Optimiser settings with units and defaults: AdamW (Loshchilov and Hutter 2019) or SOAP (Vyas et al. 2024), with decoupled weight decay. */
export const optimizerSchema = z.strictObject({
  /** Peak learning rate. */
  learningRate: z.number().positive().default(1e-3),
  /** "soap" is Adam in the eigenbasis of Shampoo's preconditioners; the published teacher's, with learningRate 6e-4, beta1 and beta2 0.95, weightDecay 1e-3. */
  kind: z.enum(["adamw", "soap"]).default("adamw"),
  /** Decay of first and second moment. */
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.999),
  eps: z.number().positive().default(1e-8),
  /** Decoupled weight decay, applied to matrices only (rank >= 2); published 1e-3, for far more data. */
  weightDecay: z.number().min(0).default(0.05),
  /** Largest L2 norm of all gradients together. */
  clipNorm: z.number().positive().default(25),
  /** Steps of linear warm-up; published 500. */
  warmupSteps: z.int().min(0).default(50),
  /** Fraction of the peak the warm-up begins at, published 1/3; default 1 / warmupSteps. */
  warmupFrom: z.number().min(0).max(1).optional(),
  /** "cosine" decays to `finalFraction` of the peak at the last step; published 0.01 for teachers, 0.001 for students. */
  schedule: z.enum(["cosine", "constant"]).default("cosine"),
  finalFraction: z.number().min(0).max(1).default(0.01),
  /** Batches whose mean gradient makes one step: the step of a batch so many times as large. */
  accumulate: z.int().min(1).default(1),
  /** Decay a step of the moving average of the parameters, kept beside them and saved as `ema.*`, in early steps at most (1 + step) / (10 + step); 0: none. */
  emaDecay: z.number().min(0).lt(1).default(0),
  groups: z.array(parameterGroupSchema).default([]),
  soap: soapSchema.prefault({}),
});

/** Optimiser settings. */
export type OptimizerConfig = z.output<typeof optimizerSchema>;

/** How numbers are stored while training. */
export const precisionSchema = z.strictObject({
  /** "mixed" stores activations and their gradients in half precision, where the adapter can; parameters, losses and sums stay f32. */
  storage: z.enum(["f32", "mixed"]).default("f32"),
  /**
   * Factor on the loss before the backward pass, so that small gradients survive half precision; published 32. "dynamic" begins at 65536, halves it
   * in steps whose gradients are not finite (which then change nothing), and doubles it after `growthSteps` good ones. Used with "mixed" only.
   */
  lossScale: z.union([z.number().positive(), z.literal("dynamic")]).default(32),
  growthSteps: z.int().min(1).default(500),
});

/** How numbers are stored while training. */
export type PrecisionConfig = z.output<typeof precisionSchema>;

/**
 * Learning rate of a step (0-based): linear warm-up from `warmupFrom` (default 1 / warmupSteps) of the peak, then cosine or constant.
 * @param totalSteps steps of the whole run
 */
export function learningRateAt(config: OptimizerConfig, step: number, totalSteps: number): number {
  const { learningRate, warmupSteps, warmupFrom, schedule, finalFraction } = config;
  if (step < warmupSteps) {
    return warmupFrom === undefined ? (learningRate * (step + 1)) / warmupSteps : learningRate * (warmupFrom + ((1 - warmupFrom) * step) / warmupSteps);
  }
  if (schedule === "constant") return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return learningRate * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
