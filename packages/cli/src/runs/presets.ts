import { PUBLISHED_LABELS } from "@distilldrive/losses";

/**
 * How the published teacher (stage 0) is trained, as settings that preset `published` begins with. What the published
 * training does not have - scenes of the town, mirrored drives, a reference path, our augmentations - is off.
 */
export const PUBLISHED_TEACHER_TRAINING = {
  // Drives in order, each cut in two.
  parts: 2,
  mirror: false,
  town: { scenes: 0 },
  augmentation: { scale: 0, agentDropout: 0, lineDropout: 0, blindness: 0 },
  /** Published 48 to 64. */
  batch: 48,
  epochs: 30,
  dropout: 0.1,
  reference: { steps: 0 },
  optimizer: {
    kind: "soap",
    learningRate: 6e-4,
    beta1: 0.95,
    beta2: 0.95,
    weightDecay: 1e-3,
    clipNorm: 25,
    warmupSteps: 0,
    schedule: "cosine",
    finalFraction: 0.01,
    emaDecay: 0,
    // PyTorch's optimisers decay vectors too.
    groups: [{ match: "*", weightDecay: 1e-3 }],
    soap: { preconditionFrequency: 10 },
  },
  precision: { storage: "mixed", lossScale: 32 },
  loss: {
    regression: 2,
    status: 2,
    classification: 0.5,
    labels: "soft",
    softLabels: PUBLISHED_LABELS,
    normaliser: "all",
    motionClassification: 0.2,
    motionRegression: 0.2,
    reinforcement: 1,
  },
} as const;

/** Settings over others: objects field by field, everything else whole. */
export function layered(under: object, over: object): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isPlain(below) && isPlain(value) ? layered(below, value) : (value as unknown);
  }
  return merged;
}

function isPlain(value: unknown): value is object {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
