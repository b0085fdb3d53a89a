import earcut from "earcut";
import type { Rgb } from "./palette.js";
import { emptyBounds, includePoint, type Bounds } from "./polyline.js";

/** Bytes of a mesh vertex: x, y, z (float32), r, g, b, layer (uint8). */
export const VERTEX_BYTES = 16;

/** A run of triangles that lie near each other, drawn or skipped together. */
export interface MeshCell {
  readonly firstIndex: number;
  readonly indexCount: number;
  /** m, local frame; holds every vertex of the cell. */
  readonly bounds: Bounds;
}

/** Triangles in a local frame, grouped into square cells. */
export interface Mesh {
  /** VERTEX_BYTES a vertex. */
  readonly vertices: ArrayBuffer;
  readonly indices: Uint32Array<ArrayBuffer>;
  readonly cells: readonly MeshCell[];
}

/** Collects coloured triangles given in world coordinates and stores them relative to an origin, in float32. */
export class MeshBuilder {
  private readonly positions: number[] = [];
  private readonly colors: number[] = [];
  private readonly indices: number[] = [];

  /** @param origin m, world position that becomes (0, 0); keeps float32 exact to 0.02 mm within 300 m */
  constructor(private readonly origin: readonly [number, number]) {}

  /**
   * Fills a polygon; one that repeats its first point is accepted.
   *
   * @param polygon [P, 2] m, world frame
   * @param color its colour
   * @param layer painting order among surfaces of equal height, 0..255, larger is on top
   * @param holes [Q, 2] m each, left unfilled
   */
  addPolygon(polygon: Float64Array, color: Rgb, layer: number, holes: readonly Float64Array[] = []): void {
    if (polygon.length < 6) return;
    const holeStarts: number[] = [];
    const local: number[] = [];
    const [ox, oy] = this.origin;
    for (const ring of [polygon, ...holes]) {
      if (ring !== polygon) holeStarts.push(local.length / 2);
      // Relative coordinates: earcut works on differences of products, which lose digits at world coordinates.
      for (let i = 0; i + 1 < ring.length; i += 2) local.push((ring[i] ?? 0) - ox, (ring[i + 1] ?? 0) - oy);
    }
    const first = this.positions.length / 3;
    for (let i = 0; i < local.length; i += 2) this.addVertex(local[i] ?? 0, local[i + 1] ?? 0, 0, color, layer);
    for (const index of earcut(local, holeStarts)) this.indices.push(first + index);
  }

  /**
   * Paints a strip along a line.
   *
   * @param line [P, 2] m, world frame
   * @param from m, right border, measured to the left of the line (so usually negative)
   * @param to m, left border
   * @param heights m, heights of the right and left border above the ground
   * @param color its colour
   * @param layer painting order, see {@link addPolygon}
   */
  addStrip(line: Float64Array, from: number, to: number, heights: readonly [number, number], color: Rgb, layer: number): void {
    const count = line.length / 2;
    if (count < 2) return;
    const first = this.positions.length / 3;
    const [ox, oy] = this.origin;
    const normals = vertexNormals(line);
    for (let i = 0; i < count; i++) {
      const [x, y] = [(line[i * 2] ?? 0) - ox, (line[i * 2 + 1] ?? 0) - oy];
      const [nx, ny] = [normals[i * 2] ?? 0, normals[i * 2 + 1] ?? 0];
      this.addVertex(x + from * nx, y + from * ny, heights[0], color, layer);
      this.addVertex(x + to * nx, y + to * ny, heights[1], color, layer);
      if (i > 0) {
        const a = first + i * 2 - 2;
        this.indices.push(a, a + 2, a + 1, a + 1, a + 2, a + 3);
      }
    }
  }

