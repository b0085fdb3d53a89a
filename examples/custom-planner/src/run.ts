import { buildAnchors, createStreams, evaluationStream, generateTown, streamBatches } from "@distilldrive/datasets";
import { constantVelocity, planningMetrics, type PlanningScores } from "@distilldrive/metrics";
import { openDevice } from "@distilldrive/tensor";
import { evaluatePlanner, fit, modelValues, optimizerSchema, type Progress } from "@distilldrive/training";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ModeQueryConfig } from "./planner.js";
import { FEATURES, plannerTask, trainedPlanner } from "./task.js";

/** What {@link run} does. */
export interface RunOptions {
  readonly config: ModeQueryConfig;
  /** Scenes of the synthetic town; the last two are held out. */
  readonly scenes: number;
  /** Steps of 16 samples. */
  readonly steps: number;
  /** Learning rate at its peak. */
  readonly learningRate: number;
  readonly progress?: Progress;
}

/** What {@link run} found. */
export interface RunResult {
  /** Loss of every step. */
  readonly losses: readonly number[];
  /** Scores on the held-out scenes by planner. */
  readonly scores: Readonly<Record<string, PlanningScores | null>>;
}

const LANES = 16;

/** Makes scenes, trains the planner and scores it beside constant velocity on scenes it has not seen. */
export async function run({ config, scenes: count, steps, learningRate, progress }: RunOptions): Promise<RunResult> {
  const scenes = [...generateTown({ seed: 0, scenes: count })];
  const [train, heldOut] = [scenes.slice(0, -2), scenes.slice(-2)];
  const anchors = buildAnchors(train);
  const batches = streamBatches(createStreams(train), { batch: LANES, seed: 1, features: FEATURES });

  const device = await openDevice();
  const out = await mkdtemp(path.join(tmpdir(), "custom-planner-"));
  try {
    const { tensors } = await fit({
      device,
      task: plannerTask({ config, anchors, batches, lanes: LANES }),
      out,
      steps,
      seed: 1,
      optimizer: optimizerSchema.parse({ learningRate, warmupSteps: 10 }),
      checkpointEvery: steps,
      keep: 1,
      logEvery: 20,
      resume: false,
      run: {},
      ...(progress ? { progress } : {}),
    });
    const log = await readFile(path.join(out, "metrics.jsonl"), "utf8");
    const losses = log.trim().split("\n").map((line) => (JSON.parse(line) as { loss: number }).loss);

    const { table } = await evaluatePlanner(device, trainedPlanner({ config, anchors }, modelValues(tensors)), heldOut);
    const simple = planningMetrics();
    const stream = evaluationStream(heldOut);
    for (let batch = stream.next(); batch !== null; batch = stream.next()) {
      for (const sample of batch.samples) if (sample !== null) simple.add({ sample, waypoints: constantVelocity(sample) });
    }
    return { losses, scores: { "constant velocity": simple.result().overall, "mode queries": table.overall } };
  } finally {
    device.close();
    await rm(out, { recursive: true, force: true });
  }
}
