import { CROSSING_SPAN, type Connector, type Junction, type JunctionPaths, type Network, type RoadLane } from "./network.js";
import { rearOf, TIME_STEP, type Vehicle } from "./vehicle.js";

/** m before the stop line within which standing still counts as having stopped. */
const STOPPED_WITHIN = 3;
/** m before the stop line within which those who must give way ask. */
const ASK_WITHIN = 12;
/** m kept free behind a vehicle that leaves a junction. */
const EXIT_ROOM = 3;
/** m/s^2, braking expected of a vehicle ahead when judging whether there will be room behind it. */
const EXPECTED_BRAKING = 1.5;

/** Somebody's wish to enter a junction. */
interface Request {
  readonly vehicle: Vehicle;
  readonly connector: Connector;
  readonly rank: number;
  readonly since: number;
}

/** A vehicle that may be in a junction, and where on its path the connector lies. */
interface Holder {
  readonly vehicle: Vehicle;
  readonly connector: Connector;
  readonly index: number;
}

/** What the control of a junction asks of the rest of the simulation. */
export interface Surroundings {
  readonly network: Network;
  /** Vehicles with any part on the lane. */
  occupants(lane: RoadLane): readonly Vehicle[];
  /** m along the lane, of a vehicle's rear bumper (negative while it is on the lane before). */
  rearOn(vehicle: Vehicle, lane: RoadLane): number;
  /** Whether people are in the way on the crossing at the start or end of a lane. */
  crossingBusy(lane: RoadLane, at: "start" | "end"): boolean;
}

/**
 * Who may enter a junction. A vehicle enters only while it holds a reservation for its connector, and reservations of
 * connectors whose paths come too near each other exclude one another until the first vehicle is out of the way: this
 * alone keeps crossing traffic apart. Priority, all-way stop and signals only decide who asks when, and in what order.
 */
export class JunctionControl {
  private holders: Holder[] = [];
  private requests: Request[] = [];
  private readonly paths: JunctionPaths;

  constructor(
    readonly junction: Junction,
    private readonly surroundings: Surroundings,
  ) {
    this.paths = surroundings.network.pathsOf(junction);
  }

  /**
   * A vehicle on `lane` tells that it wants to take `connector`.
   * @param distance m from its front to the stop line
   * @param first no vehicle before it on the lane is still waiting
   */
  ask(vehicle: Vehicle, lane: RoadLane, connector: Connector, distance: number, first: boolean, step: number): void {
    const arm = this.surroundings.network.armOf(lane);
    const v = vehicle.speed;
    let rank = connector.turn === "left" ? 1 : 0;
    switch (this.junction.control) {
      case "all-way-stop":
        if (v < 0.4 && distance < STOPPED_WITHIN) vehicle.stoppedOn = vehicle.lane;
        if (vehicle.stoppedOn !== vehicle.lane) return;
        rank = 0;
        break;
      case "priority":
        if (!arm.major && (distance > ASK_WITHIN || v > 5)) return;
        if (distance > (v * v) / 3 + 18) return;
        if (!arm.major) rank += 2;
        break;
      case "signals":
        if (distance > (v * v) / 3 + 18 || !this.green(arm.direction % 2, step, distance / Math.max(v, 4))) return;
        break;
    }
    if (!first) return;
    if (vehicle.askingSince < 0) vehicle.askingSince = step;
    this.requests.push({ vehicle, connector, rank, since: vehicle.askingSince });
  }

  /** Grants what can be granted of this step's requests. */
  decide(): void {
    this.holders = this.holders.filter(({ vehicle, connector, index }) => {
      return !vehicle.gone && rearOf(vehicle) < (vehicle.path.starts[index] as number) + connector.curve.length;
    });
    this.requests.sort((a, b) => a.rank - b.rank || a.since - b.since || a.vehicle.id - b.vehicle.id);
    const refused: Connector[] = [];
    for (const { vehicle, connector } of this.requests) {
      const conflicts = this.paths.conflicts[connector.index] ?? [];
      const blocked = this.holders.some((holder) => {
        const conflict = conflicts[holder.connector.index];
        if (conflict == null || conflict.sameStart) return false;
        const start = holder.vehicle.path.starts[holder.index] as number;
        return rearOf(holder.vehicle) - start < conflict.clear;
      });
      const overtaken = refused.some((other) => {
        const conflict = conflicts[other.index];
        return conflict != null && !conflict.sameStart;
      });
      if (blocked) refused.push(connector);
      if (blocked || overtaken || !this.exitFree(vehicle, connector)) continue;
      vehicle.granted = vehicle.lane + 1;
      vehicle.askingSince = -1;
      this.holders.push({ vehicle, connector, index: vehicle.granted });
    }
    this.requests = [];
  }

  /** Whether the signals of an axis are green and stay so until a vehicle arrives. */
  private green(axis: number, step: number, arrival: number): boolean {
    const { cycle, phase } = this.junction;
    const time = (step * TIME_STEP + phase + (axis * cycle) / 2) % cycle;
    return time + Math.min(arrival, 5) < cycle / 2 - 2;
  }

  private exitFree(vehicle: Vehicle, connector: Connector): boolean {
    const { surroundings } = this;
    if (surroundings.crossingBusy(connector.to, "start") || surroundings.crossingBusy(connector.from, "end")) return false;
    const [crossed] = connector.to.crossed;
    const kept = crossed !== undefined && crossed.from < CROSSING_SPAN[1] ? crossed.to : 0;
    let room = kept + vehicle.model.size[0] + EXIT_ROOM;
    for (const holder of this.holders) {
      if (holder.connector.to === connector.to) room += holder.vehicle.model.size[0] + EXIT_ROOM;
    }
    return surroundings.occupants(connector.to).every((other) => {
      const stopsAt = surroundings.rearOn(other, connector.to) + (other.speed * other.speed) / (2 * EXPECTED_BRAKING);
      return stopsAt > room;
    });
  }
}
