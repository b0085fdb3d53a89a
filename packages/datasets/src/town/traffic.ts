import { JunctionControl, type Surroundings } from "./junction-control.js";
import type { Crossing, Network, RoadLane, TownLane } from "./network.js";
import { laneIndexAt } from "./path.js";
import { advanceCrossing, type CrossingState } from "./pedestrians.js";
import { advance, rearOf, wishedAcceleration, type Obstacle, type Vehicle } from "./vehicle.js";

/** m that drivers look ahead. */
const SIGHT = 110;
/** m before a crossing or a stop line where vehicles stop. */
const STOP_MARGIN = 0.5;
/** m/s^2, braking that a driver accepts to let somebody cross who waits at the edge. */
const COURTESY_BRAKING = 1.8;

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
        return (from < lane.curve.length / 2) === (at === "start") && this.crossings.get(crossing)?.occupied === true;
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
    const wishes = active.map((vehicle) => wishedAcceleration(vehicle, this.obstacles(vehicle)));
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

  private obstacles(vehicle: Vehicle): Obstacle[] {
    const found: Obstacle[] = [];
    const { path } = vehicle;
    for (let index = vehicle.lane; index < path.lanes.length; index++) {
      const lane = path.lanes[index] as TownLane;
      const start = path.starts[index] as number;
      if (start - vehicle.s > SIGHT) break;
      const leader = this.leaderOn(vehicle, lane, start);
      if (leader !== null) found.push(leader);
      if (lane.kind === "road") {
        this.addCrossings(vehicle, lane, start, found);
        if (index + 1 < path.lanes.length && vehicle.granted <= index) {
          const gap = start + lane.stopLine - vehicle.s;
          found.push({ gap: gap + vehicle.model.driver.standstillGap - STOP_MARGIN, speed: 0 });
          break;
        }
      }
      if (leader !== null) break;
    }
    return found;
  }

  /** The nearest vehicle ahead on a lane, or on another connector from the same lane while it is still in the way. */
  private leaderOn(vehicle: Vehicle, lane: TownLane, start: number): Obstacle | null {
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

  private addCrossings(vehicle: Vehicle, lane: RoadLane, start: number, found: Obstacle[]): void {
    for (const { crossing, from, to } of lane.crossed) {
      const state = this.crossings.get(crossing);
      if (state === undefined || rearOf(vehicle) > start + to + 0.5) continue;
      const distance = start + from - vehicle.s;
      const v = vehicle.speed;
      if (distance < 0) {
        state.threatened = true;
        continue;
      }
      if (distance < 2 + 0.8 * v + (v * v) / (2 * 1.6) && v > 0.3) state.threatened = true;
      const couldStop = (v * v) / (2 * Math.max(0.1, distance - STOP_MARGIN)) < COURTESY_BRAKING;
      if (state.occupied || (state.waiting && couldStop)) {
        found.push({ gap: distance + vehicle.model.driver.standstillGap - STOP_MARGIN, speed: 0 });
      }
    }
  }
}

/** m along a vehicle's path where a lane that it is on (or just left) begins. */
function startOf(vehicle: Vehicle, lane: TownLane): number {
  const { lanes, starts } = vehicle.path;
  for (let index = vehicle.lane; index >= 0; index--) {
    if (lanes[index] === lane) return starts[index] as number;
  }
  return starts[vehicle.lane] as number;
}
