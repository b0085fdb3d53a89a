import { curvePoint, sharpestCurvature, type CurvePoint } from "./curve.js";
import type { Connector, Network, RoadLane, TownLane, Turn } from "./network.js";
import type { Random } from "./random.js";

/** m/s^2; how early a driver begins to slow down for a curve or a lower speed limit. */
const ANTICIPATED_BRAKING = 1.4;

/** The lanes a vehicle drives, one after the other, and how fast it may be on them. */
export interface Path {
  readonly lanes: readonly TownLane[];
  /** [lanes + 1] m, where each lane begins along the path; the last entry is the path's length. */
  readonly starts: Float64Array;
  /** [length in whole metres + 1] m/s at every metre: speed limit and curves, already braked for. */
  readonly speeds: Float64Array;
}

/** How a driver treats limits. */
export interface SpeedHabits {
  /** Wished speed as a multiple of the limit. */
  readonly limitFactor: number;
  /** m/s, what the vehicle goes at most. */
  readonly topSpeed: number;
  /** m/s^2, accepted lateral acceleration in curves. */
  readonly lateral: number;
}

/** Joins lanes to a path and works out the speeds along it. */
export function makePath(lanes: readonly TownLane[], habits: SpeedHabits): Path {
  const starts = new Float64Array(lanes.length + 1);
  lanes.forEach((lane, index) => (starts[index + 1] = (starts[index] as number) + lane.curve.length));
  const length = starts[lanes.length] as number;
  const speeds = new Float64Array(Math.ceil(length) + 1);
  const path = { lanes, starts, speeds };
  const point: CurvePoint = { x: 0, y: 0, yaw: 0, curvature: 0 };
  let index = 0;
  for (let s = 0; s < speeds.length; s++) {
    index = laneIndexAt(path, s, index);
    const lane = lanes[index] as TownLane;
    curvePoint(lane.curve, s - (starts[index] as number), point);
    const curve = Math.sqrt(habits.lateral / Math.max(1e-6, Math.abs(point.curvature)));
    speeds[s] = Math.min(lane.speedLimit * habits.limitFactor, habits.topSpeed, curve);
  }
  for (let s = speeds.length - 2; s >= 0; s--) {
    const next = speeds[s + 1] as number;
    speeds[s] = Math.min(speeds[s] as number, Math.sqrt(next * next + 2 * ANTICIPATED_BRAKING));
  }
  return path;
}

/** Index of the lane at arc length `s`, searched from `hint`. */
export function laneIndexAt(path: Path, s: number, hint: number): number {
  let index = hint;
  while (index < path.lanes.length - 1 && s >= (path.starts[index + 1] as number)) index++;
  while (index > 0 && s < (path.starts[index] as number)) index--;
  return index;
}

/** Speed (m/s) that limits and curves allow at arc length `s`. */
export function speedAt(path: Path, s: number): number {
  const clamped = Math.min(Math.max(s, 0), path.speeds.length - 1);
  const i = Math.min(Math.floor(clamped), path.speeds.length - 2);
  const low = path.speeds[i] as number;
  return low + (clamped - i) * ((path.speeds[i + 1] as number) - low);
}

/** The point of a path at arc length `s`. */
export function pathPoint(path: Path, s: number, hint: number, out?: CurvePoint): CurvePoint {
  const index = laneIndexAt(path, s, hint);
  return curvePoint((path.lanes[index] as TownLane).curve, s - (path.starts[index] as number), out);
}

/**
 * Draws lanes to drive, starting with `first`, until driving them at the speed limit takes `seconds` or they leave
 * the area.
 * @param wishes turns wanted at the first junctions where they are possible; random ones after that
 * @param smallestRadius m; sharper connectors are taken only where there is no other
 * @param within whether a junction may be driven through
 */
export function drawRoute(
  network: Network,
  first: RoadLane,
  seconds: number,
  random: Random,
  wishes: readonly Turn[],
  smallestRadius: number,
  within: (connector: Connector) => boolean,
): TownLane[] {
  const lanes: TownLane[] = [first];
  let lane = first;
  let total = first.curve.length / first.speedLimit;
  for (let junction = 0; total < seconds; junction++) {
    const possible = network.connectorsAfter(lane).filter(within);
    const easy = possible.filter((connector) => sharpestCurvature(connector.curve) * smallestRadius <= 1);
    const choices = easy.length > 0 ? easy : possible;
    if (choices.length === 0) break;
    const weights = choices.map((connector) => (connector.turn === "straight" ? 0.4 : 0.3));
    const drawn = choices[random.weighted(weights)] as Connector;
    const wished = choices.find((connector) => connector.turn === wishes[junction]);
    const connector = wished ?? drawn;
    lanes.push(connector, connector.to);
    total += connector.curve.length / connector.speedLimit + connector.to.curve.length / connector.to.speedLimit;
    lane = connector.to;
  }
  return lanes;
}
