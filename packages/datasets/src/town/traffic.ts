import { JunctionControl, type Surroundings } from "./junction-control.js";
import type { Crossing, Network, RoadLane, TownLane } from "./network.js";
import { MEDIAN } from "./street-grid.js";
import { laneIndexAt } from "./path.js";
import { advanceCrossing, inTheWay, type CrossingState } from "./pedestrians.js";
import { advance, rearOf, wishedAcceleration, type Leader, type Vehicle } from "./vehicle.js";

/** m that drivers look ahead. */
const SIGHT = 110;
/** m before a crossing where vehicles stop. */
const STOP_MARGIN = 0.5;
/** m/s^2, braking that a driver accepts to let somebody cross who waits at the edge. */
const COURTESY_BRAKING = 1.8;

/** m between a lane and somebody who has crossed it when the first vehicle may go. */
const CLEARANCE = 0.8;
/** s that a vehicle takes, from where it waits for a junction, to be past a crossing behind it. */
const TYPICAL_PASSAGE = 7;

const NOBODY: readonly Vehicle[] = [];

/** Vehicles and people of a town, advanced together in steps of TIME_STEP. */
export class Traffic {
  /** Steps done. */
  step = 0;
  private readonly controls = new Map<string, JunctionControl>();
  private readonly crossings = new Map<Crossing, CrossingState>();
  private readonly onLane = new Map<TownLane, Vehicle[]>();
  private readonly surroundings: Surroundings;

  /**
   * @param vehicles in a fixed order
   * @param crossings with the people who cross
   */
  constructor(
    private readonly network: Network,
    readonly vehicles: readonly Vehicle[],
    crossings: readonly CrossingState[],
  ) {
    for (const state of crossings) this.crossings.set(state.crossing, state);
    this.surroundings = {
      network,
      occupants: (lane) => this.onLane.get(lane) ?? NOBODY,
      rearOn: (vehicle, lane) => rearOf(vehicle) - startOf(vehicle, lane),
      crossingBusy: (lane, at) => lane.crossed.some(({ crossing, from }) => {
        const state = this.crossings.get(crossing);
        const atStart = from < lane.curve.length / 2;
        return atStart === (at === "start") && state !== undefined && inTheWay(state, crossingSide(lane, atStart), lane.width, TYPICAL_PASSAGE);
      }),
    };
  }

  /** One step: people first, then everybody's wish from the same state, then all vehicles move. */
  advance(): void {
    for (const state of this.crossings.values()) advanceCrossing(state, this.step);
    this.locate();
    const active = this.vehicles.filter((vehicle) => !vehicle.gone);
    for (const vehicle of active) this.askForJunction(vehicle);
    for (const control of this.controls.values()) control.decide();
    const wishes = active.map((vehicle) => this.wish(vehicle));
    active.forEach((vehicle, index) => advance(vehicle, wishes[index] as number));
    this.step++;
  }

  private locate(): void {
    for (const list of this.onLane.values()) list.length = 0;
    for (const vehicle of this.vehicles) {
      if (vehicle.gone) continue;
      const last = laneIndexAt(vehicle.path, rearOf(vehicle), vehicle.lane);
      for (let index = vehicle.lane; index >= last; index--) {
        const lane = vehicle.path.lanes[index] as TownLane;
        const list = this.onLane.get(lane);
        if (list === undefined) this.onLane.set(lane, [vehicle]);
        else list.push(vehicle);
      }
    }
  }

  private askForJunction(vehicle: Vehicle): void {
    const { path, lane: at } = vehicle;
    const lane = path.lanes[at];
    const connector = path.lanes[at + 1];
    if (lane?.kind !== "road" || connector?.kind !== "connector" || vehicle.granted > at) return;
    if (this.step < vehicle.departure) return;
    const distance = (path.starts[at] as number) + lane.stopLine - vehicle.s;
    if (distance > SIGHT) return;
    let control = this.controls.get(connector.junction.key);
    if (control === undefined) {
      control = new JunctionControl(connector.junction, this.surroundings);
      this.controls.set(connector.junction.key, control);
    }
    const first = (this.onLane.get(lane) ?? NOBODY).every((other) => {
      if (other === vehicle || other.path.lanes[other.lane] !== lane || other.granted > other.lane) return true;
      return other.s - startOf(other, lane) < vehicle.s - (path.starts[at] as number);
    });
    control.ask(vehicle, lane, connector, distance, first, this.step);
  }

