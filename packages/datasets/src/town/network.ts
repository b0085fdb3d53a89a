import { connect, curvePoint, offsetCurve, reverseCurve, type Curve, type Pose } from "./curve.js";
import { findConflicts, type Conflict } from "./conflicts.js";
import { Random, STREAMS } from "./random.js";
import { endName, MEDIAN, type Direction, type NodeKey, type RoadShape, type StreetGrid } from "./street-grid.js";

/** How a lane connector leaves, seen by the driver; the town is built for driving on the right. */
export type Turn = "right" | "left" | "straight";

/** Who goes first at a junction. Signals are virtual: nothing in the scene shows them. */
export type Control = "priority" | "all-way-stop" | "signals";

/** m from a road's end (where the junction begins) to the near and far side of a pedestrian crossing. */
export const CROSSING_SPAN = [1, 4.5] as const;
/** m from a lane's end to its stop line, with and without a pedestrian crossing. */
const STOP_LINE = { crossing: CROSSING_SPAN[1] + 0.8, none: 0.6 } as const;

/** A pedestrian crossing over one arm of a junction. */
export interface Crossing {
  readonly id: string;
  /** Middle of the crossing on the road's centre line; yaw points away from the junction. */
  readonly pose: Pose;
  /** m from the centre line to the edge of the road, left and right of the pose. */
  readonly reach: readonly [number, number];
}

/** A stretch of a lane that a pedestrian crossing covers, m from the lane's start. */
export interface CrossedStretch {
  readonly crossing: Crossing;
  readonly from: number;
  readonly to: number;
}

/** A driving lane of a road. */
export interface RoadLane {
  readonly kind: "road";
  readonly id: string;
  readonly curve: Curve;
  readonly width: number;
  readonly speedLimit: number;
  readonly road: RoadShape;
  /** 0 along the road's curve, 1 against it. */
  readonly direction: 0 | 1;
  /** 0 beside the yellow line, counted towards the edge. */
  readonly slot: number;
  /** m from the lane's start to where vehicles stop for the junction. */
  readonly stopLine: number;
  readonly crossed: readonly CrossedStretch[];
}

/** A path through a junction from one lane to another. */
export interface Connector {
  readonly kind: "connector";
  readonly id: string;
  readonly curve: Curve;
  readonly width: number;
  readonly speedLimit: number;
  readonly from: RoadLane;
  readonly to: RoadLane;
  readonly turn: Turn;
  readonly junction: Junction;
  /** Position in the junction's list. */
  readonly index: number;
  readonly crossed: readonly CrossedStretch[];
}

/** Anything a vehicle drives along. */
export type TownLane = RoadLane | Connector;

/** A road as it enters a junction. */
export interface JunctionArm {
  readonly direction: Direction;
  readonly road: RoadShape;
  /** Which end of the road this is. */
  readonly end: 0 | 1;
  /** Pose on the centre line where the junction begins, looking outwards. */
  readonly pose: Pose;
  /** m from the junction's centre to the pose. */
  readonly cut: number;
  /** m from the centre line to the edges, left and right looking outwards. */
  readonly halfWidths: readonly [number, number];
  readonly crossing: Crossing | null;
  /** On the road that has priority. */
  readonly major: boolean;
}

/** A junction of three or four roads. */
export interface Junction {
  readonly key: string;
  readonly center: readonly [number, number];
  /** Counter-clockwise. */
  readonly arms: readonly JunctionArm[];
  readonly control: Control;
  /** s; length of the virtual signals' cycle and where in it time 0 falls. */
  readonly cycle: number;
  readonly phase: number;
}

/** The connectors of a junction and how their paths cross. */
export interface JunctionPaths {
  readonly connectors: readonly Connector[];
  /** conflicts[a][b]: how b's path is in the way of a's, or null. */
  readonly conflicts: readonly (readonly (Conflict | null)[])[];
}

/** Lanes, junctions and connectors of a street grid, built where they are first asked for. */
export class Network {
  private readonly junctions = new Map<string, Junction>();
  private readonly paths = new Map<string, JunctionPaths>();
  private readonly lanes = new Map<string, readonly [readonly RoadLane[], readonly RoadLane[]]>();

