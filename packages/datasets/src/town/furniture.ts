import { curvePoint } from "./curve.js";
import { KINDS, type Kind } from "./fleet.js";
import type { Network } from "./network.js";
import type { Random } from "./random.js";
import type { RoadShape } from "./street-grid.js";

/** Something that stays where it is. */
export interface FixedObject {
  readonly kind: Kind;
  readonly size: readonly [number, number, number];
  readonly x: number;
  readonly y: number;
  readonly yaw: number;
}

/** m of parking strip that a parked car, and a site of road works, takes. */
const BAY = 6.4;
const SITE = 22;
/** m kept free of parked vehicles at each end of a road. */
const END_MARGIN = 11;
/** 1/m; where a road bends more, long things do not fit into the parking strip. */
const NEARLY_STRAIGHT = 0.008;
const PARKABLE = 0.03;

/** Draws the parked vehicles and road works in the parking strips of a road. */
export function furnish(random: Random, network: Network, road: RoadShape, density: number): FixedObject[] {
  const objects: FixedObject[] = [];
  const from = network.armAt(road, 0).cut + END_MARGIN;
  const to = road.curve.length - network.armAt(road, 1).cut - END_MARGIN;
  for (const side of [0, 1] as const) {
    const strip = road.parking[side];
    const occupied = random.range(0.3, 0.85) * density;
    const works = random.chance(0.2);
    if (strip === 0) continue;
    const sign = side === 0 ? 1 : -1;
    const middle = sign * (road.halfWidths[side] - strip / 2);
    /** Puts a thing `forward` m along the road and `inward` m towards the lanes from the middle of the strip. */
    const place = (kind: Kind, forward: number, inward: number, turned: number, scale: number): void => {
      const point = curvePoint(road.curve, forward);
      const d = middle - sign * inward;
      const [length, width, height] = kind.size;
      objects.push({
        kind,
        size: [length * scale, width * Math.min(scale, 1), height * scale],
        x: point.x - d * Math.sin(point.yaw),
        y: point.y + d * Math.cos(point.yaw),
        yaw: point.yaw + turned + (side === 0 ? Math.PI : 0),
      });
    };
    let s = from;
    let digging = works;
    while (s + BAY < to) {
      const { curvature } = curvePoint(road.curve, s + BAY / 2);
      const bend = Math.abs(curvature);
      if (digging && s + SITE < to && bend < NEARLY_STRAIGHT && straight(road, s, s + SITE)) {
        place(KINDS.barrier, s + 1, 0, 0, 0.9);
        place(KINDS.barrier, s + SITE - 1, 0, 0, 0.9);
        for (let cone = s + 3; cone < s + SITE - 2; cone += 3) place(KINDS.cone, cone, strip / 2 - 0.3, 0, 1);
        const machine = random.chance(0.7) ? KINDS.construction : KINDS.trailer;
        place(machine, s + SITE / 2, -0.3, 0, 1);
        s += SITE;
        digging = false;
      } else {
        if (bend < PARKABLE && random.chance(occupied)) {
          place(KINDS.car, s + BAY / 2 + random.range(-0.4, 0.4), random.range(-0.12, 0.12), random.range(-0.02, 0.02), random.range(0.92, 1.04));
        }
        s += BAY / Math.min(1, 1 - middle * curvature); // the inside of a bend is shorter than the centre line
      }
    }
  }
  return objects;
}

function straight(road: RoadShape, from: number, to: number): boolean {
  for (let s = from; s <= to; s += 2) {
    if (Math.abs(curvePoint(road.curve, s).curvature) > NEARLY_STRAIGHT) return false;
  }
  return true;
}
