import { sharedPath } from "@distilldrive/testkit";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleFeatures, usableFrames } from "../features/build.js";
import { DatasetError } from "../errors.js";
import { memoryFiles } from "../files.js";
import { compose, invertRigid } from "../geometry/rigid.js";
import { loadScenes } from "../load.js";
import type { Scene } from "../schema.js";
import { argoverse2Files, argoverse2Log, CAMERA_MOUNT, trackPose, type Argoverse2Log } from "../testing/argoverse2-log.fixture.js";
import { generateScene } from "../town/index.js";
import { readArgoverse2 } from "./read.js";

const town = generateScene(6, { duration: 4, drivingSide: "right" });
const log = argoverse2Log(town);
const files = argoverse2Files(log);

describe("readArgoverse2, on the town written as a log", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await readArgoverse2(memoryFiles("log/", files), "log");
  });

  it("gives back the ego's path on the ground", () => {
    expect([scene.id, scene.source, scene.interval, scene.drivingSide, scene.timestamps.length]).toEqual(["log", "av2", 0.1, "right", 41]);
    scene.ego.position.forEach((v, i) => expect(v).toBeCloseTo(town.ego.position[i] ?? NaN, 9));
    scene.ego.heading.forEach((v, i) => expect(v).toBeCloseTo(town.ego.heading[i] ?? NaN, 9));
    expect(sampleFeatures(scene, 5).command).toBe(sampleFeatures(town, 5).command);
    expect(scene.egoStatus).toBeUndefined();
  });

  it("gives back the agents in the city, and whether they were seen", () => {
    const known = town.agents.filter(({ category }) => category !== "barrier" && category !== "construction_vehicle");
    expect(scene.agents.map(({ id }) => id).sort()).toEqual(known.map(({ id }) => id).sort());
    for (const agent of scene.agents) {
      const source = town.agents.find(({ id }) => id === agent.id);
      expect([agent.category, agent.length, agent.width, agent.height]).toEqual([source?.category, source?.length, source?.width, source?.height]);
      expect(agent.valid).toEqual(source?.valid);
      agent.position.forEach((v, i) => expect(v).toBeCloseTo(source?.position[i] ?? NaN, 8));
      agent.heading.forEach((v, i) => expect(Math.abs(Math.sin(v - (source?.heading[i] ?? NaN)))).toBeLessThan(1e-9));
      agent.observed?.forEach((seen, f) => expect(seen).toBe(agent.valid[f] === 1 && f % 5 !== 0 ? 1 : 0));
    }
  });

  it("reads the map: halves of a crossing merged, shared lines once, areas joined", () => {
    const lines = scene.lines.map(({ id, category, style }) => `${id} ${category} ${style}`);
    expect(lines).toEqual(["7 ped_crossing crossing", "1_left divider solid_yellow", "2_right divider broken_white", "3_left divider solid_white", "boundary_0 boundary edge"].map((line) => expect.stringContaining(line.slice(2)) as string));
    const [x = 0, y = 0] = town.ego.position;
    const extent = (id: number): number[] => {
      const points = scene.lines[id]?.points ?? new Float64Array(0);
      const [xs, ys] = [points.filter((_, i) => i % 2 === 0), points.filter((_, i) => i % 2 === 1)];
      return [Math.min(...xs) - x, Math.max(...xs) - x, Math.min(...ys) - y, Math.max(...ys) - y].map((v) => Math.round(v * 1e3) / 1e3 + 0);
    };
    expect([extent(0), extent(4)]).toEqual([[10, 14, -4, 4], [-30, 50, -6, 4]]);
    expect(scene.lanes.map(({ id, connector, successors }) => [id, connector, successors])).toEqual([["1", false, ["3"]], ["2", false, []], ["3", false, []]]);
    const [first] = scene.lanes;
    expect([first?.centerline[0], first?.centerline[1], first?.centerline[2]].map((v) => (v ?? NaN) + 0)).toEqual([expect.closeTo(x - 30, 5), expect.closeTo(y - 2, 5), expect.closeTo(0, 6)]);
    expect(first?.centerline.at(-3)).toBeCloseTo(x + 30, 5);
  });

  it("names the photograph nearest to a sweep and places its camera", () => {
    expect(scene.cameras?.map(({ camera, frame, width, height }) => [camera, frame, width, height])).toEqual([["ring_front_center", 2, 1550, 2048]]);
    const [image] = scene.cameras ?? [];
    expect(image?.file).toBe("sensors/cameras/ring_front_center/315966253872357000.jpg");
    expect(Array.from(image?.intrinsics ?? [])).toEqual([1776, 0, 778, 0, 1777, 1013, 0, 0, 1]);
    invertRigid(compose(trackPose(town.ego, 2, 0.33), CAMERA_MOUNT)).forEach((v, i) => expect(image?.cameraFromWorld[i]).toBeCloseTo(v, 8));
  });
});

