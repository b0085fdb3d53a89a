import { sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { anchorsFromJson, anchorsToJson, buildAnchors, type Anchors } from "./anchors.js";
import { egoWaypoints } from "./ego.js";
import { usableFrames } from "./features/build.js";
import { loadScenes } from "./load.js";
import { fixtureScene } from "./scene.fixture.js";

const path = (anchors: Anchors, command: number, mode: number): Float32Array => anchors.plan.subarray(12 * (6 * command + mode), 12 * (6 * command + mode + 1));

/** Every mode of every command and class is finite and differs from the others. */
function expectDistinct(anchors: Anchors): void {
  expect([anchors.plan.length, anchors.motion.length]).toEqual([3 * 6 * 6 * 2, 10 * 6 * 12 * 2]);
  for (const [values, width] of [[anchors.plan, 12], [anchors.motion, 24]] as const) {
    for (let group = 0; group < values.length / (6 * width); group++) {
      const modes = Array.from({ length: 6 }, (_, m) => Array.from(values.subarray((6 * group + m) * width, (6 * group + m + 1) * width)));
      expect(modes.flat().every(Number.isFinite)).toBe(true);
      expect(new Set(modes.map((mode) => mode.map((v) => v.toFixed(3)).join())).size, `group ${group}`).toBe(6);
    }
  }
}

describe("buildAnchors", () => {
  const scenes = [fixtureScene(), fixtureScene({ id: "straight", curvature: 0, speed: 9 })];

  it("is deterministic, and JSON keeps every bit", () => {
    const anchors = buildAnchors(scenes, { seed: 4 });
    expect(buildAnchors(scenes, { seed: 4 })).toEqual(anchors);
    expect(anchorsFromJson(anchorsToJson(anchors), "a.json")).toEqual(anchors);
    expectDistinct(anchors);
  });

  it("clusters what was driven, with turns to the right side", () => {
    const anchors = buildAnchors(scenes, { mirror: false, egoPoint: "rearAxle" });
    expect(anchors.planSamples).toEqual([0, 90, 90]);
    // Constant arcs: every left path is the same one, so it is kept and defaults fill up.
    const wanted = egoWaypoints(scenes[0] ?? fixtureScene(), 30).points;
    const left = Array.from({ length: 6 }, (_, m) => path(anchors, 1, m));
    expect(left.some((mode) => mode.every((v, i) => Math.abs(v - (i % 2 === 0 ? -(wanted[i + 1] ?? 0) : (wanted[i - 1] ?? 0))) < 1e-4))).toBe(true);
    expect(left.every((mode) => (mode[10] ?? 0) < -1 && (mode[11] ?? 0) > 0)).toBe(true);
    // Right was never driven: the left path mirrored.
    expect(Array.from({ length: 6 }, (_, m) => path(anchors, 0, m)).every((mode) => (mode[10] ?? 0) > 1)).toBe(true);
  });

  it("fills up for parked scenes and for classes never seen", () => {
    const anchors = buildAnchors([fixtureScene({ speed: 0 })]);
    expectDistinct(anchors);
    expect(anchors.planSamples).toEqual([0, 0, 180]);
    expect(Math.max(...path(anchors, 2, 0))).toBeCloseTo(0, 6);
    expectDistinct(buildAnchors([]));
    // A cone does not move: the defaults of its class are slow.
    expect(Math.max(...anchors.motion.subarray(9 * 144))).toBeLessThan(4);
  });

  it("refuses files that hold something else", () => {
    expect(() => anchorsFromJson("{", "a.json")).toThrow("a.json: expected a JSON file with anchors");
    expect(() => anchorsFromJson('{"format":"distilldrive-anchors-1","plan":[1]}', "a.json")).toThrow(/^a.json: plan: /);
  });

  const data = sharedPath("data", "scenarionet");
  it.skipIf(data === null)("covers real driving: the nearest of six modes is within 2.5 m at 3 s on average", async () => {
    const real = await loadScenes(data ?? "", { only: ["0061", "0757", "1077", "1094"] });
    const anchors = buildAnchors(real);
    expectDistinct(anchors);
    let [sum, count] = [0, 0];
    for (const scene of real) {
      for (const frame of usableFrames(scene, { phase: 0 })) {
        const { points } = egoWaypoints(scene, frame, 6, 0.94);
        const [x, y] = [-(points[11] ?? 0), points[10] ?? 0];
        const command = x >= 2 ? 0 : x <= -2 ? 1 : 2;
        sum += Math.min(...Array.from({ length: 6 }, (_, m) => Math.hypot((path(anchors, command, m)[10] ?? 0) - x, (path(anchors, command, m)[11] ?? 0) - y)));
        count++;
      }
    }
    expect(sum / count).toBeLessThan(2.5);
    process.stdout.write(`plan anchors: mean end-point distance ${(sum / count).toFixed(2)} m, samples ${anchors.planSamples.join(" ")}\n`);
  });
});
