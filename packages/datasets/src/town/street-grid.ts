import { filletedPolyline, sharpestCurvature, type Curve } from "./curve.js";
import { Random, STREAMS } from "./random.js";

/** Compass of the grid: 0 east, 1 north, 2 west, 3 south (before the town is rotated and bent). */
export type Direction = 0 | 1 | 2 | 3;
const DIRECTIONS: readonly Direction[] = [0, 1, 2, 3];

/** A crossing of the grid. */
export interface NodeKey {
  readonly i: number;
  readonly j: number;
}

/** One end of a road: the junction it meets and the arm of that junction. */
export interface RoadEnd extends NodeKey {
  readonly arm: Direction;
}

/** A road between two junctions, not yet cut back for them. */
export interface RoadShape {
  readonly key: string;
  /** Centre line, from the centre of the first junction to the centre of the second. */
  readonly curve: Curve;
  readonly ends: readonly [RoadEnd, RoadEnd];
  /** Lanes in each direction. */
  readonly lanes: 1 | 2;
  /** m. */
  readonly laneWidth: number;
  /** m/s. */
  readonly speedLimit: number;
  /** m from the centre line to the edge, [left, right] of the curve's direction. */
  readonly halfWidths: readonly [number, number];
  /** m of parking strip, [left, right]; 0 for none. */
  readonly parking: readonly [number, number];
}

/** m between the two innermost lanes, under the yellow line. */
export const MEDIAN = 0.3;
/** m between the outermost lane and the edge (or the parking strip). */
export const SHOULDER = 0.4;
const PARKING_WIDTH = 2.4;
/** m of every road's ends that stay straight, so that junction, crossing and stop line lie on straight road. */
const STRAIGHT_END = 26;
/** m from a junction's centre to the first bend of a road's control polygon. */
const FIRST_BEND = 34;
/** m, wished radius in the middle of a road that bulges. */
const BULGE_RADIUS = 60;
/** m, smallest radius of a road's edge on the inside of a bend. A few roads cannot keep it; see isTooSharp. */
const EDGE_RADIUS = 4;

/**
 * An endless irregular street grid: which crossings are joined, and by what roads. Everything is a function of the
 * key and the place, so any part can be looked at in any order.
 *
 * The vertical edge above (i, j) may be missing only where j is even, the horizontal edge right of (i, j) only where
 * i is even: every crossing then keeps two (a bend), three or four arms, never two opposite ones.
 */
export class StreetGrid {
  private readonly spacing: readonly [number, number];
  private readonly rotation: number;
  private readonly laneWidth: number;
  private readonly roads = new Map<string, RoadShape | null>();

  /** @param key seed and attempt, unsigned 32-bit */
  constructor(private readonly key: readonly [number, number]) {
    const random = new Random(key, STREAMS.scene, 1);
    this.spacing = [random.range(88, 130), random.range(88, 130)];
    this.rotation = random.range(-Math.PI, Math.PI);
    this.laneWidth = random.range(3.3, 3.7);
  }

  /** Centre of a crossing, m. */
  position({ i, j }: NodeKey): [number, number] {
    const random = new Random(this.key, STREAMS.node, i, j);
    const x = (i + random.range(-0.08, 0.08)) * this.spacing[0];
    const y = (j + random.range(-0.08, 0.08)) * this.spacing[1];
    const cos = Math.cos(this.rotation);
    const sin = Math.sin(this.rotation);
    return [cos * x - sin * y, sin * x + cos * y];
  }

  /** Heading of an arm, outwards from the crossing, rad. */
  armHeading({ i, j }: NodeKey, arm: Direction): number {
    const random = new Random(this.key, STREAMS.node, i, j);
    random.word();
    random.word();
    const twist = random.range(-0.14, 0.14);
    let own = 0;
    for (let k = 0; k <= arm; k++) own = random.range(-0.1, 0.1);
    return this.rotation + twist + own + (arm * Math.PI) / 2;
  }

  /** The arms of a crossing that carry a road. */
  arms(node: NodeKey): Direction[] {
    return DIRECTIONS.filter((arm) => this.hasEdge(node, arm));
  }

  /** The road at an arm of a junction (a crossing with three or four arms), or null where it would meet itself. */
  road(node: NodeKey, arm: Direction): RoadShape | null {
    const name = endName({ ...node, arm });
    const known = this.roads.get(name);
    if (known !== undefined) return known;
    const bends: NodeKey[] = [];
    let at = neighbour(node, arm);
    let entered = opposite(arm);
    while (this.arms(at).length === 2 && bends.length < 6) {
      bends.push(at);
      const leave = this.arms(at).find((direction) => direction !== entered) as Direction;
      at = neighbour(at, leave);
      entered = opposite(leave);
    }
    const first: RoadEnd = { i: node.i, j: node.j, arm };
    const second: RoadEnd = { i: at.i, j: at.j, arm: entered };
    const dead = this.arms(at).length === 2 || (at.i === node.i && at.j === node.j);
    const swap = endName(second) < endName(first);
    const road = dead ? null : swap ? this.shape(second, first, bends.reverse()) : this.shape(first, second, bends);
    this.roads.set(endName(first), road);
    this.roads.set(endName(second), road);
    return road;
  }

