import { pathDistances, pathYaw, planningMetrics, type PlanningScores, scorePlan } from "@distilldrive/metrics";
import { boxesMeet, type GroundBox, positionsOf, rescore } from "@distilldrive/nn";
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

/** `unit_rescore`: the teacher's collision re-scoring and its box test. */
export function rescoreUnit(archive: NumpyArchive): Pair[] {
  const read = (name: string): Float64Array => archive.get(name).values;
  const cases = archive.names.flatMap((name) => /^(ego\.\d+\.)out$/.exec(name)?.[1] ?? []);
  const pairs = cases.map((of): Pair => {
    const [, modes = 0, steps = 0] = archive.get(`${of}plan_reg`).shape;
    const [, slots = 0] = archive.get(`${of}motion_mask`).shape;
    const deltas = read(`${of}plan_reg`);
    const boxes = new Float64Array(slots * 9);
    boxes.set(read(`${of}gt_target`));
    const agents = { boxes, ignore: read(`${of}motion_mask`).map((valid) => 1 - valid), logits: read(`${of}motion_cls`), deltas: read(`${of}motion_reg`) };
    const candidates = Array.from({ length: modes }, (_, mode) => positionsOf(deltas, mode * steps * 2, steps));
    const logits = read(`${of}plan_cls`);
    return { name: `${of}out`, kind: "activation", actual: rescore(logits, candidates, agents, { centreAhead: 0 }), expected: read(`${of}out`) };
  });
  const [first, second] = [read("check_collision.boxes1"), read("check_collision.boxes2")];
  const box = (rows: Float64Array, row: number): GroundBox => {
    const [x = 0, y = 0, , length = 0, width = 0, , yaw = 0] = rows.subarray(row * 7, row * 7 + 7);
    return { x, y, length, width, yaw };
  };
  const expected = read("check_collision.out");
  const met = Array.from(expected, (_, row) => (boxesMeet(box(first, row), box(second, row)) ? 1 : 0));
  return [...pairs, { name: "check_collision.out", kind: "exact", actual: met, expected }];
}
