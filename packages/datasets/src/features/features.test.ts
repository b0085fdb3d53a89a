import { sharedPath } from "@distilldrive/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { egoWaypoints } from "../ego.js";
import { loadScenes } from "../load.js";
import { fixtureScene } from "../scene.fixture.js";
import type { MapLine, Scene } from "../schema.js";
import { validateScene } from "../validate.js";
import { featureBuilder, sampleFeatures, usableFrames } from "./build.js";
import { modelFrame, relativeMotion } from "./frame.js";
import { LineIndex, pathLength, resamplePath } from "./line-index.js";
import { mirrorSample, mirrorScene } from "./mirror.js";
import type { Sample } from "./sample.js";

/** All numbers of two samples agree. */
function expectClose(a: Sample, b: Sample, tolerance: number): void {
  for (const key of Object.keys(a) as (keyof Sample)[]) {
    const pairs = key === "futureObstacles" ? a[key].map((boxes, t) => [boxes, b[key][t]] as const) : [[a[key], b[key]] as const];
    for (const [x, y] of pairs) {
      if (!ArrayBuffer.isView(x) || !ArrayBuffer.isView(y)) {
        if (key !== "mirrored") expect(x, key).toEqual(y);
        continue;
      }
      const [u, v] = [x as Float64Array, y as Float64Array];
      expect(u.length, key).toBe(v.length);
      u.forEach((value, i) => {
        // Yaws one turn apart are the same.
        const off = Math.abs(value - (v[i] ?? NaN));
        expect(Math.min(off, Math.abs(off - 2 * Math.PI)), `${key}[${i}]: ${value} and ${v[i]}`).toBeLessThanOrEqual(tolerance);
      });
    }
  }
}