describe("readArgoverse2 names table, row and column of what is wrong:", () => {
  const failure = async (spoil: (log: Argoverse2Log) => void, after: (files: Map<string, Uint8Array>) => void = () => undefined): Promise<string> => {
    const spoiled = structuredClone(log);
    spoil(spoiled);
    const bytes = argoverse2Files(spoiled);
    after(bytes);
    const error: unknown = await readArgoverse2(memoryFiles("log/", bytes), "log").then(() => null, (thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DatasetError);
    return error instanceof Error ? error.message : "";
  };
  const set = (table: "annotations" | "poses", column: string, row: number, value: number | bigint) => (spoiled: Argoverse2Log): void => {
    const values = spoiled[table][column];
    if (values !== undefined) values[row] = value;
  };

  it.each([
    ["a value that is no number", set("annotations", "tx_m", 3, NaN), 'argoverse2: log/annotations.feather: row 3: column "tx_m": wrong value, expected a finite number, got NaN.'],
    ["a rotation that is none", set("poses", "qw", 0, 3), 'argoverse2: log/city_SE3_egovehicle.feather: row 0: columns "qw" to "qz": no rotation'],
    ["a sweep without pose", set("poses", "timestamp_ns", 0, 5n), "argoverse2: log/annotations.feather: timestamp_ns 315966253660357000: no pose, expected that time in city_SE3_egovehicle.feather, got 82 other times."],
    ["a missing column", (spoiled: Argoverse2Log) => void delete spoiled.annotations["track_uuid"], 'argoverse2: log/annotations.feather: column "track_uuid" is missing, expected it among the table\'s columns, got timestamp_ns, category'],
    ["a wrong map field", (spoiled: Argoverse2Log) => void Object.assign(spoiled.map.lane_segments["2"] ?? {}, { left_lane_boundary: "x" }), 'log_map_archive_town____PIT_city_0.json: layer "lane_segments": id 2: field "left_lane_boundary": '],
    ["a camera without calibration", (spoiled: Argoverse2Log) => void (spoiled.mounts["sensor_name"] = ["other"]), 'egovehicle_SE3_sensor.feather: column "sensor_name": no row for ring_front_center, expected one, got other.'],
  ])("%s", async (_, spoil, message) => {
    expect(await failure(spoil)).toContain(message);
  });

  it("missing and damaged files", async () => {
    const nothing = (): void => undefined;
    for (const path of ["annotations.feather", "city_SE3_egovehicle.feather", "calibration/intrinsics.feather", "calibration/egovehicle_SE3_sensor.feather"]) {
      expect(await failure(nothing, (bytes) => bytes.delete(path))).toContain(`argoverse2: log/${path}: the table is missing, expected it`);
      const cut = await failure(nothing, (bytes) => bytes.set(path, (bytes.get(path) ?? new Uint8Array(0)).slice(0, 300)));
      expect(cut).toContain(`argoverse2: log/${path}: no feather table, expected a whole Arrow IPC file, got 300 bytes that cannot be read`);
    }
    expect(await failure(nothing, (bytes) => bytes.delete("map/log_map_archive_town____PIT_city_0.json"))).toContain("argoverse2: log/map/: the map is missing, expected log_map_archive_*.json, got nothing.");
  });
});

const real = sharedPath("data", "av2");

describe.skipIf(real === null)("a real Argoverse 2 log", () => {
  const load = async (): Promise<Scene> => {
    const [scene] = await loadScenes(real ?? "");
    if (scene === undefined) throw new Error("no scene");
    return scene;
  };

  it("is read whole: sweeps, classes, lines of all three classes", async () => {
    const scene = await load();
    expect([scene.id, scene.timestamps.length, scene.jumps]).toEqual(["7fab2350-7eaf-3b7e-a39d-6937a4c1bede", 156, []]);
    expect(usableFrames(scene).length).toBe(126);
    const counts = new Map<string, number>();
    for (const { valid, sourceCategory } of scene.agents) counts.set(sourceCategory, (counts.get(sourceCategory) ?? 0) + valid.reduce((a, b) => a + b, 0));
    // Rows of the table by category; bollards and strollers have no class.
    expect(Object.fromEntries(counts)).toEqual({ BICYCLE: 749, BOX_TRUCK: 156, MOTORCYCLE: 394, PEDESTRIAN: 2073, REGULAR_VEHICLE: 6766, TRUCK_CAB: 155, VEHICULAR_TRAILER: 155, CONSTRUCTION_CONE: 118 });
    expect(new Set(scene.lines.map(({ category }) => category))).toEqual(new Set(["ped_crossing", "divider", "boundary"]));
    expect(scene.lanes.filter(({ successors }) => successors.length > 0).length / scene.lanes.length).toBeGreaterThan(0.7);
  });

  it("places parked cars at one spot, whatever the ego does", async () => {
    const scene = await load();
    const spreads = scene.agents
      .filter(({ category, valid }) => category === "car" && valid.every((v) => v === 1))
      .map(({ position }) => {
        const of = (axis: number): number => {
          const values = position.filter((_, i) => i % 3 === axis);
          return Math.max(...values) - Math.min(...values);
        };
        return Math.hypot(of(0), of(1));
      })
      .sort((a, b) => a - b);
    // The ego drives 72 m and turns by 67 degrees. Parked cars' boxes wander by up to 0.9 m (annotation noise, 0.25 m rms); the
    // four others drive 50 m and more, so nothing lies between.
    expect(spreads.filter((spread) => spread < 1).length).toBe(8);
    expect(spreads.filter((spread) => spread > 40).length).toBe(4);
  });

  it("keeps ego and lanes at one height and direction", async () => {
    const scene = await load();
    const aligned = usableFrames(scene).filter((frame) => {
      const [x = 0, y = 0] = scene.ego.position.subarray(3 * frame, 3 * frame + 2);
      let [least, turn] = [Infinity, Infinity];
      for (const { centerline } of scene.lanes) {
        for (let i = 0; i < centerline.length; i += 3) {
          const distance = Math.hypot((centerline[i] ?? 0) - x, (centerline[i + 1] ?? 0) - y);
          const off = Math.abs(Math.sin(0.5 * ((centerline[i + 2] ?? 0) - (scene.ego.heading[frame] ?? 0))));
          if (distance < 3 && off < turn) [least, turn] = [distance, off];
        }
      }
      return least < 3 && turn < 0.2;
    });
    expect(aligned.length / usableFrames(scene).length).toBeGreaterThan(0.9);
  });
});
