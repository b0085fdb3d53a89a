import { readNpz, sharedPath, type NpzArchive } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { boxCorners, boxesIntersect, type OrientedBox } from "./oriented-box.js";
import { pathDistances, pathYaw, scorePlan, type PlanScore } from "./plan-score.js";
import { planningMetrics, type PlanningScores } from "./planning-metrics.js";

const golden = sharedPath("golden", "unit_planmetric.npz");
const rescore = sharedPath("golden", "unit_rescore.npz");
const anchor = sharedPath("golden", "unit_anchor.npz");

interface Case {
  readonly plan: Float64Array;
  readonly truth: Float64Array;
  readonly obstacles: Float64Array[];
  readonly command: number;
}

/** The golden's 220 cases; its boxes are [220, 6, 8, 7] x, y, z, length, width, height, yaw, padded. */
function readCases(archive: NpzArchive): Case[] {
  const read = (name: string): Float64Array => archive.get(name).numbers();
  const [plans, truths, boxes, counts, futures, commands] = ["traj", "gt", "boxes", "num_boxes", "num_future_boxes", "cmd"].map(read);
  if (!plans || !truths || !boxes || !counts || !futures || !commands) throw new Error("golden arrays missing");
  return Array.from(commands, (command, i) => ({
    command,
    plan: plans.subarray(12 * i, 12 * i + 12),
    truth: truths.subarray(12 * i, 12 * i + 12),
    obstacles: Array.from({ length: futures[i] ?? 0 }, (_, t) => {
      const rows: number[] = [];
      for (let k = 0; k < (counts[i] ?? 0); k += 1) {
        const row = boxes.subarray(7 * (8 * (6 * i + t) + k));
        rows.push(row[0] ?? NaN, row[1] ?? NaN, row[3] ?? NaN, row[4] ?? NaN, row[6] ?? NaN);
      }
      return Float64Array.from(rows);
    }),
  }));
}

function load(): { archive: NpzArchive; cases: Case[] } {
  const archive = readNpz(golden ?? "");
  return { archive, cases: readCases(archive) };
}

