import { Graph, interpret } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { fadingMotion } from "./fading-motion.js";

const [STEPS, AHEAD] = [6, 0.94];

interface Motion {
  readonly speed: number;
  readonly acceleration?: number;
  readonly turnRate?: number;
  /** Past displacements that are known, of 4. */
  readonly known?: number;
  /** m/s added to the speeds of the past, oldest first. */
  readonly wobble?: readonly number[];
}

/** [6, 2] m, positions that the roll-out reaches from an exact past on a straight line, whatever the turn rate says now. */
function positions({ speed, acceleration = 0, turnRate = 0, known = 4, wobble = [] }: Motion): [number, number][] {
  const graph = new Graph();
  const past = Array.from({ length: 4 }, (_, k) => [0, (speed + acceleration * (-1.75 + 0.5 * k) + (wobble[k] ?? 0)) / 2]).flat();
  const mask = Array.from({ length: 4 }, (_, k) => Number(k >= 4 - known));
  const status = [acceleration, 0, 0, 0, 0, turnRate, speed, 0, 0, 0];
  graph.output("path", fadingMotion({ status: graph.constant(status, [1, 10]), past: graph.constant(past, [1, 4, 2]), pastMask: graph.constant(mask, [1, 4]) }, { steps: STEPS }));
  const path = interpret(graph).outputs.get("path") ?? [];
  let [x, y] = [0, 0];
  return Array.from({ length: STEPS }, (_, k) => [(x += path[2 * k] ?? 0), (y += path[2 * k + 1] ?? 0)]);
}

/** The same by small steps: acceleration falls to 1/e in a second, turn rate in two. */
function driven({ speed, acceleration = 0, turnRate = 0 }: Motion): [number, number][] {
  const dt = 1e-4;
  let [x, y, heading, v] = [0, 0, 0, speed];
  const sign = Math.sign(speed);
  const out: [number, number][] = [];
  for (let i = 1; i <= (STEPS / 2) / dt; i++) {
    const t = (i - 0.5) * dt;
    heading += turnRate * Math.exp(-t / 2) * dt;
    v += acceleration * Math.exp(-t) * dt;
    const forward = Math.max(0, sign * v) * sign * dt;
    x -= Math.sin(heading) * forward;
    y += Math.cos(heading) * forward;
    if (i % (0.5 / dt) === 0) out.push([x - AHEAD * Math.sin(heading), y + AHEAD * (Math.cos(heading) - 1)]);
  }
  return out;
}

describe("fadingMotion", () => {
  it.each<[string, Motion]>([
    ["steady", { speed: 8 }],
    ["speeding up", { speed: 5, acceleration: 1.5 }],
    ["braking", { speed: 10, acceleration: -1.2 }],
    ["turning left", { speed: 6, turnRate: 0.4 }],
    ["braking in a right turn", { speed: 7, acceleration: -1, turnRate: -0.3 }],
    ["reversing", { speed: -2, turnRate: 0.1 }],
    ["standing", { speed: 0 }],
  ])("drives as small steps do: %s", (_, motion) => {
    const expected = driven(motion);
    positions(motion).forEach(([x, y], k) => {
      // A step's chord is taken for its arc: 1 cm in 2.5 m at these turn rates.
      expect(Math.hypot(x - (expected[k]?.[0] ?? NaN), y - (expected[k]?.[1] ?? NaN))).toBeLessThan(0.05);
    });
  });

  it("a car that brakes to a stand stays there", () => {
    const path = positions({ speed: 0.5, acceleration: -1.5 });
    expect(path.at(-1)?.[1]).toBe(path.at(-2)?.[1]);
    for (const [, y] of path) expect(y).toBeGreaterThanOrEqual(0);
  });

  it("follows the last speeds more than older ones", () => {
    const last = positions({ speed: 5, wobble: [0, 0, 0, 0.4] }).at(-1)?.[1] ?? NaN;
    const first = positions({ speed: 5, wobble: [-0.4, 0, 0, 0] }).at(-1)?.[1] ?? NaN;
    expect(last - 15).toBeGreaterThan(2 * (first - 15));
    expect(first).toBeGreaterThan(15);
  });

  it("takes speed and acceleration from the status where the past is not known whole", () => {
    const wobble = [0, 0, 0, 3];
    expect(positions({ speed: 5, acceleration: 1, known: 3, wobble })).toEqual(positions({ speed: 5, acceleration: 1, known: 3 }));
    const graph = new Graph();
    graph.output("path", fadingMotion({ status: graph.constant([1, 0, 0, 0, 0, 0, 5, 0, 0, 0], [1, 10]), past: graph.constant([0, 9], [1, 1, 2]), pastMask: graph.constant([1], [1, 1]) }, { steps: 1 }));
    expect(interpret(graph).outputs.get("path")?.[1]).toBeCloseTo(positions({ speed: 5, acceleration: 1, known: 3 })[0]?.[1] ?? NaN, 6);
    expect(positions({ speed: 5, acceleration: 1, wobble })).not.toEqual(positions({ speed: 5, acceleration: 1 }));
  });

  it("a car that turned round within two seconds did not drive backwards before", () => {
    const [speed, turnRate] = [5, 1.2];
    const dt = 1e-3;
    const past = Array.from({ length: 4 }, (_, k) => {
      let [x, y] = [0, 0];
      for (let t = -2 + 0.5 * k + dt / 2; t < -1.5 + 0.5 * k; t += dt) [x, y] = [x - speed * Math.sin(turnRate * t) * dt, y + speed * Math.cos(turnRate * t) * dt];
      return [x, y];
    });
    expect(past[0]?.[1]).toBeLessThan(0);
    const path = (displacements: number[], known: number): number[] => {
      const graph = new Graph();
      const ego = { status: graph.constant([0, 0, 0, 0, 0, turnRate, speed, 0, 0, 0], [1, 10]), past: graph.constant(displacements, [1, 4, 2]), pastMask: graph.constant([known, 1, 1, 1], [1, 4]) };
      graph.output("path", fadingMotion(ego, { steps: STEPS }));
      return [...(interpret(graph).outputs.get("path") ?? [])];
    };
    // With the past unknown the status tells the speed; chords are 1.5 % shorter than arcs.
    const expected = path(past.flat(), 0);
    path(past.flat(), 1).forEach((value, i) => { expect(Math.abs(value - (expected[i] ?? NaN))).toBeLessThan(0.05); });
  });
});
