import { pathDistances, pathYaw, planningMetrics, scorePlan } from "@distilldrive/metrics";
import { boxesMeet, type GroundBox, PUBLISHED_RESCORING, rescore } from "@distilldrive/nn";
import type { NumpyArchive } from "@distilldrive/training";
import type { Pair } from "../compare.js";

/** `unit_planmetric`: the open-loop metric. */
export function planMetricUnit(archive: NumpyArchive): Pair[] {
  const read = (name: string): Float64Array => archive.get(name).values;
  const [plans, truths, boxes, counts, futures, commands] = [read("traj"), read("gt"), read("boxes"), read("num_boxes"), read("num_future_boxes"), read("cmd")];
  const [, steps = 0, slots = 0, width = 0] = archive.get("boxes").shape;
  const cases = Array.from(commands, (command, i) => ({
    command,
    plan: plans.subarray(2 * steps * i, 2 * steps * (i + 1)),
    truth: truths.subarray(2 * steps * i, 2 * steps * (i + 1)),
    obstacles: Array.from({ length: futures[i] ?? 0 }, (_, step) =>
      Array.from({ length: counts[i] ?? 0 }, (_unused, k) => {
        const row = boxes.subarray(width * (slots * (steps * i + step) + k));
        return [row[0] ?? NaN, row[1] ?? NaN, row[3] ?? NaN, row[4] ?? NaN, row[6] ?? NaN];
      }).flat(),
    ),
  }));
  const scores = cases.map(({ plan, truth, obstacles }) => scorePlan(plan, truth, obstacles));
  const pair = (name: string, kind: Pair["kind"], actual: ArrayLike<number>): Pair[] => (archive.has(name) ? [{ name, kind, actual, expected: read(name) }] : []);
  const metrics = planningMetrics();
  for (const { plan, truth, obstacles, command } of cases) {
    const egoFuture = truth.map((value, i) => value - (truth[i - 2] ?? 0));
    metrics.add({ waypoints: plan, sample: { command, egoFuture, egoFutureMask: Array<number>(steps).fill(1), futureObstacles: obstacles } });
  }
  const { overall, byCommand } = metrics.result();
  const means = (name: string, perStep: readonly number[]): Pair[] => {
    const cumulative = cumulativeMeans(perStep);
    // 1, 2 and 3 s out of steps of 0.5 s.
    const average = [1, 3, 5].reduce((total, step) => total + (cumulative[step] ?? NaN) / 3, 0);
    return [
      ...pair(`aggregate.${name}`, "activation", perStep),
      ...pair(`aggregate.${name}_cummean`, "activation", cumulative),
      ...pair(`aggregate.${name}_avg`, "activation", [average]),
    ];
  };
  // Which steps the case without a complete truth lacks: nothing else in the archive says so.
  const partly = archive.has("masked_l2") ? Array.from(read("masked_l2"), (value) => (value === 0 ? 0 : 1)) : [];
  return [
    ...pair("box_coll", "exact", scores.flatMap(({ collision }) => [...collision])),
    ...pair("gt_coll", "exact", scores.flatMap(({ truthCollision }) => [...truthCollision])),
    ...pair("l2", "activation", scores.flatMap(({ l2 }) => [...l2])),
    ...pair("yaw_traj", "activation", cases.flatMap(({ plan }) => [...pathYaw(plan)])),
    ...pair("yaw_gt", "activation", cases.flatMap(({ truth }) => [...pathYaw(truth)])),
    ...means("L2", overall?.perStep.l2 ?? []),
    ...means("L2_R", byCommand.right?.perStep.l2 ?? []),
    ...means("L2_L", byCommand.left?.perStep.l2 ?? []),
    ...means("L2_S", byCommand.straight?.perStep.l2 ?? []),
    ...means("obj_box_col", overall?.perStep.collision ?? []),
    ...means("obj_col", overall?.perStep.truthCollision ?? []),
    ...pair("masked_l2", "activation", pathDistances(cases[0]?.plan ?? [], cases[0]?.truth ?? [], partly)),
  ];
}

function cumulativeMeans(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((value, index) => (sum += value) / (index + 1));
}

/** `unit_rescore`: collision re-scoring of teacher (`ego`) and student (`hier`) as published, and their box test. */
export function rescoreUnit(archive: NumpyArchive): Pair[] {
  const numbers = (kind: string): string[] => archive.names.flatMap((name) => new RegExp(`^(${kind}\\.\\d+\\.)out$`).exec(name)?.[1] ?? []);
  return [
    ...numbers("ego").flatMap((of) => rescored(archive, of, teacherCase(archive, of))),
    ...numbers("hier").flatMap((of) => rescored(archive, of, studentCase(archive, of))),
    ...(archive.has("check_collision.out") ? [collisionCases(archive)] : []),
  ];
}

