import { Graph, interpret } from "@distilldrive/tensor";
import { lawRuns } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { collisionReward } from "./collision-reward.js";

/** One agent: box, then its displacements and which of them are known. */
interface Agent {
  readonly box: readonly number[];
  readonly moves: readonly (readonly [number, number])[];
  readonly known: readonly number[];
}

/** A plan and the agents around it. */
interface Scene {
  readonly plan: readonly (readonly [number, number])[];
  readonly agents: readonly Agent[];
}

const EXPERT = { status: [1, 10], path: [1, 1, 2] } as const;

/** The reward of scenes of equal shape. */
function reward(scenes: readonly Scene[]): number[] {
  const graph = new Graph();
  const [lanes, steps, count] = [scenes.length, scenes[0]?.plan.length ?? 0, scenes[0]?.agents.length ?? 0];
  const horizon = scenes[0]?.agents[0]?.moves.length ?? 0;
  const agents = scenes.flatMap(({ agents: own }) => own);
  const nothing = (shape: readonly number[]) => graph.constant(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
  const made = collisionReward({
    status: nothing(EXPERT.status),
    expertStatus: nothing(EXPERT.status),
    expertPath: nothing(EXPERT.path),
    path: graph.constant(scenes.flatMap(({ plan }) => plan.flat()), [lanes, steps, 2]),
    agents:
      count === 0
        ? null
        : {
            box: graph.constant(agents.flatMap(({ box }) => box), [lanes, count, 9]),
            displacement: graph.constant(agents.flatMap(({ moves }) => moves.flat()), [lanes, count, horizon, 2]),
            mask: graph.constant(agents.flatMap(({ known }) => known), [lanes, count, horizon]),
          },
  });
  graph.output("reward", made);
  return [...(interpret(graph).outputs.get("reward") ?? [])];
}

type Point = readonly [number, number];

/** Corners of a box, counter-clockwise, its sides made `grown` m longer. */
function corners([x, y]: Point, length: number, width: number, yaw: number, grown = 0): Point[] {
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  return ([[1, 1], [-1, 1], [-1, -1], [1, -1]] as const).map(([i, j]) => {
    const [along, across] = [(i * (length + grown)) / 2, (j * (width + grown)) / 2];
    return [x + along * c - across * s, y + along * s + across * c];
  });
}

/** Which side of a -> b the point lies on: positive to the left. */
const side = ([ax, ay]: Point, [bx, by]: Point, [x, y]: Point): number => (bx - ax) * (y - ay) - (by - ay) * (x - ax);
const edges = (shape: readonly Point[]): (readonly [Point, Point])[] => shape.map((point, i) => [point, shape[(i + 1) % shape.length] ?? point]);
const holds = (shape: readonly Point[], point: Point): boolean => edges(shape).every(([a, b]) => side(a, b, point) >= 0);

/** Convex shapes meet when a corner of one lies in the other or two edges cross. */
function meet(a: readonly Point[], b: readonly Point[]): boolean {
  if (a.some((point) => holds(b, point)) || b.some((point) => holds(a, point))) return true;
  return edges(a).some(([p, q]) => edges(b).some(([r, s]) => side(p, q, r) * side(p, q, s) < 0 && side(r, s, p) * side(r, s, q) < 0));
}

/** Positions and headings along displacements. */
function walk(start: Point, yaw: number, moves: readonly Point[]): { at: Point; yaw: number }[] {
  const points: Point[] = [start];
  for (const [dx, dy] of moves) {
    const [x, y] = points.at(-1) ?? start;
    points.push([x + dx, y + dy]);
  }
  const last = points.at(-1) ?? start;
  const still = Math.hypot(last[0] - start[0], last[1] - start[1]) < 0.5;
  return moves.map((_, i) => {
    const [from, to] = [points[i] ?? start, points[Math.min(i + 2, moves.length)] ?? last];
    return { at: points[i + 1] ?? last, yaw: still ? yaw : Math.atan2(to[1] - from[1], to[0] - from[0]) };
  });
}

/** The reward by plain loops over polygons. */
function plain({ plan, agents }: Scene, grown: number): number {
  const ego = walk([0, 0], Math.PI / 2, plan);
  const hit = agents.some(({ box: [x = 0, y = 0, , length = 0, width = 0, , yaw = 0], moves, known }) => {
    const visible = known.findIndex((flag) => flag === 0);
    const seen = visible < 0 ? plan.length : Math.min(visible, plan.length);
    // Beyond its last known step an agent does not move any more.
    const path = walk([x, y], yaw, moves.slice(0, plan.length).map((move, step): Point => (step < seen ? move : [0, 0])));
    return path.slice(0, seen).some((other, step) => {
      const own = ego[step] ?? { at: [0, 0] as const, yaw: 0 };
      const centre: Point = [own.at[0] + 0.5 * Math.cos(own.yaw), own.at[1] + 0.5 * Math.sin(own.yaw)];
      return meet(corners(centre, 4.084, 1.85, own.yaw, grown), corners(other.at, length, width, other.yaw));
    });
  });
  return hit ? 0 : 1;
}

const box = (x: number, y: number, length = 4, width = 2, yaw = Math.PI / 2): number[] => [x, y, 0, length, width, 1.5, yaw, 0, 0];
const standing = (at: readonly number[], known: readonly number[] = [1, 1, 1, 1, 1, 1]): Agent => ({ box: at, moves: Array.from({ length: 6 }, () => [0, 0] as const), known });
const ahead = (metres: number): Point[] => Array.from({ length: 6 }, () => [0, metres]);

describe("collisionReward", () => {
  it("is 1 on a free road and without agents, 0 when a car stands in the way", () => {
    const [free, met] = reward([{ plan: ahead(3), agents: [standing(box(6, 12))] }, { plan: ahead(3), agents: [standing(box(0.5, 12))] }]);
    expect([free, met]).toEqual([1, 0]);
    expect(reward([{ plan: ahead(3), agents: [] }, { plan: ahead(1), agents: [] }])).toEqual([1, 1]);
  });

  it("compares boxes of the same step only", () => {
    // Crosses the road at 12 m: after four steps both are there, or the agent has passed before.
    const crossing = (start: number): Agent => ({ box: box(start, 12, 4, 2, 0), moves: Array.from({ length: 6 }, () => [3, 0] as const), known: [1, 1, 1, 1, 1, 1] });
    expect(reward([{ plan: ahead(3), agents: [crossing(-12)] }, { plan: ahead(3), agents: [crossing(-2)] }])).toEqual([0, 1]);
  });

  it("takes boxes as they are turned: a long one lying across is met, one lying along is not", () => {
    const across = standing(box(4, 9, 8, 1, 0));
    const along = standing(box(4, 9, 8, 1, Math.PI / 2));
    expect(reward([{ plan: ahead(3), agents: [across] }, { plan: ahead(3), agents: [along] }])).toEqual([0, 1]);
  });

  it("finds boxes that cross without a corner in each other", () => {
    expect(reward([{ plan: ahead(3), agents: [standing(box(0, 9, 12, 0.2, 0))] }])).toEqual([0]);
  });

  it("does not count an agent from its first unknown step on, known again or not; an empty slot never", () => {
    const inTheWay = (known: readonly number[]): Scene => ({ plan: ahead(3), agents: [standing(box(0, 14), known)] });
    // The ego vehicle's front (2.5 m ahead) reaches the car's rear at 12 m in the fourth step.
    expect(reward([inTheWay([1, 1, 1, 1, 0, 0]), inTheWay([1, 1, 1, 0, 0, 0]), inTheWay([1, 1, 0, 1, 1, 1]), inTheWay([0, 0, 0, 0, 0, 0])])).toEqual([0, 1, 1, 1]);
  });

  it("looks at the path's steps of longer futures, and keeps the heading of what stands", () => {
    const late: Agent = { box: box(9, 6, 4, 2, 0.3), moves: Array.from({ length: 12 }, (_, step) => [step < 6 ? 0 : -9, 0] as const), known: Array<number>(12).fill(1) };
    expect(reward([{ plan: Array.from({ length: 6 }, () => [0, 0] as const), agents: [late] }])).toEqual([1]);
    // Standing still, the ego vehicle looks along +y: 2.5 m ahead, 0.9 m to the side.
    const beside = (x: number, y: number): Scene => ({ plan: Array.from({ length: 6 }, () => [0, 0] as const), agents: [standing(box(x, y, 0.2, 0.2))] });
    expect(reward([beside(0, 2.4), beside(2.4, 0), beside(0, -1.4), beside(0, -2.4)])).toEqual([0, 1, 0, 1]);
  });

  it("equals plain loops over polygons", () => {
    const metres = (size: number): fc.Arbitrary<number> => fc.double({ min: -size, max: size, noNaN: true });
    const move = fc.tuple(metres(2), metres(4));
    const agent = (horizon: number): fc.Arbitrary<Agent> =>
      fc.record({
        box: fc.tuple(metres(9), metres(12), fc.double({ min: 0.3, max: 8, noNaN: true }), fc.double({ min: 0.3, max: 3, noNaN: true }), metres(7)).map(([x, y, l, w, yaw]) => box(x, y, l, w, yaw)),
        moves: fc.array(move, { minLength: horizon, maxLength: horizon }),
        known: fc.array(fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(0) }), { minLength: horizon, maxLength: horizon }),
      });
    const scenes = fc.record({ steps: fc.integer({ min: 1, max: 6 }), more: fc.integer({ min: 0, max: 3 }), count: fc.integer({ min: 1, max: 4 }), lanes: fc.integer({ min: 1, max: 3 }) }).chain(({ steps, more, count, lanes }) =>
      fc.array(
        fc.record({ plan: fc.array(move, { minLength: steps, maxLength: steps }), agents: fc.array(agent(steps + more), { minLength: count, maxLength: count }) }),
        { minLength: lanes, maxLength: lanes },
      ),
    );
    let [met, compared] = [0, 0];
    fc.assert(
      fc.property(scenes, (drawn) => {
        const made = reward(drawn);
        drawn.forEach((scene, lane) => {
          const [small, large] = [plain(scene, -1e-4), plain(scene, 1e-4)];
          // Boxes that just touch may go either way.
          if (small !== large) return;
          expect(made[lane]).toBe(small);
          compared++;
          met += 1 - small;
        });
      }),
      lawRuns({ runs: 200, name: "collision reward" }),
    );
    expect(met).toBeGreaterThan(compared / 10);
    expect(met).toBeLessThan((compared * 9) / 10);
  });
});