  private hasEdge(node: NodeKey, arm: Direction): boolean {
    const base = arm === 2 || arm === 3 ? neighbour(node, arm) : node;
    const across = arm % 2 === 0;
    if (((across ? base.i : base.j) & 1) !== 0) return true;
    const random = new Random(this.key, across ? STREAMS.edgeAcross : STREAMS.edgeUp, base.i, base.j);
    return !random.chance(across ? 0.3 : 0.4);
  }

  private shape(first: RoadEnd, second: RoadEnd, bends: readonly NodeKey[]): RoadShape {
    const key = `${endName(first)}-${endName(second)}`;
    const random = new Random(this.key, first.arm % 2 === 0 ? STREAMS.edgeAcross : STREAMS.edgeUp, first.i, first.j);
    random.word();
    const a = this.position(first);
    const b = this.position(second);
    const ahead = (from: readonly [number, number], end: RoadEnd): [number, number] => {
      const heading = this.armHeading(end, end.arm);
      return [from[0] + FIRST_BEND * Math.cos(heading), from[1] + FIRST_BEND * Math.sin(heading)];
    };
    const p = ahead(a, first);
    const q = ahead(b, second);
    const cornerRadius = random.range(16, 32);
    const reach = Math.hypot(q[0] - p[0], q[1] - p[1]);
    const bulge = random.range(6, 16) * (random.chance(0.5) ? 1 : -1) * Math.min(1, reach / 60);
    const bulging = random.chance(0.5) && bends.length === 0 && reach > 25;
    const line = (share: number): Curve => {
      const inner = bends.map((bend) => this.position(bend));
      if (share !== 0) {
        const x = (p[0] + q[0]) / 2 - (share * bulge * (q[1] - p[1])) / reach;
        const y = (p[1] + q[1]) / 2 + (share * bulge * (q[0] - p[0])) / reach;
        inner.push([x, y]);
      }
      const points = [a, p, ...inner, q, b];
      const radius = bends.length > 0 ? cornerRadius : BULGE_RADIUS;
      const radii = [endRadius(points, 1), ...inner.map(() => radius), endRadius(points, points.length - 2)];
      return filletedPolyline(points, radii);
    };
    const lines = [first, second].map((end) => this.line(end));
    const lanes = Math.min(...lines.map((line) => line.lanes)) === 2 ? 2 : 1;
    const parking = [0, 1].map(() => (random.chance(lanes === 1 ? 0.45 : 0.2) ? PARKING_WIDTH : 0));
    const paved = MEDIAN / 2 + lanes * this.laneWidth + SHOULDER;
    const left = parking[0] ?? 0;
    const right = parking[1] ?? 0;
    const halfWidths = [paved + left, paved + right] as const;
    const sharpest = 1 / (Math.max(...halfWidths) + EDGE_RADIUS);
    let curve = line(bulging ? 1 : 0);
    // Where the ends do not face each other a bulge may sharpen or soften the bends: take the first shape that will do.
    for (const share of bends.length > 0 ? [] : [0.5, 0, -0.5, -1, 1]) {
      if (sharpestCurvature(curve) <= sharpest) break;
      const other = line(share);
      if (sharpestCurvature(other) < sharpestCurvature(curve)) curve = other;
    }
    return {
      key,
      curve,
      ends: [first, second],
      lanes,
      laneWidth: this.laneWidth,
      speedLimit: Math.min(...lines.map((line) => line.speedLimit)),
      halfWidths,
      parking: [left, right],
    };
  }

  /** What all roads along one line of the grid share. */
  private line({ i, j, arm }: RoadEnd): { lanes: 1 | 2; speedLimit: number } {
    const across = arm % 2 === 0;
    const random = new Random(this.key, STREAMS.line, across ? 0 : 1, across ? j : i);
    const lanes = random.chance(0.35) ? 2 : 1;
    return { lanes, speedLimit: lanes === 2 ? random.range(10.5, 14.5) : random.range(7, 12) };
  }
}

/** Whether a road bends so sharply that its inner edge (or the sidewalk beside it) would fold over. */
export function isTooSharp({ curve, halfWidths }: RoadShape): boolean {
  return sharpestCurvature(curve) * (Math.max(...halfWidths) + EDGE_RADIUS - 0.5) > 1;
}

/** Largest radius (up to 80 m) that keeps the first STRAIGHT_END metres of the outer segment straight. */
function endRadius(points: readonly (readonly [number, number])[], corner: number): number {
  const [p, q, r] = [points[corner - 1], points[corner], points[corner + 1]] as [number, number][];
  if (p === undefined || q === undefined || r === undefined) return 0;
  let angle = Math.atan2(r[1] - q[1], r[0] - q[0]) - Math.atan2(q[1] - p[1], q[0] - p[0]);
  angle = Math.abs(angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI)));
  // A fillet's tangent is at most 1.4 R tan(angle / 2) for the angles that occur here.
  return Math.min(80, (FIRST_BEND - STRAIGHT_END) / (1.4 * Math.tan(angle / 2) + 1e-9));
}

/** The neighbouring crossing in a direction. */
export function neighbour({ i, j }: NodeKey, arm: Direction): NodeKey {
  return { i: i + (arm === 0 ? 1 : arm === 2 ? -1 : 0), j: j + (arm === 1 ? 1 : arm === 3 ? -1 : 0) };
}

function opposite(arm: Direction): Direction {
  return ((arm + 2) % 4) as Direction;
}

/** Name of a road end, unique in the grid. */
export function endName({ i, j, arm }: RoadEnd): string {
  return `${i}_${j}_${"enws"[arm] ?? ""}`;
}