  /** @param key seed and attempt, unsigned 32-bit */
  constructor(
    readonly grid: StreetGrid,
    private readonly key: readonly [number, number],
  ) {}

  /** The junction at a crossing of the grid that has three or four arms. */
  junction(node: NodeKey): Junction {
    const name = `${node.i}_${node.j}`;
    const known = this.junctions.get(name);
    if (known !== undefined) return known;
    const built = this.buildJunction(node, name);
    this.junctions.set(name, built);
    return built;
  }

  /** Lanes of a road: [along its curve, against it], each from the yellow line outwards. */
  lanesOf(road: RoadShape): readonly [readonly RoadLane[], readonly RoadLane[]] {
    const known = this.lanes.get(road.key);
    if (known !== undefined) return known;
    const along = this.buildLanes(road, 0);
    const against = this.buildLanes(road, 1);
    const built = [along, against] as const;
    this.lanes.set(road.key, built);
    return built;
  }

  /** The junction at the end of a lane. */
  junctionAfter(lane: RoadLane): Junction {
    return this.junction(lane.road.ends[lane.direction === 0 ? 1 : 0]);
  }

  /** The arm by which a lane enters its junction. */
  armOf(lane: RoadLane): JunctionArm {
    return this.armAt(lane.road, lane.direction === 0 ? 1 : 0);
  }

  /** Connectors that begin where a lane ends. */
  connectorsAfter(lane: RoadLane): Connector[] {
    return this.pathsOf(this.junctionAfter(lane)).connectors.filter((connector) => connector.from === lane);
  }

  /** All connectors of a junction, with their conflicts. */
  pathsOf(junction: Junction): JunctionPaths {
    const known = this.paths.get(junction.key);
    if (known !== undefined) return known;
    const connectors: Connector[] = [];
    for (const arm of junction.arms) this.connectArm(junction, arm, connectors);
    const built = { connectors, conflicts: findConflicts(connectors) };
    this.paths.set(junction.key, built);
    return built;
  }

  /** The arm of a junction that a road's end is. */
  armAt(road: RoadShape, end: 0 | 1): JunctionArm {
    const place = road.ends[end];
    const arm = this.junction(place).arms.find((candidate) => candidate.direction === place.arm);
    if (arm === undefined) throw new RangeError(`town: road ${road.key} has no junction at end ${end}`);
    return arm;
  }

  private buildJunction(node: NodeKey, name: string): Junction {
    const random = new Random(this.key, STREAMS.junction, node.i, node.j);
    const corner = random.range(6.5, 9);
    const [x, y] = this.grid.position(node);
    const found = this.grid.arms(node).flatMap((direction) => {
      const road = this.grid.road(node, direction);
      if (road === null) return [];
      const end: 0 | 1 = endName(road.ends[0]) === endName({ ...node, arm: direction }) ? 0 : 1;
      const heading = this.grid.armHeading(node, direction);
      const halfWidths = [road.halfWidths[end], road.halfWidths[end === 0 ? 1 : 0]] as const;
      return [{ direction, road, end, heading, halfWidths }];
    });
    const control = pickControl(random, found.length);
    const striped = random.chance(0.6);
    const across = found.filter((arm) => arm.direction % 2 === 0);
    const up = found.filter((arm) => arm.direction % 2 === 1);
    const rank = (arms: typeof found): number =>
      arms.length * 100 + arms.reduce((sum, arm) => sum + arm.road.speedLimit, 0) / Math.max(1, arms.length);
    const majorAxis = rank(across) >= rank(up) ? 0 : 1;
    const arms = found.map((arm, index): JunctionArm => {
      let cut = 8;
      for (const step of [1, found.length - 1]) {
        const other = found[(index + step) % found.length];
        if (other === undefined || other === arm) continue;
        // Counter-clockwise neighbour: my left edge meets its right edge; clockwise: the other way round.
        const left = step === 1;
        const mine = arm.halfWidths[left ? 0 : 1];
        const theirs = other.halfWidths[left ? 1 : 0];
        const turn = left ? other.heading - arm.heading : arm.heading - other.heading;
        const angle = turn - 2 * Math.PI * Math.floor(turn / (2 * Math.PI));
        if (angle > 2.6) continue;
        // A sharper turn needs a longer corner for the same radius.
        const sharp = Math.min(1.4, Math.max(1, 1 / Math.tan(angle / 2)));
        cut = Math.max(cut, (theirs + mine * Math.cos(angle)) / Math.sin(angle) + corner * sharp);
      }
      const pose = {
        x: x + cut * Math.cos(arm.heading),
        y: y + cut * Math.sin(arm.heading),
        yaw: arm.heading,
      };
      const middle = (CROSSING_SPAN[0] + CROSSING_SPAN[1]) / 2;
      const crossing = striped && random.chance(0.8) ? {
        id: `crossing_${name}_${arm.direction}`,
        pose: { x: pose.x + middle * Math.cos(pose.yaw), y: pose.y + middle * Math.sin(pose.yaw), yaw: pose.yaw },
        reach: arm.halfWidths,
      } : null;
      const { direction, road, end, halfWidths } = arm;
      return { direction, road, end, pose, cut, halfWidths, crossing, major: direction % 2 === majorAxis };
    });
    const cycle = random.range(18, 28);
    return { key: name, center: [x, y], arms, control, cycle, phase: random.range(0, cycle) };
  }

