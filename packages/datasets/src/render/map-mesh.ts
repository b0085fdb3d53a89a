import type { Lane, MapLine, Scene } from "../schema.js";
import { drivableAreas, inAreas, type Area } from "./drivable-area.js";
import { MeshBuilder, type Mesh } from "./mesh-builder.js";
import { JUNCTION, LINE_COLORS, ROAD } from "./palette.js";
import { clipPolyline, clipToSlab, dashPolyline, emptyBounds, includePoint, simplifyPolyline, type Bounds } from "./polyline.js";

/** Painting order of surfaces that share the ground plane; the bare ground is 0. */
const LAYER = { junction: 1, road: 2, crossing: 3, paint: 4, curb: 5 } as const;

/** Sizes of what is painted, m. Paint is a little wider than on real roads (0.10-0.15) so that small images keep it. */
const PAINT = {
  lineWidth: 0.18,
  dash: 3,
  gap: 5,
  /** Connectors have no outline in the sources; lanes are 3-4 m wide, a bit more closes the gaps in junctions. */
  connectorWidth: 4.2,
  /** Asphalt around lane outlines: closes the slits between lanes and the strip up to the curb. */
  shoulder: 0.7,
  curbWidth: 0.25,
  curbHeight: 0.12,
  stripe: 0.5,
  stripeGap: 0.5,
  /** Largest deviation when points of a line are dropped. */
  tolerance: 0.02,
  cellSize: 25,
} as const;

/** A scene's map as triangles. */
export interface MapMesh extends Mesh {
  /** m, world position of the mesh's (0, 0). */
  readonly origin: readonly [number, number];
}

/**
 * Builds the static part of a scene: drivable areas, lane surfaces, strips along connectors outside them, crossings, markings and curbs within `range` of the
 * ego's path. Heights are relative to the local ground (the maps are flat).
 *
 * @param scene the scene
 * @param range m, how far beyond the ego's path the map reaches
 */
export function buildMapMesh(scene: Scene, range: number): MapMesh {
  const region = drivenRegion(scene, range);
  const origin = [Math.round((region.minX + region.maxX) / 2), Math.round((region.minY + region.maxY) / 2)] as const;
  const mesh = new MeshBuilder(origin);
  const areas = drivableAreas(scene.lines, scene.lanes);
  for (const { outline, holes } of areas) {
    const simple = (ring: Float64Array): Float64Array => simplifyPolyline(ring, PAINT.tolerance);
    mesh.addPolygon(simple(outline), JUNCTION, LAYER.junction, holes.map(simple));
  }
  for (const lane of scene.lanes) addLane(mesh, lane, areas, region);
  for (const line of scene.lines) {
    if (line.style === "crossing") addCrossing(mesh, line, region);
    else addLine(mesh, line, region);
  }
  return { ...mesh.build(PAINT.cellSize, region), origin };
}

/** The rectangle around every valid ego position, widened by `range` (m). */
function drivenRegion(scene: Scene, range: number): Bounds {
  const bounds = emptyBounds();
  const { position, valid } = scene.ego;
  for (let frame = 0; frame < valid.length; frame++) {
    const [x, y] = [position[frame * 3] ?? 0, position[frame * 3 + 1] ?? 0];
    if (valid[frame] === 1 && Number.isFinite(x) && Number.isFinite(y)) includePoint(bounds, x, y);
  }
  if (bounds.minX > bounds.maxX) includePoint(bounds, 0, 0);
  return { minX: bounds.minX - range, minY: bounds.minY - range, maxX: bounds.maxX + range, maxY: bounds.maxY + range };
}

