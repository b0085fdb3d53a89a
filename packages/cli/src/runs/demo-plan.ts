import { townSceneName } from "@distilldrive/datasets";
import type { TaskName } from "./settings.js";

/** Everything the demo decides, in one place. */
export const DEMO = {
  /** What the whole demo takes on two cores with a software adapter, roughly. */
  minutes: 8,
  /** Scenes made, the held-out ones included. */
  scenes: 30,
  /** The last scenes are held out. */
  heldOut: 6,
  /** How the scenes are made. */
  town: { scenes: 30, seed: 0, duration: 20 },
  /** Training of the teacher at the usual number of minutes. */
  teacher: {
    preset: "tiny", seed: 1, batch: 16, steps: 260, checkpointEvery: 50, logEvery: 10,
    // The data are the town already, as many scenes as one likes: nothing to add, and no need to resize its drives.
    town: { scenes: 0 }, augmentation: { scale: 0, blindness: 0 },
    optimizer: { learningRate: 1e-3, emaDecay: 0 },
    reference: { steps: 2000, learningRate: 2e-3, weightDecay: 0.01 },
  },
  /** Training of the student at the usual number of minutes. */
  distill: { preset: "tiny", seed: 1, batch: 8, steps: 160, checkpointEvery: 50, logEvery: 10, distillation: { encoderFeature: 0.5, decoderFeature: 0.5, classification: 0.5, regression: 0.5 } },
} as const;

/** Settings of a stage, its steps scaled to the minutes there are. */
export function demoSettings(task: Exclude<TaskName, "student">, minutes: number): Readonly<Record<string, unknown>> {
  const settings = DEMO[task];
  return { ...settings, steps: Math.max(1, Math.round((settings.steps * minutes) / DEMO.minutes)) };
}

/** Names of the held-out scenes. */
export function heldOutNames(): string[] {
  const { seed, scenes } = DEMO.town;
  return Array.from({ length: DEMO.heldOut }, (_, k) => townSceneName(seed + scenes - DEMO.heldOut + k));
}
