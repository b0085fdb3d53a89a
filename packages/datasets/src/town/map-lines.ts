import { wrapAngle } from "../angles.js";
import type { Lane, MapLine } from "../schema.js";
import type { Area } from "./area.js";
import { connect, offsetCurve, type Curve, type Pose } from "./curve.js";
import { MEDIAN, SHOULDER, type RoadShape } from "./street-grid.js";
import type { Crossing, JunctionArm, Network, TownLane } from "./network.js";

/** The painted and built lines of an area: road dividers, lane dividers, crossings, edges. */
export function drawLines(network: Network, area: Area): MapLine[] {
  const lines: MapLine[] = [];
  for (const road of area.roads) {
    const from = network.armAt(road, 0).cut;
    const to = road.curve.length - network.armAt(road, 1).cut;
    const along = (offset: number): Float64Array => curvePoints(offsetCurve(road.curve, offset, from, to));
    lines.push({ id: `middle_${road.key}`, category: "divider", style: "solid_yellow", points: along(0) });
    if (road.lanes === 2) {
      for (const side of [-1, 1]) {
        const points = along(side * (MEDIAN / 2 + road.laneWidth));
        lines.push({ id: `divider_${road.key}_${side}`, category: "divider", style: "broken_white", points });
      }
    }
  }
  for (const crossing of area.crossings) {
    lines.push({ id: crossing.id, category: "ped_crossing", style: "crossing", points: crossingOutline(crossing) });
  }
  return lines.concat(drawEdges(network, area));
}

/** Lanes of the schema for an area; successors outside it are left out. */
export function drawLanes(network: Network, area: Area): Lane[] {
  const roadLanes = area.roads.flatMap((road) => network.lanesOf(road).flat());
  const connectors = area.junctions.flatMap((junction) => network.pathsOf(junction).connectors);
  const inside = new Set(area.junctions.map((junction) => junction.key));
  return [...roadLanes, ...connectors].map((lane) => ({
    id: lane.id,
    centerline: centerline(lane.curve),
    polygon: laneOutline(lane),
    connector: lane.kind === "connector",
    successors: lane.kind === "connector"
      ? [lane.to.id]
      : inside.has(network.junctionAfter(lane).key)
        ? network.connectorsAfter(lane).map((connector) => connector.id)
        : [],
  }));
}

/** Every second sample of a curve (about 1 m apart), [P, 3] x, y, yaw. */
function centerline(curve: Curve): Float64Array {
  const count = (curve.x.length + 1) / 2;
  const points = new Float64Array(count * 3);
  for (let k = 0; k < count; k++) {
    points[3 * k] = curve.x[2 * k] as number;
    points[3 * k + 1] = curve.y[2 * k] as number;
    points[3 * k + 2] = wrapAngle(curve.yaw[2 * k] as number);
  }
  return points;
}

/** Every second sample of a curve, [P, 2]. */
function curvePoints(curve: Curve): Float64Array {
  const count = (curve.x.length + 1) / 2;
  return Float64Array.from({ length: 2 * count }, (_, n) => (n % 2 === 0 ? curve.x : curve.y)[n - (n % 2)] as number);
}

/** Outline of a lane's surface, counter-clockwise: right side forwards, left side back. */
function laneOutline(lane: TownLane): Float64Array {
  const { curve } = lane;
  // On roads, the lanes share the asphalt under the yellow line and beside the outermost lane.
  const inner = lane.kind === "road" && lane.slot === 0 ? MEDIAN / 2 : 0;
  const outer = lane.kind === "road" && lane.slot === lane.road.lanes - 1 ? SHOULDER : 0;
  const left = lane.width / 2 + inner;
  const right = lane.width / 2 + outer;
  const count = (curve.x.length + 1) / 2;
  const points = new Float64Array(4 * count);
  for (let k = 0; k < count; k++) {
    const i = 2 * k;
    const nx = -Math.sin(curve.yaw[i] as number);
    const ny = Math.cos(curve.yaw[i] as number);
    const back = 2 * count - 1 - k;
    points[2 * k] = (curve.x[i] as number) - right * nx;
    points[2 * k + 1] = (curve.y[i] as number) - right * ny;
    points[2 * back] = (curve.x[i] as number) + left * nx;
    points[2 * back + 1] = (curve.y[i] as number) + left * ny;
  }
  return points;
}