describe("sampleFeatures", () => {
  const scene = fixtureScene();
  const sample = sampleFeatures(scene, 45, { maxAgents: 6, maxLines: 8, egoPoint: "rearAxle" });

  it("works on a valid scene", () => expect(() => validateScene(scene)).not.toThrow());

  it("lists agents nearest first, in the model frame", () => {
    const frame = modelFrame(scene, 45);
    const distances: number[] = [];
    for (let slot = 0; slot < 6; slot++) {
      const id = sample.instanceIds[slot] ?? -1;
      expect(sample.agentMask[slot]).toBe(id < 0 ? 0 : 1);
      const agent = scene.agents[id];
      if (agent === undefined) {
        expect(Array.from(sample.boxes.subarray(9 * slot, 9 * slot + 9))).toEqual(new Array(9).fill(0));
        continue;
      }
      const [x, y, z, length, width, height, yaw] = sample.boxes.subarray(9 * slot);
      distances.push(Math.hypot(x ?? 0, y ?? 0));
      // Back to the world: the lidar, then right = heading - 90 degrees.
      const right = frame.heading - Math.PI / 2;
      const worldX = frame.x + (x ?? 0) * Math.cos(right) - (y ?? 0) * Math.sin(right);
      const worldY = frame.y + (x ?? 0) * Math.sin(right) + (y ?? 0) * Math.cos(right);
      expect(worldX).toBeCloseTo(agent.position[135] ?? NaN, 4);
      expect(worldY).toBeCloseTo(agent.position[136] ?? NaN, 4);
      expect(z).toBeCloseTo(0.8 - 1.84, 5);
      expect([length, width, height].map((v) => Math.round(100 * (v ?? 0)))).toEqual([450, 190, 160]);
      expect(Math.cos((yaw ?? 0) + right)).toBeCloseTo(Math.cos(agent.heading[45] ?? NaN), 5);
    }
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
    expect(Array.from(sample.instanceIds)).toContain(1);
    expect(Array.from(sample.instanceIds)).not.toContain(4);
    expect([sample.worldFromModel[3], sample.worldFromModel[7], sample.worldFromModel[11]]).toEqual([frame.x, frame.y, 1.84]);
  });

  it("masks futures and histories at the ends and gaps of a track", () => {
    const slotOf = (agent: number): number => sample.instanceIds.indexOf(agent);
    const masks = (agent: number): number[][] => [
      Array.from(sample.pastMask.subarray(4 * slotOf(agent), 4 * slotOf(agent) + 4)),
      Array.from(sample.futureMask.subarray(12 * slotOf(agent), 12 * slotOf(agent) + 12)),
    ];
    expect(masks(0)).toEqual([[1, 1, 1, 1], new Array(12).fill(1)]);
    expect(masks(1)).toEqual([[1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]]);
    const late = sampleFeatures(scene, 22);
    const bus = late.instanceIds.indexOf(1);
    expect(Array.from(late.pastMask.subarray(4 * bus, 4 * bus + 4))).toEqual([0, 0, 0, 1]);
    // The displacements add up to the driven way.
    const slot = slotOf(0);
    const end = modelFrame(scene, 45);
    const agent = scene.agents[0];
    let [x, y] = [sample.boxes[9 * slot] ?? 0, sample.boxes[9 * slot + 1] ?? 0];
    for (let t = 0; t < 12; t++) {
      x += sample.futureDisplacement[24 * slot + 2 * t] ?? 0;
      y += sample.futureDisplacement[24 * slot + 2 * t + 1] ?? 0;
    }
    const [dx, dy] = [(agent?.position[315] ?? 0) - end.x, (agent?.position[316] ?? 0) - end.y];
    expect([x, y].map((v) => v.toFixed(4))).toEqual([end.sin * dx - end.cos * dy, end.cos * dx + end.sin * dy].map((v) => v.toFixed(4)));
  });

  it("gives the ego's path, status and command", () => {
    const { points } = egoWaypoints(scene, 45);
    let [x, y] = [0, 0];
    for (let t = 0; t < 6; t++) {
      x += sample.egoFuture[2 * t] ?? 0;
      y += sample.egoFuture[2 * t + 1] ?? 0;
      expect(x).toBeCloseTo(-(points[2 * t + 1] ?? 0), 5);
      expect(y).toBeCloseTo(points[2 * t] ?? 0, 5);
    }
    // Left turn at 6 m/s on curvature 0.03: yaw rate 0.18, lateral acceleration 1.08.
    expect(sample.command).toBe(1);
    const status = [0, 1.08, 0, 0, 0, 0.18, 6, 0, 0, Math.atan(2.588 * 0.03)];
    sample.egoStatus.forEach((v, i) => expect(v, `status ${i}`).toBeCloseTo(status[i] ?? NaN, 3));
    expect(Array.from(sample.egoPastMask)).toEqual([1, 1, 1, 1]);
    expect(sample.egoPast[7]).toBeCloseTo(3, 1);
    // The lidar swings outwards: it starts at the origin and turns with the car.
    const lidar = sampleFeatures(scene, 45);
    const turned = 0.18 * 3;
    const lateral = (s: Sample): number => [0, 2, 4, 6, 8, 10].reduce((sum, i) => sum + (s.egoFuture[i] ?? 0), 0);
    expect(lateral(lidar) - lateral(sample)).toBeCloseTo(-0.94 * Math.sin(turned), 4);
  });

  it("marks futures that cross a jump or the end, and lists the others as usable", () => {
    const jumpy = fixtureScene({ jumps: [70] });
    expect(Array.from(sampleFeatures(jumpy, 50).egoFutureMask)).toEqual([1, 1, 1, 0, 0, 0]);
    expect(Array.from(sampleFeatures(jumpy, 70).egoPastMask)).toEqual([0, 0, 0, 0]);
    expect(usableFrames(jumpy)).toEqual([...Array.from({ length: 40 }, (_, i) => i), ...Array.from({ length: 20 }, (_, i) => 70 + i)]);
    expect(usableFrames(jumpy, { phase: 3 })).toEqual([3, 8, 13, 18, 23, 28, 33, 38, 73, 78, 83, 88]);
    expect(() => usableFrames(jumpy, { phase: 5 })).toThrow("expected 0 to 4, got 5");
    expect(() => sampleFeatures(scene, 120)).toThrow("expected 0 to 119, got 120");
    expect(() => featureBuilder({ ...scene, interval: 0.3 })).toThrow("expected a whole part of 0.5 s, got 0.3 s");
  });

  it("lists every annotated box of the next steps as an obstacle", () => {
    expect(sample.futureObstacles.map((boxes) => boxes.length / 5)).toEqual([5, 5, 5, 5, 5, 5]);
    expect(sampleFeatures(scene, 70).futureObstacles.map((boxes) => boxes.length / 5)).toEqual([5, 4, 4, 3, 3, 3]);
    const slot = sample.instanceIds.indexOf(0);
    const [x, y] = [0, 1].map((c) => (sample.boxes[9 * slot + c] ?? 0) + (sample.futureDisplacement[24 * slot + c] ?? 0));
    expect(sample.futureObstacles[0]?.[0]).toBeCloseTo(x ?? NaN, 4);
    expect(sample.futureObstacles[0]?.[1]).toBeCloseTo(y ?? NaN, 4);
  });

  it("keeps to its capacities", () => {
    const small = sampleFeatures(scene, 45, { maxAgents: 2, maxLines: 1 });
    expect([small.boxes.length, small.lines.length, small.agentMask.length]).toEqual([18, 40, 2]);
    expect(Array.from(small.instanceIds)).toEqual(Array.from(sample.instanceIds.subarray(0, 2)));
  });
});

