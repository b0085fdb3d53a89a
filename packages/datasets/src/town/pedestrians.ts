import { curvePoint, offsetCurve, type Curve } from "./curve.js";
import { KINDS } from "./fleet.js";
import type { Crossing } from "./network.js";
import type { Random } from "./random.js";
import { TIME_STEP, type Motion } from "./vehicle.js";

/** m between the edge of the road and the middle of the box of somebody who waits to cross. */
const CURB_DISTANCE = 0.75;
/** m behind the edge where people come from and go to. */
const HOME_DISTANCE = 3.6;
/** m/s^2, how fast a pedestrian gets going and stops. */
const PACE = 1;
/** m along the road, from the middle of a crossing, of the lines people cross on: one person a line. */
const CROSSING_LINES = [-1.35, -0.45, 0.45, 1.35] as const;
/** m from the edge of the road to the lines people walk on; the outermost is for those who stand. */
const SIDEWALK_LINES = [1, 2.1, 3.2] as const;

/** What traffic needs to know of a crossing; the vehicles set `threatened` and `blocked`, the people the rest. */
export interface CrossingState {
  readonly crossing: Crossing;
  readonly people: readonly CrossingPerson[];
  /** Somebody waits at the edge. */
  waiting: boolean;
  /** A vehicle is on the crossing or too near to stop. */
  threatened: boolean;
  /** A vehicle stands on the crossing: those who wait will have to wait longer, nobody else need stop for them. */
  blocked: boolean;
}

/** Somebody who crosses the road when the traffic lets them. */
export interface CrossingPerson {
  readonly size: readonly [number, number, number];
  /** +1 from right to left of the crossing's pose, -1 the other way. */
  readonly sense: 1 | -1;
  /** m along the road. */
  readonly line: number;
  /** m/s. */
  readonly pace: number;
  /** Step at which they set off. */
  readonly leaves: number;
  /** m, left of the crossing's pose. */
  q: number;
  /** m/s, in their own direction. */
  speed: number;
  committed: boolean;
}

/** Size of one person, m. */
function drawPersonSize(random: Random): readonly [number, number, number] {
  const [length, width, height] = KINDS.pedestrian.size;
  const scale = random.range(0.9, 1.08);
  return [length * scale, width * scale, height * scale];
}

/** Draws the people of one crossing. `steps` is how long the simulation runs. */
export function drawCrossing(random: Random, crossing: Crossing, steps: number, density: number): CrossingState {
  const people: CrossingPerson[] = [];
  for (const line of CROSSING_LINES) {
    if (!random.chance(Math.min(1, 0.1 * density))) continue;
    const sense = random.chance(0.5) ? 1 : -1;
    people.push({
      size: drawPersonSize(random),
      sense,
      line: line + random.range(-0.05, 0.05),
      pace: random.range(1, 1.7),
      leaves: random.integer(steps),
      q: -sense * (crossing.reach[sense === 1 ? 1 : 0] + HOME_DISTANCE),
      speed: 0,
      committed: false,
    });
  }
  return { crossing, people, waiting: false, threatened: false, blocked: false };
}

/** Moves the people of a crossing one step and clears what the vehicles report, for the vehicles to set again. */
export function advanceCrossing(state: CrossingState, step: number): void {
  state.waiting = false;
  for (const person of state.people) {
    if (step < person.leaves) continue;
    const { sense } = person;
    const [left, right] = state.crossing.reach;
    const near = sense === 1 ? right : left;
    const far = sense === 1 ? left : right;
    const q = sense * person.q; // their own axis, rising
    const toEdge = -(near + CURB_DISTANCE) - q;
    if (!person.committed && toEdge < 1) {
      if (state.threatened) state.waiting = true;
      else person.committed = true;
    }
    const goal = person.committed ? far + HOME_DISTANCE : -(near + CURB_DISTANCE);
    const allowed = Math.sqrt(2 * PACE * Math.max(0, goal - q));
    const target = Math.min(person.pace, allowed);
    person.speed = Math.min(target, person.speed + PACE * TIME_STEP);
    if (person.speed < 0.02) person.speed = 0;
    person.q += sense * person.speed * TIME_STEP;
  }
  state.threatened = false;
  state.blocked = false;
}

