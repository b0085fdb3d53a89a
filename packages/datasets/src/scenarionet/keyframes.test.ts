import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { countVehicles, egoCommand, egoWaypoints, isContinuous, stepSpeed } from "../ego.js";
import { loadScenes } from "../load.js";
import { EGO_SIZE } from "../schema.js";
import { drivingSideFromLanes } from "../driving-side.js";

const scenesPath = sharedPath("data", "scenarionet");
const keyframesPath = sharedPath("data", "keyframes");

interface Keyframe {
  readonly frame: number;
  readonly t: number;
  readonly x: number;
  readonly y: number;
  readonly heading: number;
  readonly speed: number;
  readonly waypoints: readonly (readonly [number, number])[];
  readonly command: string;
  readonly n_vehicles_55m: number;
  readonly future_crosses_splice: boolean;
}

describe.skipIf(scenesPath === null || keyframesPath === null)("the eight nuScenes mini train scenes", () => {
  const load = loadScenes(scenesPath ?? "");

  it("reproduce the reference keyframes to 1e-5", async () => {
    const scenes = await load;
    expect(scenes.map((scene) => scene.id.slice(6))).toEqual(["0061", "0553", "0655", "0757", "0796", "1077", "1094", "1100"]);
    let compared = 0;
    for (const scene of scenes) {
      const reference = JSON.parse(await readFile(join(keyframesPath ?? "", `${scene.id}.json`), "utf8")) as {
        keyframes: Keyframe[];
        splice_frame: number | null;
        n_frames: number;
      };
      expect(scene.jumps).toEqual(reference.splice_frame === null ? [] : [reference.splice_frame]);
      expect(scene.timestamps.length).toBe(reference.n_frames);
      // Across the jump the reference goes on; the reader masks.
      const withoutJumps = { ...scene, jumps: [] };
      for (const keyframe of reference.keyframes) {
        const { frame } = keyframe;
        const { position, heading } = scene.ego;
        const label = `${scene.id} frame ${frame}`;
        expect(scene.keyframes, label).toContain(frame);
        const near = (got: number | undefined, wanted: number, what: string): void =>
          expect(Math.abs((got ?? NaN) - wanted), `${label} ${what}: ${got} for ${wanted}`).toBeLessThan(1e-5);
        near(scene.timestamps[frame], keyframe.t, "t");
        near(position[3 * frame], keyframe.x, "x");
        near(position[3 * frame + 1], keyframe.y, "y");
        near(heading[frame], keyframe.heading, "heading");
        near(stepSpeed(scene, frame), keyframe.speed, "speed");
        const { points, mask } = egoWaypoints(withoutJumps, frame);
        expect(Array.from(mask), label).toEqual([1, 1, 1, 1, 1, 1]);
        keyframe.waypoints.flat().forEach((value, i) => near(points[i], value, `waypoint number ${i}`));
        expect(egoCommand(withoutJumps, frame), label).toBe(keyframe.command);
        expect(countVehicles(scene, frame, 55), label).toBe(keyframe.n_vehicles_55m);
        expect(isContinuous(scene, frame, frame + 30), label).toBe(!keyframe.future_crosses_splice);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(250);
  });

  it("have the real car's size, known classes and linked lanes", async () => {
    for (const scene of await load) {
      expect([scene.ego.length, scene.ego.width, scene.ego.height]).toEqual([EGO_SIZE.length, EGO_SIZE.width, EGO_SIZE.height]);
      const linked = scene.lanes.filter((lane) => lane.successors.length > 0).length;
      expect(linked / scene.lanes.length).toBeGreaterThan(0.8);
      expect(new Set(scene.lines.map((line) => line.category))).toEqual(new Set(["divider", "boundary"]));
      expect(scene.agents.every((agent) => agent.sourceCategory.includes("."))).toBe(true);
    }
  });

  it("drive on the side of their city, by name and by the lanes alone", async () => {
    const left = ["scene-0061", "scene-0796", "scene-1077", "scene-1094", "scene-1100"];
    for (const scene of await load) {
      const side = left.includes(scene.id) ? "left" : "right";
      expect([scene.drivingSide, drivingSideFromLanes(scene.lanes)], scene.id).toEqual([side, side]);
    }
  });
});
