import type { MapLine, Track } from "../schema.js";
import { boxAround, boxesMeet, longDirection, ringArea, unionOutlines, type Box, type Polygon } from "./polygon.js";

/**
 * m kept of a map around the driven path: more than the planner's region (30 m) and the renderer's range (100 m) need, so
 * that nobody sees where the map was cut.
 */
const MARGIN = 120;

/** The part of a map a scene needs: the rectangle around the ego's path and 120 m more. */
export function mapRegion(ego: Pick<Track, "position">): Box {
  const { minX, minY, maxX, maxY } = boxAround(ego.position.filter((_, i) => i % 3 !== 2));
  return { minX: minX - MARGIN, minY: minY - MARGIN, maxX: maxX + MARGIN, maxY: maxY + MARGIN };
}

/** Cosine above which two crossings run the same way: 8 degrees, as published. */
const PARALLEL = 0.99;

/**
 * Pedestrian crossings as closed lines. Annotators drew many in parts: parallel ones whose rectangles meet are merged, the
 * largest first, as published.
 * @param crossings id and surface
 */
export function crossingLines(crossings: readonly (readonly [string, Polygon])[]): MapLine[] {
  const parts = crossings
    .map(([id, polygon]) => ({ id, polygon, area: Math.abs(ringArea(polygon.outline)), box: boxAround(polygon.outline), along: longDirection(polygon.outline) }))
    .sort((a, b) => b.area - a.area || (a.id < b.id ? -1 : 1));
  const lines: MapLine[] = [];
  while (parts.length > 0) {
    const [seed] = parts.splice(0, 1);
    if (seed === undefined) break;
    const merged = [seed.polygon];
    for (let i = 0; i < parts.length; ) {
      const part = parts[i];
      const joins = part !== undefined && boxesMeet(seed.box, part.box) && Math.abs(seed.along[0] * part.along[0] + seed.along[1] * part.along[1]) > PARALLEL;
      if (joins) merged.push(...parts.splice(i, 1).map(({ polygon }) => polygon));
      else i++;
    }
    // Alone, a crossing keeps its points; a union may still fall into several outlines.
    const outlines = merged.length === 1 ? [[...seed.polygon.outline]] : unionOutlines(merged).filter((ring) => ringArea(ring) < 0);
    outlines.forEach((ring, part) => {
      const id = outlines.length === 1 ? seed.id : `${seed.id}_${part}`;
      lines.push({ id, category: "ped_crossing", style: "crossing", points: closed(ring) });
    });
  }
  return lines;
}

/**
 * Edges of the drivable surface: the outlines of the union of its parts inside a region, closed, drivable on their right.
 * @param surfaces parts that meet the region
 */
export function edgeLines(surfaces: readonly Polygon[], region: Box): MapLine[] {
  return unionOutlines(surfaces, region).map((ring, index) => ({ id: `boundary_${index}`, category: "boundary", style: "edge", points: closed(ring) }));
}

function closed(ring: readonly number[]): Float64Array {
  return Float64Array.of(...ring, ring[0] ?? 0, ring[1] ?? 0);
}