describe("map lines of a sample", () => {
  it("equal a brute-force clip of any line, ring or not", () => {
    const point = fc.record({ x: fc.double({ min: -60, max: 60, noNaN: true }), y: fc.double({ min: -60, max: 60, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(point, { minLength: 2, maxLength: 60 }), fc.boolean(), fc.integer({ min: 0, max: 119 }), (path, ring, frame) => {
        const source = ring && path[0] !== undefined ? [...path, path[0]] : path;
        const line: MapLine = { id: "l", category: "boundary", style: "edge", points: Float64Array.from(source.flatMap(({ x, y }) => [x + 40, y + 20])) };
        const scene: Scene = { ...fixtureScene(), lines: [line] };
        const placement = modelFrame(scene, frame);
        const pieces = new LineIndex(scene).piecesWithin(placement, { x: 15, y: 30 });
        for (const { points } of pieces) {
          for (let i = 0; i < points.length; i += 2) {
            expect(Math.abs(points[i] ?? NaN)).toBeLessThanOrEqual(15 + 1e-9);
            expect(Math.abs(points[i + 1] ?? NaN)).toBeLessThanOrEqual(30 + 1e-9);
          }
        }
        // Length inside, by fine sampling of each segment.
        let inside = 0;
        const samples = 400;
        for (let s = 0; s + 3 < line.points.length; s += 2) {
          const [ax, ay, bx, by] = line.points.subarray(s);
          const length = Math.hypot((bx ?? 0) - (ax ?? 0), (by ?? 0) - (ay ?? 0));
          for (let i = 0; i < samples; i++) {
            const share = (i + 0.5) / samples;
            const dx = (ax ?? 0) + share * ((bx ?? 0) - (ax ?? 0)) - placement.x;
            const dy = (ay ?? 0) + share * ((by ?? 0) - (ay ?? 0)) - placement.y;
            const x = placement.sin * dx - placement.cos * dy;
            const y = placement.cos * dx + placement.sin * dy;
            if (Math.abs(x) <= 15 && Math.abs(y) <= 30) inside += length / samples;
          }
        }
        const found = pieces.reduce((sum, piece) => sum + pathLength(piece.points), 0);
        // Sampling error per segment, and up to 0.5 m per dropped scrap.
        expect(Math.abs(found - inside)).toBeLessThan(0.02 * inside + 1.2 * source.length);
        expect(found).toBeLessThan(inside + 0.01 * inside + 0.8 * source.length);
      }),
      { numRuns: 60, seed: 3 },
    );
  });

  it("do not cut a ring at its first point", () => {
    const scene = fixtureScene();
    const pieces = new LineIndex(scene).piecesWithin(modelFrame(scene, 0), { x: 15, y: 30 });
    const island = pieces.filter((piece) => piece.line === 2);
    expect(island.length).toBe(1);
    expect(pathLength(island[0]?.points ?? [])).toBeCloseTo(12 * 2 * 3 * Math.sin(Math.PI / 12), 9);
    // A ring around the car whose first point (x = 58) is inside comes as pieces that end at the region's edge only.
    const ring = pieces.filter((piece) => piece.line === 1);
    for (const { points } of ring) {
      for (const at of [0, points.length - 2]) {
        const edge = Math.min(15 - Math.abs(points[at] ?? 0), 30 - Math.abs(points[at + 1] ?? 0));
        expect(edge).toBeCloseTo(0, 9);
      }
    }
    expect(ring.length).toBeGreaterThan(0);
  });

  it("are resampled to equidistant points", () => {
    const out = new Float32Array(10);
    resamplePath([0, 0, 1, 0, 1, 0, 1, 3], 5, out, 0);
    expect(Array.from(out)).toEqual([0, 0, 1, 0, 1, 1, 1, 2, 1, 3]);
  });
});

describe("mirroring", () => {
  const scene = fixtureScene();

  it("twice is the identity", () => {
    for (const frame of [0, 30, 77]) {
      const sample = sampleFeatures(scene, frame);
      expectClose(mirrorSample(mirrorSample(sample)), sample, 1e-6);
      expectClose(sampleFeatures(mirrorScene(mirrorScene(scene)), frame), sample, 0);
    }
    expect(mirrorScene(mirrorScene(scene))).toEqual(scene);
    expect(() => validateScene(mirrorScene(scene))).not.toThrow();
  });

  it("of the features equals the features of the mirrored scene", () => {
    for (const frame of [0, 17, 50, 100]) {
      const mirrored = sampleFeatures(scene, frame, { mirror: true });
      expectClose(mirrored, sampleFeatures(mirrorScene(scene), frame), 2e-6);
      expect([mirrored.mirrored, mirrored.drivingSide]).toEqual([true, "left"]);
    }
    expect([sampleFeatures(scene, 17).command, sampleFeatures(scene, 17, { mirror: true }).command]).toEqual([1, 0]);
  });

  const path = sharedPath("data", "scenarionet");
  it.skipIf(path === null)("holds on real scenes, for relative motion too", async () => {
    for (const real of await loadScenes(path ?? "", { only: ["0757", "1094"] })) {
      const [plain, other] = [featureBuilder(real), featureBuilder(mirrorScene(real))];
      for (const frame of [0, 41, 93, 150]) {
        expectClose(plain(frame, { mirror: true }), other(frame), 1e-4);
        const [from, to] = [plain(frame).worldFromModel, plain(frame + 5).worldFromModel];
        const [mirroredFrom, mirroredTo] = [plain(frame, { mirror: true }).worldFromModel, plain(frame + 5, { mirror: true }).worldFromModel];
        // x, rotation and their mix change sign; the distance driven forward does not.
        const [a, b] = [relativeMotion(to, from), relativeMotion(mirroredTo, mirroredFrom)];
        [0, 5, 7, 10].forEach((i) => expect(b[i]).toBeCloseTo(a[i] ?? NaN, 9));
        [1, 3, 4].forEach((i) => expect(b[i]).toBeCloseTo(-(a[i] ?? NaN), 9));
      }
    }
  });
});