/**
 * Whether anybody who crosses is on a strip of the road, or will get there within some time.
 * @param q m, middle of the strip, left of the crossing's pose
 * @param halfWidth m, of the strip with the distance to keep
 * @param time s
 */
export function inTheWay(state: CrossingState, q: number, halfWidth: number, time: number): boolean {
  return state.people.some(({ committed, sense, pace, q: at }) => {
    const past = sense * (at - q);
    return committed && past < halfWidth && past > -halfWidth - pace * time;
  });
}

/** Where somebody at a crossing is. */
export function crossingMotion(state: CrossingState, person: CrossingPerson, out: Motion): Motion {
  const { x, y, yaw } = state.crossing.pose;
  const heading = yaw + (person.sense * Math.PI) / 2;
  out.x = x + person.line * Math.cos(yaw) - person.q * Math.sin(yaw);
  out.y = y + person.line * Math.sin(yaw) + person.q * Math.cos(yaw);
  out.yaw = heading;
  out.vx = person.speed * Math.cos(heading);
  out.vy = person.speed * Math.sin(heading);
  return out;
}

/** Somebody on the sidewalk, walking at a steady pace or standing. */
export interface SidewalkPerson {
  readonly size: readonly [number, number, number];
  readonly line: Curve;
  /** m along the line at time 0. */
  readonly start: number;
  /** m/s along the line, negative against it. */
  readonly pace: number;
  /** rad, added to the line's direction. */
  readonly turned: number;
}

/**
 * Draws the people along one side of a road. Everybody on a line walks the same way and those ahead are faster, so
 * nobody runs into anybody.
 * @param edge centre line of the road, between the junctions
 * @param distance m from the centre line to the edge, left positive
 * @param duration s
 */
export function drawSidewalk(
  random: Random,
  edge: Curve,
  distance: number,
  duration: number,
  density: number,
): SidewalkPerson[] {
  const people: SidewalkPerson[] = [];
  const margin = 9;
  const side = Math.sign(distance);
  SIDEWALK_LINES.forEach((away, index) => {
    const standing = index === SIDEWALK_LINES.length - 1;
    const count = Math.floor(random.uniform() * 3.2 * density * (standing ? 0.6 : 1));
    if (count === 0 || edge.length < 2 * margin + 10) return;
    const line = offsetCurve(edge, distance + side * away, margin, edge.length - margin);
    const reach = standing ? 0 : 1.7 * duration;
    const room = line.length - reach;
    if (room < 5) return;
    const paces = Array.from({ length: count }, () => (standing ? 0 : random.range(0.9, 1.7)));
    paces.sort((a, b) => a - b);
    const forward = index === 0;
    for (let k = 0; k < count; k++) {
      const place = ((k + random.range(0.1, 0.7)) / count) * room;
      if (k > 0 && room / count < 3) break;
      const pace = paces[k] as number;
      people.push({
        size: drawPersonSize(random),
        line,
        start: forward ? place : line.length - place,
        pace: forward ? pace : -pace,
        turned: standing ? random.range(-Math.PI, Math.PI) : forward ? 0 : Math.PI,
      });
    }
  });
  return people;
}

/** Where somebody on the sidewalk is, `time` s after the start. */
export function sidewalkMotion(person: SidewalkPerson, time: number, out: Motion): Motion {
  const point = curvePoint(person.line, person.start + person.pace * time);
  out.x = point.x;
  out.y = point.y;
  out.yaw = point.yaw + person.turned;
  out.vx = person.pace * Math.cos(point.yaw);
  out.vy = person.pace * Math.sin(point.yaw);
  return out;
}