  private buildLanes(road: RoadShape, direction: 0 | 1): RoadLane[] {
    const start = this.armAt(road, direction);
    const end = this.armAt(road, direction === 0 ? 1 : 0);
    const sense = direction === 0 ? -1 : 1;
    const [first, last] = direction === 0 ? [start, end] : [end, start];
    return Array.from({ length: road.lanes }, (_, slot) => {
      const offset = sense * (MEDIAN / 2 + (slot + 0.5) * road.laneWidth);
      const forward = offsetCurve(road.curve, offset, first.cut, road.curve.length - last.cut);
      const curve = direction === 0 ? forward : reverseCurve(forward);
      const crossed: CrossedStretch[] = [];
      const [near, far] = CROSSING_SPAN;
      if (start.crossing !== null) crossed.push({ crossing: start.crossing, from: near, to: far });
      if (end.crossing !== null) {
        crossed.push({ crossing: end.crossing, from: curve.length - far, to: curve.length - near });
      }
      return {
        kind: "road",
        id: `lane_${road.key}_${direction}_${slot}`,
        curve,
        width: road.laneWidth,
        speedLimit: road.speedLimit,
        road,
        direction,
        slot,
        stopLine: curve.length - (end.crossing === null ? STOP_LINE.none : STOP_LINE.crossing),
        crossed,
      };
    });
  }

  private connectArm(junction: Junction, arm: JunctionArm, connectors: Connector[]): void {
    const incoming = this.lanesOf(arm.road)[arm.end === 1 ? 0 : 1];
    const exits = ([1, 2, 3] as const).map((quarter) => {
      const exit = junction.arms.find((other) => other.direction === (arm.direction + quarter) % 4);
      return exit === undefined ? [] : this.lanesOf(exit.road)[exit.end === 0 ? 0 : 1];
    });
    const [right = [], straight = [], left = []] = exits;
    const add = (from: RoadLane | undefined, to: RoadLane | undefined, turn: Turn): void => {
      if (from === undefined || to === undefined) return;
      connectors.push({
        kind: "connector",
        id: `link_${from.id.slice(5)}_${turn}`,
        curve: connect(endPose(from.curve), curvePoint(to.curve, 0), 30),
        width: Math.min(from.width, to.width),
        speedLimit: Math.max(from.speedLimit, to.speedLimit),
        from,
        to,
        turn,
        junction,
        index: connectors.length,
        crossed: [],
      });
    };
    add(incoming.at(-1), right.at(-1), "right");
    for (const lane of incoming) {
      // A lane that the road ahead lacks turns off; where it cannot, it merges.
      const merges = lane.slot >= straight.length && right.length === 0 && lane.slot > 0;
      add(lane, merges ? straight.at(-1) : straight[lane.slot], "straight");
    }
    add(incoming[0], left[0], "left");
  }
}

function endPose(curve: Curve): Pose {
  return curvePoint(curve, curve.length);
}

function pickControl(random: Random, arms: number): Control {
  const kinds: readonly Control[] = ["priority", "all-way-stop", "signals"];
  return kinds[random.weighted(arms === 3 ? [0.7, 0.15, 0.15] : [0.5, 0.25, 0.25])] as Control;
}
