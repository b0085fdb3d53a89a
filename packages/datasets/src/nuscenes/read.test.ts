import { beforeAll, describe, expect, it } from "vitest";
import { egoCommand, egoWaypoints } from "../ego.js";
import { sampleFeatures } from "../features/build.js";
import { memoryFiles } from "../files.js";
import { decodeScene, encodeScene } from "../scene-file.js";
import type { MapLine, Scene } from "../schema.js";
import { cameraAt, keyframesOf, nuScenesFiles, nuScenesSet, tokenOf, type NuScenesSet } from "../testing/nuscenes-set.fixture.js";
import { generateScene } from "../town/index.js";
import { readNuScenes } from "./read.js";

const town = [generateScene(3, { duration: 8, drivingSide: "left" }), generateScene(11, { duration: 6.3 })];
const set = nuScenesSet(town);
const read = (changed: NuScenesSet, only?: string[]): Promise<Scene[]> => readNuScenes(memoryFiles("set/", nuScenesFiles(changed)), "v1.0-mini", only === undefined ? {} : { only });

/** m from a point to a line. */
function distanceTo(points: Float64Array, x: number, y: number): number {
  let least = Infinity;
  for (let i = 0; i + 3 < points.length; i += 2) {
    const [ax = 0, ay = 0, bx = 0, by = 0] = points.subarray(i, i + 4);
    const [dx, dy] = [bx - ax, by - ay];
    const share = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    least = Math.min(least, Math.hypot(x - ax - share * dx, y - ay - share * dy));
  }
  return least;
}