function addLane(mesh: MeshBuilder, lane: Lane, areas: readonly Area[], region: Bounds): void {
  const middle = Math.floor(lane.centerline.length / 6) * 3;
  const covered = inAreas(areas, lane.centerline[middle] ?? 0, lane.centerline[middle + 1] ?? 0);
  if (lane.polygon !== null) {
    if (!touches(lane.polygon, region)) return;
    mesh.addPolygon(lane.polygon, lane.connector ? JUNCTION : ROAD, lane.connector ? LAYER.junction : LAYER.road);
    if (!covered) mesh.addStrip(closeOutline(lane.polygon), -PAINT.shoulder, PAINT.shoulder, [0, 0], JUNCTION, LAYER.junction);
  } else if (!covered) {
    const count = lane.centerline.length / 3;
    const line = new Float64Array(count * 2);
    for (let i = 0; i < count; i++) line.set(lane.centerline.subarray(i * 3, i * 3 + 2), i * 2);
    const half = PAINT.connectorWidth / 2;
    for (const part of clipPolyline(line, region)) {
      mesh.addStrip(simplifyPolyline(part.points, PAINT.tolerance), -half, half, [0, 0], JUNCTION, LAYER.junction);
    }
  }
}

function addLine(mesh: MeshBuilder, line: MapLine, region: Bounds): void {
  const color = LINE_COLORS[line.style];
  for (const part of clipPolyline(line.points, region)) {
    const points = simplifyPolyline(part.points, PAINT.tolerance);
    const half = PAINT.lineWidth / 2;
    if (line.style === "edge") {
      const [side, height] = [PAINT.curbWidth / 2, PAINT.curbHeight];
      const dark = [color[0] * 0.75, color[1] * 0.75, color[2] * 0.75] as const;
      mesh.addStrip(points, -side, side, [height, height], color, LAYER.curb);
      mesh.addStrip(points, -side, -side, [0, height], dark, LAYER.curb);
      mesh.addStrip(points, side, side, [height, 0], dark, LAYER.curb);
    } else if (line.style === "broken_white") {
      for (const dash of dashPolyline({ points, start: part.start }, PAINT.dash, PAINT.gap)) {
        mesh.addStrip(dash, -half, half, [0, 0], color, LAYER.paint);
      }
    } else {
      mesh.addStrip(points, -half, half, [0, 0], color, LAYER.paint);
    }
  }
}

/** Zebra stripes: they run with the traffic, that is across the crossing's long side. */
function addCrossing(mesh: MeshBuilder, line: MapLine, region: Bounds): void {
  if (!touches(line.points, region)) return;
  const outline = openOutline(line.points);
  const direction = longestEdge(outline);
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < outline.length; i += 2) {
    const along = (outline[i] ?? 0) * direction[0] + (outline[i + 1] ?? 0) * direction[1];
    low = Math.min(low, along);
    high = Math.max(high, along);
  }
  for (let from = low + PAINT.stripeGap / 2; from < high; from += PAINT.stripe + PAINT.stripeGap) {
    mesh.addPolygon(clipToSlab(outline, direction, from, Math.min(high, from + PAINT.stripe)), LINE_COLORS.crossing, LAYER.crossing);
  }
}

function longestEdge(outline: Float64Array): readonly [number, number] {
  let best: readonly [number, number] = [1, 0];
  let longest = 0;
  const count = outline.length / 2;
  for (let i = 0; i < count; i++) {
    const j = (i + 1) % count;
    const [dx, dy] = [(outline[j * 2] ?? 0) - (outline[i * 2] ?? 0), (outline[j * 2 + 1] ?? 0) - (outline[i * 2 + 1] ?? 0)];
    const length = Math.hypot(dx, dy);
    if (length > longest) {
      longest = length;
      best = [dx / length, dy / length];
    }
  }
  return best;
}

function openOutline(points: Float64Array): Float64Array {
  const last = points.length - 2;
  return points[0] === points[last] && points[1] === points[last + 1] ? points.subarray(0, last) : points;
}

function closeOutline(points: Float64Array): Float64Array {
  const last = points.length - 2;
  if (points[0] === points[last] && points[1] === points[last + 1]) return points;
  return Float64Array.of(...points, points[0] ?? 0, points[1] ?? 0);
}

function touches(points: Float64Array, region: Bounds): boolean {
  const bounds = emptyBounds();
  for (let i = 0; i + 1 < points.length; i += 2) includePoint(bounds, points[i] ?? 0, points[i + 1] ?? 0);
  return bounds.minX <= region.maxX && bounds.maxX >= region.minX && bounds.minY <= region.maxY && bounds.maxY >= region.minY;
}
