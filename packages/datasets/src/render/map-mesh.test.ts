import { describe, expect, it } from "vitest";
import type { Scene } from "../schema.js";
import { drivableAreas, inAreas } from "./drivable-area.js";
import { buildMapMesh, type MapMesh } from "./map-mesh.js";
import { VERTEX_BYTES } from "./mesh-builder.js";
import { lineOf, stillScene, straightLane } from "./scene.fixture.js";

const EGO = { x: 1411.3, y: 1180.9, yaw: 0.3 };

/** Painted area in m^2 of one layer. */
function areaOf(mesh: MapMesh, layer: number): number {
  const floats = new Float32Array(mesh.vertices);
  const bytes = new Uint8Array(mesh.vertices);
  let sum = 0;
  for (let i = 0; i < mesh.indices.length; i += 3) {
    const [a = 0, b = 0, c = 0] = mesh.indices.subarray(i, i + 3);
    if (bytes[a * VERTEX_BYTES + 15] !== layer) continue;
    const at = (vertex: number, axis: number): number => floats[vertex * 4 + axis] ?? 0;
    sum += Math.abs((at(b, 0) - at(a, 0)) * (at(c, 1) - at(a, 1)) - (at(b, 1) - at(a, 1)) * (at(c, 0) - at(a, 0))) / 2;
  }
  return sum;
}

const meshOf = (parts: Partial<Pick<Scene, "lanes" | "lines">>, range = 100): MapMesh => buildMapMesh(stillScene({ ego: EGO, ...parts }), range);

describe("the map mesh", () => {
  it("covers lanes with their area, far from the world's origin too", () => {
    const mesh = meshOf({ lanes: [straightLane([EGO.x, EGO.y], 0.7, 40, 3.5)] });
    expect(areaOf(mesh, 2)).toBeCloseTo(140, 2);
    expect(Math.hypot(mesh.origin[0] - EGO.x, mesh.origin[1] - EGO.y)).toBeLessThan(1);
  });

  it("draws connectors without a surface as strips", () => {
    const mesh = meshOf({ lanes: [straightLane([EGO.x, EGO.y], 0.7, 20, 3, true)] });
    expect(areaOf(mesh, 1)).toBeCloseTo(20 * 4.2, 2);
  });

  it("paints dashes, solid lines and stripes", () => {
    const [x, y] = [EGO.x, EGO.y];
    expect(areaOf(meshOf({ lines: [lineOf("solid_yellow", [x, y], [x + 16, y])] }), 4)).toBeCloseTo(16 * 0.18, 3);
    expect(areaOf(meshOf({ lines: [lineOf("broken_white", [x, y], [x + 16, y])] }), 4)).toBeCloseTo(6 * 0.18, 3);
    const crossing = lineOf("crossing", [x, y], [x + 10, y], [x + 10, y + 4], [x, y + 4], [x, y]);
    expect(areaOf(meshOf({ lines: [crossing] }), 3)).toBeCloseTo(10 * 0.5 * 4, 3);
  });

  it("leaves out what lies beyond the range, also of kilometre-long edges", () => {
    const [x, y] = [EGO.x, EGO.y];
    const edge = lineOf("edge", [x - 5000, y], [x + 5000, y]);
    // The curb's flat top; its sides have no area seen from above.
    expect(areaOf(meshOf({ lines: [edge] }, 50), 5)).toBeCloseTo(100 * 0.25, 1);
    expect(meshOf({ lanes: [straightLane([x + 300, y], 0, 20, 3)] }).indices.length).toBe(0);
    expect(meshOf({}).cells.length).toBe(0);
  });

  it("groups every triangle into exactly one cell that holds it", () => {
    const [x, y] = [EGO.x, EGO.y];
    const mesh = meshOf({ lanes: [straightLane([x, y], 0.2, 90, 3.5)], lines: [lineOf("broken_white", [x - 90, y - 40], [x + 90, y + 70])] });
    const floats = new Float32Array(mesh.vertices);
    let next = 0;
    for (const { firstIndex, indexCount, bounds } of mesh.cells) {
      expect(firstIndex).toBe(next);
      next += indexCount;
      for (const vertex of mesh.indices.subarray(firstIndex, next)) {
        expect(floats[vertex * 4]).toBeGreaterThanOrEqual(Math.fround(bounds.minX) - 1e-4);
        expect(floats[vertex * 4]).toBeLessThanOrEqual(Math.fround(bounds.maxX) + 1e-4);
      }
    }
    expect(next).toBe(mesh.indices.length);
  });
});

describe("drivable areas", () => {
  const ring = (low: number, high: number) => lineOf("edge", [low, low], [high, low], [high, high], [low, high], [low, low]);
  const lane = straightLane([2, 5], 0, 3, 3);

  it("lie between nested closed edges", () => {
    const areas = drivableAreas([ring(20, 40), ring(0, 100), ring(25, 30)], [lane, straightLane([26, 26], 0, 2, 1)]);
    expect(areas.length).toBe(2);
    expect(inAreas(areas, 10, 10)).toBe(true);
    expect(inAreas(areas, 22, 22)).toBe(false);
    expect(inAreas(areas, 27, 27)).toBe(true);
    expect(inAreas(areas, 101, 50)).toBe(false);
  });

  it("do not come from lone islands or open edges", () => {
    expect(drivableAreas([ring(20, 40)], [lane])).toEqual([]);
    expect(drivableAreas([lineOf("edge", [0, 0], [100, 0], [100, 100], [0, 100])], [lane])).toEqual([]);
  });

  it("replace the strips of the connectors inside them", () => {
    const [x, y] = [EGO.x, EGO.y];
    const edge = lineOf("edge", [x - 20, y - 20], [x + 20, y - 20], [x + 20, y + 20], [x - 20, y + 20], [x - 20, y - 20]);
    const mesh = meshOf({ lanes: [straightLane([x, y], 0, 10, 3, true)], lines: [edge] });
    expect(areaOf(mesh, 1)).toBeCloseTo(1600, 1);
  });
});
