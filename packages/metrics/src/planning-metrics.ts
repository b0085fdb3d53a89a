/**
 * Planning metric of a set of samples: sums per step, reported in both conventions in use.
 *
 * `atStep`: the mean over samples at exactly 1, 2 and 3 s.
 * `cumulative`: the mean over samples and over all steps up to 1, 2 and 3 s; this is what the paper's table reports.
 * `average` is the mean of the three numbers beside it. Samples without all six driven waypoints are skipped.
 */
import { COMMANDS, PLAN_STEPS, type Command } from "@distilldrive/datasets";
import { MetricError, requireLength } from "./errors.js";
import { cumulate, scorePlan, type PlanScore } from "./plan-score.js";

/** What the metric needs of a sample; the feature builder's `Sample` fits. */
export interface PlanningTruth {
  /** Index into COMMANDS: 0 right, 1 left, 2 straight. */
  readonly command: number;
  /** [6, 2] m, driven displacement of each 0.5 s step, model frame, flat. */
  readonly egoFuture: ArrayLike<number>;
  /** [6] 1 where the step was driven. */
  readonly egoFutureMask: ArrayLike<number>;
  /** Per step [K, 5] x, y, length, width (m), yaw (rad) of all annotated boxes, model frame of the sample, flat. */
  readonly futureObstacles: readonly ArrayLike<number>[];
}

/** A plan as positions or as displacements of each 0.5 s step, [6, 2] m, model frame, flat. */
export type Plan = { readonly waypoints: ArrayLike<number> } | { readonly displacements: ArrayLike<number> };

/** One quantity at the three horizons. */
export interface HorizonValues {
  readonly at1s: number;
  readonly at2s: number;
  readonly at3s: number;
  /** Mean of the three. */
  readonly average: number;
}

/** Both quantities in one convention. */
export interface ConventionScores {
  /** m. */
  readonly l2: HorizonValues;
  /** Rate, 0 .. 1. */
  readonly collision: HorizonValues;
}

/** Scores of a group of samples. */
export interface PlanningScores {
  /** Samples scored. */
  readonly samples: number;
  /** Mean over samples at 1, 2 and 3 s. */
  readonly atStep: ConventionScores;
  /** Mean over samples and all steps up to 1, 2 and 3 s (the paper's table). */
  readonly cumulative: ConventionScores;
  /** [6] means at 0.5 .. 3.0 s: L2 (m), collision rate, and rate of steps left out because the driven path collides. */
  readonly perStep: {
    readonly l2: readonly number[];
    readonly collision: readonly number[];
    readonly truthCollision: readonly number[];
  };
}

/** Result of an evaluation; a group without samples is null. */
export interface PlanningTable {
  readonly overall: PlanningScores | null;
  readonly byCommand: Readonly<Record<Command, PlanningScores | null>>;
  /** Samples skipped because their driven future is incomplete. */
  readonly skipped: number;
}

/** Accumulates scores sample by sample. */
export interface PlanningMetrics {
  /**
   * Scores one plan.
   *
   * @returns its score, or null when the sample is skipped
   * @throws MetricError when a shape, the command or a value is wrong; nothing is counted then
   */
  add(entry: { readonly sample: PlanningTruth } & Plan): PlanScore | null;
  /** Means over everything added so far. */
  result(): PlanningTable;
}

interface Sums {
  readonly l2: Float64Array;
  readonly collision: Float64Array;
  readonly truthCollision: Float64Array;
  samples: number;
}

/** Starts an empty accumulator. */
export function planningMetrics(): PlanningMetrics {
  const overall = emptySums();
  const byCommand: Record<Command, Sums> = { right: emptySums(), left: emptySums(), straight: emptySums() };
  let skipped = 0;
  return {
    add(entry) {
      const { sample } = entry;
      const command = COMMANDS[sample.command];
      if (command === undefined) {
        throw new MetricError(
          "planningMetrics.add",
          `unknown command, expected 0 (right), 1 (left) or 2 (straight), got ${sample.command}`,
          "Pass the sample's command index.",
        );
      }
      requireLength(sample.egoFutureMask, PLAN_STEPS, "planningMetrics.add egoFutureMask", "[6]");
      for (let t = 0; t < PLAN_STEPS; t += 1) {
        if (sample.egoFutureMask[t] === 1) continue;
        skipped += 1;
        return null;
      }
      const plan = "waypoints" in entry ? entry.waypoints : cumulate(entry.displacements);
      const score = scorePlan(plan, cumulate(sample.egoFuture), sample.futureObstacles);
      addScore(overall, score);
      addScore(byCommand[command], score);
      return score;
    },
    result() {
      return {
        overall: meanScores(overall),
        byCommand: {
          right: meanScores(byCommand.right),
          left: meanScores(byCommand.left),
          straight: meanScores(byCommand.straight),
        },
        skipped,
      };
    },
  };
}

function emptySums(): Sums {
  return {
    l2: new Float64Array(PLAN_STEPS),
    collision: new Float64Array(PLAN_STEPS),
    truthCollision: new Float64Array(PLAN_STEPS),
    samples: 0,
  };
}

function addScore(sums: Sums, score: PlanScore): void {
  for (const key of ["l2", "collision", "truthCollision"] as const) {
    score[key].forEach((value, t) => {
      sums[key][t] = (sums[key][t] ?? 0) + value;
    });
  }
  sums.samples += 1;
}

function meanScores(sums: Sums): PlanningScores | null {
  const { samples } = sums;
  if (samples === 0) return null;
  const mean = (sum: Float64Array): number[] => Array.from(sum, (value) => value / samples);
  const perStep = { l2: mean(sums.l2), collision: mean(sums.collision), truthCollision: mean(sums.truthCollision) };
  return {
    samples,
    atStep: { l2: horizons(perStep.l2), collision: horizons(perStep.collision) },
    cumulative: {
      l2: horizons(cumulativeMeans(perStep.l2)),
      collision: horizons(cumulativeMeans(perStep.collision)),
    },
    perStep,
  };
}

/** Mean of the first k + 1 values, for every k. */
function cumulativeMeans(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((value, index) => {
    sum += value;
    return sum / (index + 1);
  });
}

/** Picks 1, 2 and 3 s out of six steps of 0.5 s. */
function horizons(steps: readonly number[]): HorizonValues {
  const [, at1s = NaN, , at2s = NaN, , at3s = NaN] = steps;
  return { at1s, at2s, at3s, average: (at1s + at2s + at3s) / 3 };
}