  /** What the driver wishes, given the vehicle ahead and the next place to stop. */
  private wish(vehicle: Vehicle): number {
    const { path } = vehicle;
    let stop = Infinity;
    let leader: Leader | null = null;
    for (let index = vehicle.lane; index < path.lanes.length && leader === null; index++) {
      const lane = path.lanes[index] as TownLane;
      const start = path.starts[index] as number;
      if (start - vehicle.s > SIGHT) break;
      leader = this.leaderOn(vehicle, lane, start);
      if (lane.kind !== "road") continue;
      stop = Math.min(stop, this.stopAtCrossing(vehicle, lane, start));
      if (index + 1 < path.lanes.length && vehicle.granted <= index) {
        stop = Math.min(stop, start + lane.stopLine - vehicle.s);
        break;
      }
    }
    return wishedAcceleration(vehicle, leader, stop);
  }

  /** The nearest vehicle ahead on a lane, or on another connector from the same lane while it is still in the way. */
  private leaderOn(vehicle: Vehicle, lane: TownLane, start: number): Leader | null {
    let gap = Infinity;
    let speed = 0;
    const consider = (other: Vehicle, on: TownLane, clear: number): void => {
      if (other === vehicle) return;
      const otherStart = startOf(other, on);
      const ahead = other.s - otherStart - (vehicle.s - start);
      if (ahead < 0 || (ahead === 0 && other.id > vehicle.id)) return;
      const rear = rearOf(other) - otherStart;
      if (rear > clear) return;
      const distance = start + rear - vehicle.s;
      if (distance < gap) {
        gap = distance;
        speed = other.speed;
      }
    };
    for (const other of this.onLane.get(lane) ?? NOBODY) consider(other, lane, Infinity);
    if (lane.kind === "connector") {
      const { connectors, conflicts } = this.network.pathsOf(lane.junction);
      conflicts[lane.index]?.forEach((conflict, index) => {
        const sibling = connectors[index];
        if (sibling === undefined || conflict?.sameStart !== true) return;
        for (const other of this.onLane.get(sibling) ?? NOBODY) consider(other, sibling, conflict.clear);
      });
    }
    return gap === Infinity ? null : { gap, speed };
  }

  /**
   * Tells the crossings of a lane whether this vehicle threatens who would cross now.
   * @returns m to where the vehicle has to stop for people, or Infinity
   */
  private stopAtCrossing(vehicle: Vehicle, lane: RoadLane, start: number): number {
    let stop = Infinity;
    const v = vehicle.speed;
    for (const { crossing, from, to } of lane.crossed) {
      const state = this.crossings.get(crossing);
      if (state === undefined || rearOf(vehicle) > start + to + 0.5) continue;
      const distance = start + from - vehicle.s;
      if (distance < 0 || (v > 0.3 && distance < 2 + 0.8 * v + (v * v) / 3.2)) state.threatened = true;
      if (distance < 0) {
        state.blocked ||= v < 1;
        continue;
      }
      const room = distance - STOP_MARGIN;
      const couldStop = (v * v) / (2 * Math.max(0.1, room)) < COURTESY_BRAKING;
      const side = crossingSide(lane, from < lane.curve.length / 2);
      const passage = 1 + (distance + to - from + vehicle.model.size[0]) / Math.max(v, 2.5);
      const people = inTheWay(state, side, lane.width / 2 + CLEARANCE, passage);
      if (people || (state.waiting && !state.blocked && couldStop)) stop = Math.min(stop, room);
    }
    return stop;
  }
}

/** Middle of a lane where it passes a crossing, m to the left of the crossing's pose (which looks outwards). */
function crossingSide(lane: RoadLane, atStart: boolean): number {
  return (atStart ? -1 : 1) * (MEDIAN / 2 + (lane.slot + 0.5) * lane.width);
}

/** m along a vehicle's path where a lane that it is on (or just left) begins. */
function startOf(vehicle: Vehicle, lane: TownLane): number {
  const { lanes, starts } = vehicle.path;
  for (let index = vehicle.lane; index >= 0; index--) {
    if (lanes[index] === lane) return starts[index] as number;
  }
  return starts[vehicle.lane] as number;
}