  /**
   * @param cellSize m, side of the squares triangles are grouped by (by their centre)
   * @param region world frame; triangles beyond it are dropped
   * @returns the mesh; the builder is not needed afterwards
   */
  build(cellSize: number, region: Bounds): Mesh {
    const { positions, indices } = this;
    const [ox, oy] = this.origin;
    const groups = new Map<string, { triangles: number[]; bounds: Bounds }>();
    for (let i = 0; i < indices.length; i += 3) {
      const corners = [indices[i] ?? 0, indices[i + 1] ?? 0, indices[i + 2] ?? 0];
      const extent = emptyBounds();
      for (const corner of corners) includePoint(extent, positions[corner * 3] ?? 0, positions[corner * 3 + 1] ?? 0);
      if (extent.minX + ox > region.maxX || extent.maxX + ox < region.minX || extent.minY + oy > region.maxY || extent.maxY + oy < region.minY) continue;
      const key = `${Math.floor((extent.minX + extent.maxX) / (2 * cellSize))},${Math.floor((extent.minY + extent.maxY) / (2 * cellSize))}`;
      let group = groups.get(key);
      if (group === undefined) groups.set(key, (group = { triangles: [], bounds: emptyBounds() }));
      group.triangles.push(...corners);
      includePoint(group.bounds, extent.minX, extent.minY);
      includePoint(group.bounds, extent.maxX, extent.maxY);
    }
    const groupList = [...groups.values()];
    const sorted = new Uint32Array(groupList.reduce((sum, { triangles }) => sum + triangles.length, 0));
    const cells: MeshCell[] = [];
    let firstIndex = 0;
    for (const { triangles, bounds } of groupList) {
      sorted.set(triangles, firstIndex);
      cells.push({ firstIndex, indexCount: triangles.length, bounds });
      firstIndex += triangles.length;
    }
    return { vertices: this.packVertices(), indices: sorted, cells };
  }

  private addVertex(x: number, y: number, z: number, color: Rgb, layer: number): void {
    this.positions.push(x, y, z);
    this.colors.push(color[0], color[1], color[2], layer);
  }

  private packVertices(): ArrayBuffer {
    const count = this.positions.length / 3;
    const buffer = new ArrayBuffer(count * VERTEX_BYTES);
    const floats = new Float32Array(buffer);
    const bytes = new Uint8Array(buffer);
    for (let i = 0; i < count; i++) {
      for (let axis = 0; axis < 3; axis++) floats[i * 4 + axis] = this.positions[i * 3 + axis] ?? 0;
      for (let channel = 0; channel < 4; channel++) bytes[i * VERTEX_BYTES + 12 + channel] = this.colors[i * 4 + channel] ?? 0;
    }
    return buffer;
  }
}

/** Left normals at the points of a line, lengthened at bends (at most twofold) so that a strip keeps its width. */
function vertexNormals(line: Float64Array): Float64Array {
  const count = line.length / 2;
  const segment = (i: number): readonly [number, number] => {
    const dx = (line[i * 2 + 2] ?? 0) - (line[i * 2] ?? 0);
    const dy = (line[i * 2 + 3] ?? 0) - (line[i * 2 + 1] ?? 0);
    const length = Math.hypot(dx, dy);
    return length === 0 ? [0, 0] : [-dy / length, dx / length];
  };
  const closed = count > 3 && line[0] === line[count * 2 - 2] && line[1] === line[count * 2 - 1];
  const normals = new Float64Array(count * 2);
  for (let i = 0; i < count; i++) {
    const before = segment(i > 0 ? i - 1 : closed ? count - 2 : 0);
    const after = segment(i < count - 1 ? i : closed ? 0 : count - 2);
    const [x, y] = [before[0] + after[0], before[1] + after[1]];
    const length = Math.hypot(x, y);
    if (length < 1e-9) {
      normals.set(after, i * 2);
      continue;
    }
    // The miter is 1 / cos(half the bend) long; |before + after| = 2 cos(half the bend).
    const miter = Math.min(2, 2 / length);
    normals[i * 2] = (x / length) * miter;
    normals[i * 2 + 1] = (y / length) * miter;
  }
  return normals;
}