/** Largest absolute difference; NaN when one is not a number. */
function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((max, value, i) => Math.max(max, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe.skipIf(golden === null)("planning metric against the published evaluation", () => {
  it("agrees in all 220 cases: collision flags equal, L2 and yaw within 1e-5", () => {
    const { archive, cases } = load();
    const scores = cases.map(({ plan, truth, obstacles }) => scorePlan(plan, truth, obstacles));
    expect(cases.length).toBe(220);
    const flat = (key: keyof PlanScore): number[] => scores.flatMap((score) => Array.from(score[key]));
    expect(flat("collision")).toEqual(Array.from(archive.get("box_coll").numbers()));
    expect(flat("truthCollision")).toEqual(Array.from(archive.get("gt_coll").numbers()));
    expect(flat("collision").filter((hit) => hit === 1).length).toBeGreaterThan(20);
    expect(worst(flat("l2"), archive.get("l2").numbers())).toBeLessThan(1e-5);
    expect(worst(cases.flatMap(({ plan }) => Array.from(pathYaw(plan))), archive.get("yaw_traj").numbers())).toBeLessThan(1e-5);
    expect(worst(cases.flatMap(({ truth }) => Array.from(pathYaw(truth))), archive.get("yaw_gt").numbers())).toBeLessThan(1e-5);
  });

  it("agrees in the aggregates of both conventions and per command", () => {
    const { archive, cases } = load();
    const metrics = planningMetrics();
    for (const { plan, truth, obstacles, command } of cases) {
      const egoFuture = truth.map((value, i) => value - (truth[i - 2] ?? 0));
      metrics.add({ waypoints: plan, sample: { command, egoFuture, egoFutureMask: [1, 1, 1, 1, 1, 1], futureObstacles: obstacles } });
    }
    const { overall, byCommand, skipped } = metrics.result();
    const expected = (name: string): Float64Array => archive.get(`aggregate.${name}`).numbers();
    const check = (scoresOf: PlanningScores | null, suffix: string): void => {
      const perStep = scoresOf?.perStep.l2 ?? [];
      expect(worst(perStep, expected(`L2${suffix}`))).toBeLessThan(1e-5);
      const { at1s, at2s, at3s } = scoresOf?.cumulative.l2 ?? { at1s: NaN, at2s: NaN, at3s: NaN };
      const reported = expected(`L2${suffix}_cummean`);
      expect(worst([at1s, at2s, at3s], [reported[1] ?? NaN, reported[3] ?? NaN, reported[5] ?? NaN])).toBeLessThan(1e-5);
      expect(scoresOf?.cumulative.l2.average).toBeCloseTo(expected(`L2${suffix}_avg`)[0] ?? NaN, 5);
      expect([scoresOf?.atStep.l2.at1s, scoresOf?.atStep.l2.at3s]).toEqual([perStep[1], perStep[5]]);
    };
    check(overall, "");
    check(byCommand.right, "_R");
    check(byCommand.left, "_L");
    check(byCommand.straight, "_S");
    expect([overall?.samples, byCommand.right?.samples, byCommand.left?.samples, byCommand.straight?.samples, skipped]).toEqual([220, 74, 73, 73, 0]);
    expect(worst(overall?.perStep.collision ?? [], expected("obj_box_col"))).toBeLessThan(1e-6);
    expect(worst(overall?.perStep.truthCollision ?? [], expected("obj_col"))).toBeLessThan(1e-6);
    expect(overall?.cumulative.collision.average).toBeCloseTo(expected("obj_box_col_avg")[0] ?? NaN, 6);
    expect(overall?.cumulative.collision.at3s).toBeCloseTo(expected("obj_box_col_cummean")[5] ?? NaN, 6);
  });

  it("gives masked steps no distance", () => {
    const { archive, cases } = load();
    const { plan, truth } = cases[0] ?? { plan: [], truth: [] };
    expect(worst(pathDistances(plan, truth, [1, 1, 1, 1, 0, 0]), archive.get("masked_l2").numbers())).toBeLessThan(1e-5);
  });
});

describe.skipIf(rescore === null)("oriented boxes against the published collision check", () => {
  it("never denies a hit of the corner-in-box test, and finds the crossings it misses", () => {
    const archive = readNpz(rescore ?? "");
    const [first, second, flags] = ["boxes1", "boxes2", "out"].map((name) => archive.get(`check_collision.${name}`).numbers());
    if (!first || !second || !flags) throw new Error("golden arrays missing");
    const boxAt = (rows: Float64Array, i: number): OrientedBox => {
      const [x = NaN, y = NaN, , length = NaN, width = NaN, , yaw = NaN] = rows.subarray(7 * i, 7 * i + 7);
      return { x, y, length, width, yaw };
    };
    const hits = Array.from(flags, (_, i) => (boxesIntersect(boxAt(first, i), boxAt(second, i)) ? 1 : 0));
    // The published rescoring asks whether a corner lies in the other box: two bars crossing without one escape it.
    expect(hits.filter((hit, i) => hit === 0 && flags[i] === 1)).toEqual([]);
    const crossings = hits.flatMap((hit, i) => (hit === 1 && flags[i] === 0 ? [i] : []));
    for (const i of crossings) {
      for (const [a, b] of [[boxAt(first, i), boxAt(second, i)], [boxAt(second, i), boxAt(first, i)]] as const) {
        expect(cornersInside(a, b)).toBe(0);
      }
    }
  });
});

describe.skipIf(anchor === null)("boxCorners against the published corners", () => {
  it("agrees within 1e-5", () => {
    const archive = readNpz(anchor ?? "");
    const boxes = archive.get("box3d_to_corners.box").numbers();
    const corners = archive.get("box3d_to_corners.corners").numbers();
    for (let i = 0; i < 6; i += 1) {
      const [x = NaN, y = NaN, , length = NaN, width = NaN, , yaw = NaN] = boxes.subarray(7 * i, 7 * i + 7);
      // The published eight corners, of which 7 is front left, 4 front right, 0 rear right and 3 rear left at the bottom.
      const expected = [7, 4, 0, 3].flatMap((k) => [corners[24 * i + 3 * k] ?? NaN, corners[24 * i + 3 * k + 1] ?? NaN]);
      expect(worst(boxCorners({ x, y, length, width, yaw }), expected)).toBeLessThan(1e-5);
    }
  });
});

/** Corners of a strictly inside b. */
function cornersInside(a: OrientedBox, b: OrientedBox): number {
  const corners = boxCorners(a);
  let inside = 0;
  for (let k = 0; k < 4; k += 1) {
    const dx = (corners[2 * k] ?? NaN) - b.x;
    const dy = (corners[2 * k + 1] ?? NaN) - b.y;
    const along = Math.abs(dx * Math.cos(b.yaw) + dy * Math.sin(b.yaw));
    const across = Math.abs(-dx * Math.sin(b.yaw) + dy * Math.cos(b.yaw));
    if (along < b.length / 2 && across < b.width / 2) inside += 1;
  }
  return inside;
}
