import type { Area } from "./area.js";
import { drawVehicle, type VehicleModel } from "./fleet.js";
import type { Network, RoadLane, TownLane } from "./network.js";
import { drawRoute, laneIndexAt, makePath, speedAt, type Path } from "./path.js";
import { Random, STREAMS } from "./random.js";
import type { Vehicle } from "./vehicle.js";

/** m between vehicles on a lane, on average, at density 1. */
const MEAN_SPACING = 90;
/** m/s^2 of braking that is enough, at the start, for whatever is ahead. */
const START_BRAKING = 1.5;

/** Sets a vehicle on its path. */
export function makeVehicle(id: number, model: VehicleModel, path: Path, s: number, speed: number): Vehicle {
  return {
    id,
    model,
    path,
    s,
    speed,
    acceleration: 0,
    lane: laneIndexAt(path, s, 0),
    granted: -1,
    stoppedOn: -1,
    askingSince: -1,
    departure: 0,
    gone: false,
  };
}

/** A speed from which a vehicle can comfortably stop at its lane's stop line and behind what is ahead. */
export function startSpeed(path: Path, lane: RoadLane, s: number, gap: number, leaderSpeed: number): number {
  const room = Math.max(0, lane.stopLine - s);
  const behind = Math.sqrt(leaderSpeed * leaderSpeed + 2 * START_BRAKING * Math.max(0, gap - 3));
  return Math.min(speedAt(path, s), Math.sqrt(2 * START_BRAKING * room), Math.max(0, gap - 2) / 1.5, behind);
}

/**
 * Fills the lanes of an area with traffic.
 * @param ego already on its lane
 * @param seconds of driving that a route must last for
 * @returns the ego first, then the others; ids are their places
 */
export function populate(
  key: readonly [number, number],
  network: Network,
  area: Area,
  ego: Vehicle,
  seconds: number,
  density: number,
): Vehicle[] {
  const vehicles: Vehicle[] = [ego];
  const inside = new Set(area.junctions.map((junction) => junction.key));
  const egoLane: TownLane | undefined = ego.path.lanes[0];
  for (const [roadIndex, road] of area.roads.entries()) {
    for (const [laneIndex, lane] of network.lanesOf(road).flat().entries()) {
      const random = new Random(key, STREAMS.vehicle, roadIndex, laneIndex);
      let front = lane.stopLine - random.range(0, MEAN_SPACING / density);
      let gap = Infinity;
      let leaderSpeed = 0;
      let passedEgo = lane !== egoLane;
      for (;;) {
        const model = drawVehicle(random, lane.width);
        const length = model.size[0];
        if (!passedEgo && front - length < ego.s + 5) {
          // The ego takes its own place in the row.
          passedEgo = true;
          front = Math.min(front, ego.s - ego.model.size[0] - random.range(5, 30));
          gap = ego.s - ego.model.size[0] - front;
          leaderSpeed = ego.speed;
        }
        if (front < length + 0.5) break;
        const lanes = drawRoute(network, lane, seconds, random, [], model.smallestRadius, (connector) => {
          return inside.has(connector.junction.key);
        });
        const path = makePath(lanes, model.driver);
        const speed = startSpeed(path, lane, front, gap, leaderSpeed) * random.range(0.7, 1);
        vehicles.push(makeVehicle(vehicles.length, model, path, front, speed));
        gap = 3 - (MEAN_SPACING / density) * Math.log(1 - random.uniform()) * 0.85;
        leaderSpeed = speed;
        front -= length + gap;
      }
    }
  }
  return vehicles;
}