describe("readNuScenes, on the town written in the official layout", () => {
  let scenes: Scene[] = [];
  beforeAll(async () => {
    scenes = await read(set);
  });

  it("reads every scene, one frame a keyframe", () => {
    expect(scenes.map(({ id, source, drivingSide, interval }) => [id, source, drivingSide, interval])).toEqual([
      ["town-000003", "nuscenes", "left", 0.5],
      ["town-000011", "nuscenes", town[1]?.drivingSide, 0.5],
    ]);
    scenes.forEach((scene, s) => {
      const frames = keyframesOf(town[s] as Scene);
      expect(Array.from(scene.keyframes)).toEqual(frames.map((_, f) => f));
      scene.timestamps.forEach((time, f) => expect(time).toBeCloseTo(0.5 * f, 6));
    });
  });

  it("gives back the ego's path, its future and its command", () => {
    scenes.forEach((scene, s) => {
      const source = town[s] as Scene;
      keyframesOf(source).forEach((frame, f) => {
        for (let c = 0; c < 3; c++) expect(scene.ego.position[3 * f + c]).toBeCloseTo(source.ego.position[3 * frame + c] ?? NaN, 9);
        expect(scene.ego.heading[f]).toBeCloseTo(source.ego.heading[frame] ?? NaN, 9);
        const wanted = egoWaypoints(source, frame);
        const got = egoWaypoints(scene, f);
        expect(Array.from(got.mask)).toEqual(Array.from(wanted.mask));
        wanted.points.forEach((v, i) => expect(got.points[i]).toBeCloseTo(v, 9));
        expect(egoCommand(scene, f)).toBe(egoCommand(source, frame));
      });
    });
  });

  it("gives back the agents, their futures, and velocities as central differences", () => {
    scenes.forEach((scene, s) => {
      const source = town[s] as Scene;
      const frames = keyframesOf(source);
      const there = source.agents.filter((agent) => frames.some((frame) => agent.valid[frame] === 1));
      expect(scene.agents.length).toBe(there.length);
      for (const agent of there) {
        const found = scene.agents.find(({ id }) => id === tokenOf(`${source.id} ${agent.id}`));
        expect([found?.category, found?.length, found?.width, found?.height]).toEqual([agent.category, agent.length, agent.width, agent.height]);
        expect(Array.from(found?.valid ?? [])).toEqual(frames.map((frame) => agent.valid[frame]));
        frames.forEach((frame, f) => {
          if (agent.valid[frame] !== 1) return;
          for (let c = 0; c < 3; c++) expect(found?.position[3 * f + c]).toBe(agent.position[3 * frame + c]);
          expect(found?.heading[f]).toBeCloseTo(agent.heading[frame] ?? NaN, 9);
          const [from, to] = [agent.valid[frame - 5] === 1 ? frame - 5 : frame, agent.valid[frame + 5] === 1 ? frame + 5 : frame];
          const moved = (agent.position[3 * to] ?? 0) - (agent.position[3 * from] ?? 0);
          expect(found?.velocity[2 * f]).toBeCloseTo(from === to ? 0 : moved / (0.1 * (to - from)), 6);
        });
      }
      // The features at a keyframe are those of the town, but for agents nobody saw.
      const [wanted, got] = [sampleFeatures(source, 10), sampleFeatures(scene, 2)];
      wanted.egoFuture.forEach((v, i) => expect(got.egoFuture[i]).toBeCloseTo(v, 5));
      wanted.instanceIds.forEach((id, slot) => {
        if (id < 0) return;
        const other = Array.from(got.instanceIds).findIndex((index) => scene.agents[index]?.id === tokenOf(`${source.id} ${source.agents[id]?.id ?? ""}`));
        expect(other, `slot ${slot}`).toBeGreaterThanOrEqual(0);
        for (let i = 0; i < 24; i++) expect(got.futureDisplacement[24 * other + i]).toBeCloseTo(wanted.futureDisplacement[24 * slot + i] ?? NaN, 5);
        for (let i = 0; i < 12; i++) expect(got.futureMask[12 * other + i]).toBe(wanted.futureMask[12 * slot + i]);
      });
    });
  });

  it("lists no agent where no sensor saw it, but keeps its track and future", () => {
    const [scene] = scenes as [Scene];
    const index = scene.agents.findIndex(({ valid }) => valid.every((v) => v === 1));
    const agent = scene.agents[index];
    expect(Array.from(agent?.observed ?? [])).toEqual(Array.from({ length: 17 }, (_, f) => (f % 8 === 7 ? 0 : 1)));
    const ids = (frame: number): number[] => Array.from(sampleFeatures(scene, frame, { agentRange: 500, maxAgents: 300 }).instanceIds);
    expect([ids(6).includes(index), ids(7).includes(index), ids(8).includes(index)]).toEqual([true, false, true]);
    const slot = ids(6).indexOf(index);
    expect(Array.from(sampleFeatures(scene, 6, { agentRange: 500, maxAgents: 300 }).futureMask.subarray(12 * slot, 12 * slot + 3))).toEqual([1, 1, 1]);
  });

  it("takes the ego status from the nearest CAN bus messages, unchanged", () => {
    const [scene] = scenes as [Scene];
    // Pose messages lie 0.7 ms after, steering messages 0.4 ms before the town's frames.
    const status = Array.from(sampleFeatures(scene, 4).egoStatus);
    [2, 0, 9.8, 0, 0, 0.2, 4, 0, 0, 1].forEach((v, i) => expect(status[i], `number ${i}`).toBeCloseTo(v, 5));
    const path = sampleFeatures(scene, 4, { egoStatus: "path" }).egoStatus;
    expect([path[2], path[7], path[8]]).toEqual([0, 0, 0]);
    expect(path[6]).toBeCloseTo(Math.hypot(...scene.ego.velocity.subarray(8, 10)), 1);
  });

  it("gives zeros where a scene has no messages, and no status where the set has no CAN bus", async () => {
    const pose = "can_bus/town-000011_pose.json";
    const { [pose]: _, ...documents } = set.documents;
    expect((await read({ ...set, documents }, ["000011"]))[0]?.egoStatus?.every((v) => v === 0)).toBe(true);
    const maps = Object.fromEntries(Object.entries(set.documents).filter(([path]) => path.startsWith("maps/")));
    expect((await read({ ...set, documents: maps }, ["000011"]))[0]?.egoStatus).toBeUndefined();
  });

  it("places the photographs where they were taken", () => {
    const [scene] = scenes as [Scene];
    const [source] = town as [Scene];
    expect(scene.cameras?.length).toBe(6 * scene.timestamps.length);
    const image = scene.cameras?.find(({ camera, frame }) => camera === "CAM_BACK_LEFT" && frame === 3);
    expect(image?.file).toMatch(/^samples\/CAM_BACK_LEFT\/town-000003__CAM_BACK_LEFT__\d+\.jpg$/);
    expect([image?.width, image?.height, image?.intrinsics[0]]).toEqual([1600, 900, 1266]);
    const wanted = cameraAt(source, "CAM_BACK_LEFT", 14);
    wanted.forEach((v, i) => expect(image?.cameraFromWorld[i]).toBeCloseTo(v, 8));
  });

  it("gives back lanes, dividers and crossings, and edges where the road ends", () => {
    scenes.forEach((scene, s) => {
      const source = town[s] as Scene;
      const ids = (lines: readonly MapLine[], category: string): string[] => lines.filter((line) => line.category === category).map(({ id }) => id).sort();
      expect(ids(scene.lines, "ped_crossing")).toEqual(ids(source.lines, "ped_crossing").filter((id) => ids(scene.lines, "ped_crossing").includes(id)));
      expect(ids(scene.lines, "ped_crossing").length).toBeGreaterThan(0);
      for (const line of scene.lines.filter(({ category }) => category !== "boundary")) {
        const original = source.lines.find(({ id }) => id === line.id);
        expect(original?.style).toBe(line.style);
        expect(Array.from(line.points)).toEqual(Array.from(original?.points ?? []));
      }
      for (const lane of scene.lanes) {
        const original = source.lanes.find(({ id }) => id === lane.id);
        expect(lane.connector).toBe(original?.connector);
        expect(distanceTo(original?.centerline.filter((_, i) => i % 3 !== 2) ?? new Float64Array(0), lane.centerline[0] ?? 0, lane.centerline[1] ?? 0)).toBeLessThan(1e-6);
        expect(lane.centerline.at(-3)).toBeCloseTo(original?.centerline.at(-3) ?? NaN, 6);
      }
      expect(scene.lanes.some(({ successors }) => successors.length > 0)).toBe(true);
      // Along roads the union of the lanes ends at the town's own edge; junction corners are not covered by lanes.
      const roads = source.lanes.flatMap(({ connector, polygon }) => (connector || polygon === null ? [] : [Float64Array.of(...polygon, ...polygon.subarray(0, 2))]));
      const edges = scene.lines.filter(({ category }) => category === "boundary");
      const found: boolean[] = [];
      for (const { points } of source.lines.filter(({ category }) => category === "boundary")) {
        for (let i = 0; i < points.length; i += 2) {
          const [x = 0, y = 0] = points.subarray(i, i + 2);
          const near = Math.hypot(x - (source.ego.position[0] ?? 0), y - (source.ego.position[1] ?? 0)) < 90;
          if (near && roads.some((road) => distanceTo(road, x, y) < 0.02)) found.push(edges.some((edge) => distanceTo(edge.points, x, y) < 0.02));
        }
      }
      expect(found.length).toBeGreaterThan(50);
      expect(found.filter((ok) => !ok).length / found.length).toBeLessThan(0.05);
      for (const { points } of edges) expect([points[0], points[1]]).toEqual([points.at(-2), points.at(-1)]);
    });
  });

  it("survives a scene file, photographs and measurements included", () => {
    const [scene] = scenes as [Scene];
    const bytes = encodeScene(scene);
    const again = decodeScene(bytes, "again");
    expect(again.egoStatus).toEqual(scene.egoStatus);
    expect(again.cameras).toEqual(scene.cameras);
    expect(again.agents.map(({ observed }) => observed)).toEqual(scene.agents.map(({ observed }) => observed));
    expect(encodeScene(again)).toEqual(bytes);
  });

  it("reads only the scenes asked for", async () => {
    expect((await read(set, ["000011"])).map(({ id }) => id)).toEqual(["town-000011"]);
    await expect(read(set, ["0061"])).rejects.toThrow('nuScenes: set/v1.0-mini: unknown scene "0061", expected one of town-000003, town-000011.');
  });
});
