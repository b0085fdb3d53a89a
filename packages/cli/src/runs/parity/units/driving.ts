import { pathDistances, pathYaw, planningMetrics, type PlanningScores, scorePlan } from "@distilldrive/metrics";
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
  const pair = (name: string, kind: Pair["kind"], actual: ArrayLike<number>): Pair => ({ name, kind, actual, expected: read(name) });
  const metrics = planningMetrics();
  for (const { plan, truth, obstacles, command } of cases) {
    const egoFuture = truth.map((value, i) => value - (truth[i - 2] ?? 0));
    metrics.add({ waypoints: plan, sample: { command, egoFuture, egoFutureMask: Array<number>(steps).fill(1), futureObstacles: obstacles } });
  }
  const { overall, byCommand } = metrics.result();
  const distances = (of: PlanningScores | null, suffix: string): Pair[] => [
    pair(`aggregate.L2${suffix}`, "activation", of?.perStep.l2 ?? []),
    pair(`aggregate.L2${suffix}_cummean`, "activation", cumulativeMeans(of?.perStep.l2 ?? [])),
    pair(`aggregate.L2${suffix}_avg`, "activation", [of?.cumulative.l2.average ?? NaN]),
  ];
  const collisions = (name: string, perStep: readonly number[]): Pair[] => [
    pair(`aggregate.${name}`, "activation", perStep),
    pair(`aggregate.${name}_cummean`, "activation", cumulativeMeans(perStep)),
  ];
  return [
    pair("box_coll", "exact", scores.flatMap(({ collision }) => [...collision])),
    pair("gt_coll", "exact", scores.flatMap(({ truthCollision }) => [...truthCollision])),
    pair("l2", "activation", scores.flatMap(({ l2 }) => [...l2])),
    pair("yaw_traj", "activation", cases.flatMap(({ plan }) => [...pathYaw(plan)])),
    pair("yaw_gt", "activation", cases.flatMap(({ truth }) => [...pathYaw(truth)])),
    ...distances(overall, ""),
    ...distances(byCommand.right, "_R"),
    ...distances(byCommand.left, "_L"),
    ...distances(byCommand.straight, "_S"),
    ...collisions("obj_box_col", overall?.perStep.collision ?? []),
    ...collisions("obj_col", overall?.perStep.truthCollision ?? []),
    pair("aggregate.obj_box_col_avg", "activation", [overall?.cumulative.collision.average ?? NaN]),
    pair("masked_l2", "activation", pathDistances(cases[0]?.plan ?? [], cases[0]?.truth ?? [], [1, 1, 1, 1, 0, 0])),
  ];
}

function cumulativeMeans(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((value, index) => (sum += value) / (index + 1));
}

/** `unit_rescore`: collision re-scoring of teacher (`ego`) and student (`hier`) as published, and their box test. */
export function rescoreUnit(archive: NumpyArchive): Pair[] {
  const numbers = (kind: string): string[] => archive.names.flatMap((name) => new RegExp(`^(${kind}\\.\\d+\\.)out$`).exec(name)?.[1] ?? []);
  const pairs = [...numbers("ego").map((of) => teacherCase(archive, of)), ...numbers("hier").map((of) => studentCase(archive, of))];
  const [first, second] = [archive.get("check_collision.boxes1").values, archive.get("check_collision.boxes2").values];
  const box = (rows: Float64Array, row: number): GroundBox => {
    const [x = 0, y = 0, , length = 0, width = 0, , yaw = 0] = rows.subarray(row * 7, row * 7 + 7);
    return { x, y, length, width, yaw };
  };
  const expected = archive.get("check_collision.out").values;
  const met = Array.from(expected, (_, row) => (boxesMeet(box(first, row), box(second, row)) ? 1 : 0));
  return [...pairs, { name: "check_collision.out", kind: "exact", actual: met, expected }];
}

/** The plans of a re-scoring case are positions, not displacements. */
function plansOf(archive: NumpyArchive, of: string, lane: number): Float64Array[] {
  const [, modes = 0, steps = 0] = archive.get(`${of}plan_reg`).shape;
  const { values } = archive.get(`${of}plan_reg`);
  return Array.from({ length: modes }, (_, mode) => values.subarray((lane * modes + mode) * steps * 2, (lane * modes + mode + 1) * steps * 2));
}

function teacherCase(archive: NumpyArchive, of: string): Pair {
  const read = (name: string): Float64Array => archive.get(`${of}${name}`).values;
  const boxes = new Float64Array((archive.get(`${of}motion_mask`).shape[1] ?? 0) * 9);
  boxes.set(read("gt_target"));
  const agents = { boxes, ignore: read("motion_mask").map((valid) => 1 - valid), logits: read("motion_cls"), deltas: read("motion_reg") };
  return { name: `${of}out`, kind: "activation", actual: rescore(read("plan_cls"), plansOf(archive, of, 0), agents, PUBLISHED_RESCORING.teacher), expected: read("out") };
}

/** Boxes are as the detection head encodes them: log sizes, sine and cosine of the heading. */
function studentCase(archive: NumpyArchive, of: string): Pair {
  const [lanes = 0, slots = 0] = archive.get(`${of}det_confidence`).shape;
  const part = (name: string, lane: number): Float64Array => {
    const { values } = archive.get(`${of}${name}`);
    return values.subarray((lane * values.length) / lanes, ((lane + 1) * values.length) / lanes);
  };
  const actual = Array.from({ length: lanes }, (_, lane) => {
    const encoded = part("det_anchors", lane);
    const boxes = Array.from({ length: slots }, (_unused, slot) => {
      const [x = 0, y = 0, z = 0, length = 0, width = 0, height = 0, sin = 0, cos = 0, vx = 0, vy = 0] = encoded.subarray(slot * 11);
      return [x, y, z, Math.exp(length), Math.exp(width), Math.exp(height), Math.atan2(sin, cos), vx, vy];
    }).flat();
    const agents = { boxes, ignore: part("det_confidence", lane).map((confidence) => (confidence < 0.5 ? 1 : 0)), logits: part("motion_cls", lane), deltas: part("motion_reg", lane) };
    const { shiftedAgainst, ...options } = PUBLISHED_RESCORING.student;
    // The shifted rows are the whole batch's first ones.
    return [...rescore(part("plan_cls", lane), plansOf(archive, of, lane), agents, { ...options, shiftedAgainst: lane === 0 ? shiftedAgainst : null })];
  });
  return { name: `${of}out`, kind: "activation", actual: actual.flat(), expected: archive.get(`${of}out`).values };
}