/**
 * Scores of a case: which modes were pushed down must be the same ones, and the other scores equal. (Those that were pushed down are
 * rounded with the penalty, and would hide an error of the others.)
 */
function rescored(archive: NumpyArchive, of: string, actual: ArrayLike<number>): Pair[] {
  const [before, expected] = [archive.get(`${of}plan_cls`).values, archive.get(`${of}out`).values];
  const pushed = (scores: ArrayLike<number>): number[] => Array.from(scores, (score, i) => (score - (before[i] ?? NaN) < PUSHED ? 1 : 0));
  const kept = pushed(expected).map((down) => 1 - down);
  return [
    { name: `${of}out`, kind: "activation", actual, expected, counts: kept },
    { name: `${of}out pushed down`, kind: "exact", actual: pushed(actual), expected: pushed(expected) },
    { name: `${of}out best`, kind: "exact", actual: bestOf(archive, of, actual), expected: bestOf(archive, of, expected) },
  ];
}

/** A score that falls by more than this was pushed down: half of the penalty of -999. */
const PUSHED = -500;

/** Index of the best score of every sample. */
function bestOf(archive: NumpyArchive, of: string, scores: ArrayLike<number>): number[] {
  const modes = archive.get(`${of}plan_cls`).shape.at(-1) ?? 1;
  return Array.from({ length: scores.length / modes }, (_, sample) => {
    let best = 0;
    for (let mode = 1; mode < modes; mode++) if ((scores[sample * modes + mode] ?? 0) > (scores[sample * modes + best] ?? 0)) best = mode;
    return best;
  });
}

function collisionCases(archive: NumpyArchive): Pair {
  const width = archive.get("check_collision.boxes1").shape.at(-1) ?? 0;
  const [first, second] = [archive.get("check_collision.boxes1").values, archive.get("check_collision.boxes2").values];
  const box = (rows: Float64Array, row: number): GroundBox => {
    const [x = 0, y = 0, , length = 0, across = 0, , yaw = 0] = rows.subarray(row * width, row * width + width);
    return { x, y, length, width: across, yaw };
  };
  const expected = archive.get("check_collision.out").values;
  const met = Array.from(expected, (_, row) => (boxesMeet(box(first, row), box(second, row)) ? 1 : 0));
  return { name: "check_collision.out", kind: "exact", actual: met, expected };
}

/** The plans of a re-scoring case are positions, not displacements. */
function plansOf(archive: NumpyArchive, of: string, lane: number): Float64Array[] {
  const [, modes = 0, steps = 0] = archive.get(`${of}plan_reg`).shape;
  const { values } = archive.get(`${of}plan_reg`);
  return Array.from({ length: modes }, (_, mode) => values.subarray((lane * modes + mode) * steps * 2, (lane * modes + mode + 1) * steps * 2));
}

function teacherCase(archive: NumpyArchive, of: string): ArrayLike<number> {
  const read = (name: string): Float64Array => archive.get(`${of}${name}`).values;
  const boxes = new Float64Array((archive.get(`${of}motion_mask`).shape[1] ?? 0) * 9);
  boxes.set(read("gt_target"));
  const agents = { boxes, ignore: read("motion_mask").map((valid) => 1 - valid), logits: read("motion_cls"), deltas: read("motion_reg") };
  return rescore(read("plan_cls"), plansOf(archive, of, 0), agents, PUBLISHED_RESCORING.teacher);
}

/** Boxes are as the detection head encodes them: log sizes, sine and cosine of the heading. */
function studentCase(archive: NumpyArchive, of: string): ArrayLike<number> {
  const [lanes = 0, slots = 0] = archive.get(`${of}det_confidence`).shape;
  const part = (name: string, lane: number): Float64Array => {
    const { values } = archive.get(`${of}${name}`);
    return values.subarray((lane * values.length) / lanes, ((lane + 1) * values.length) / lanes);
  };
  return Array.from({ length: lanes }, (_, lane) => {
    const encoded = part("det_anchors", lane);
    const boxes = Array.from({ length: slots }, (_unused, slot) => {
      const [x = 0, y = 0, z = 0, length = 0, width = 0, height = 0, sin = 0, cos = 0, vx = 0, vy = 0] = encoded.subarray(slot * 11);
      return [x, y, z, Math.exp(length), Math.exp(width), Math.exp(height), Math.atan2(sin, cos), vx, vy];
    }).flat();
    const agents = { boxes, ignore: part("det_confidence", lane).map((confidence) => (confidence < 0.5 ? 1 : 0)), logits: part("motion_cls", lane), deltas: part("motion_reg", lane) };
    const { shiftedAgainst, ...options } = PUBLISHED_RESCORING.student;
    // The shifted rows are the whole batch's first ones.
    return [...rescore(part("plan_cls", lane), plansOf(archive, of, lane), agents, { ...options, shiftedAgainst: lane === 0 ? shiftedAgainst : null })];
  }).flat();
}