function crossingOutline({ pose, reach }: Crossing): Float64Array {
  const half = 1.75;
  const corners = [[-half, reach[0]], [-half, -reach[1]], [half, -reach[1]], [half, reach[0]], [-half, reach[0]]] as const;
  return Float64Array.from(corners.flatMap(([u, q]) => [
    pose.x + u * Math.cos(pose.yaw) - q * Math.sin(pose.yaw),
    pose.y + u * Math.sin(pose.yaw) + q * Math.cos(pose.yaw),
  ]));
}

/** A stretch of road edge between two named ends. */
interface EdgePiece {
  readonly ends: readonly [string, string];
  readonly curve: Curve;
}

/** Road edges and the corners of junctions, joined where they meet. */
function drawEdges(network: Network, area: Area): MapLine[] {
  const pieces: EdgePiece[] = [];
  for (const road of area.roads) {
    const from = network.armAt(road, 0).cut;
    const to = road.curve.length - network.armAt(road, 1).cut;
    for (const side of [0, 1] as const) {
      const offset = side === 0 ? road.halfWidths[0] : -road.halfWidths[1];
      const ends = [edgeEnd(road, 0, side), edgeEnd(road, 1, side)] as const;
      pieces.push({ ends, curve: offsetCurve(road.curve, offset, from, to) });
    }
  }
  for (const { arms } of area.junctions) {
    arms.forEach((arm, index) => {
      const next = arms[(index + 1) % arms.length];
      if (next === undefined) return;
      const start = edgePose(arm, "left");
      const corner = connect({ ...start, yaw: start.yaw + Math.PI }, edgePose(next, "right"), 40);
      const ends = [edgeEnd(arm.road, arm.end, arm.end), edgeEnd(next.road, next.end, next.end === 0 ? 1 : 0)] as const;
      pieces.push({ ends, curve: corner });
    });
  }
  return joinPieces(pieces);
}

/** Name of the end of a road's edge; side 0 is left of the road's curve. */
function edgeEnd(road: RoadShape, end: 0 | 1, side: 0 | 1): string {
  return `${road.key}:${end}:${side}`;
}

function edgePose(arm: JunctionArm, side: "left" | "right"): Pose {
  const offset = side === "left" ? arm.halfWidths[0] : -arm.halfWidths[1];
  const { x, y, yaw } = arm.pose;
  return { x: x - offset * Math.sin(yaw), y: y + offset * Math.cos(yaw), yaw };
}

function joinPieces(pieces: readonly EdgePiece[]): MapLine[] {
  const at = new Map<string, EdgePiece[]>();
  for (const piece of pieces) {
    for (const end of piece.ends) at.set(end, [...(at.get(end) ?? []), piece]);
  }
  const used = new Set<EdgePiece>();
  const lines: MapLine[] = [];
  const walk = (first: EdgePiece, entry: string): void => {
    const points: number[] = [];
    let enter = entry;
    for (let piece: EdgePiece | undefined = first; piece !== undefined;) {
      used.add(piece);
      const forwards = piece.ends[0] === enter;
      const own = curvePoints(piece.curve);
      const count = own.length / 2;
      for (let k = points.length === 0 ? 0 : 1; k < count; k++) {
        const i = forwards ? k : count - 1 - k;
        points.push(own[2 * i] as number, own[2 * i + 1] as number);
      }
      enter = piece.ends[forwards ? 1 : 0];
      piece = at.get(enter)?.find((other) => !used.has(other));
    }
    lines.push({ id: `boundary_${lines.length}`, category: "boundary", style: "edge", points: Float64Array.from(points) });
  };
  // Open chains first, from their loose ends; what is left are closed blocks.
  for (const piece of pieces) {
    const loose = piece.ends.find((end) => at.get(end)?.length === 1);
    if (loose !== undefined && !used.has(piece)) walk(piece, loose);
  }
  for (const piece of pieces) if (!used.has(piece)) walk(piece, piece.ends[0]);
  return lines;
}
