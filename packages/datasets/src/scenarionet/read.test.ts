import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sharedPath } from "@distilldrive/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { DatasetError } from "../errors.js";
import { loadScenes } from "../load.js";
import { readScenarioNet } from "./read.js";

/** An array to be pickled as numpy would. */
interface FakeArray {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}
type Value = string | number | FakeArray | readonly Value[] | { readonly [key: string]: Value };

/** Writes values as a protocol 4 pickle: enough of Python's writer for small scenes. */
function pickle(value: Value): Uint8Array {
  const out: number[] = [0x80, 4];
  const u32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24];
  const text = (s: string): void => {
    const utf8 = new TextEncoder().encode(s);
    out.push(0x58, ...u32(utf8.length), ...utf8);
  };
  const global = (module: string, name: string): void => {
    text(module);
    text(name);
    out.push(0x93);
  };
  const put = (v: Value): void => {
    if (typeof v === "string") return text(v);
    if (typeof v === "number") {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, v, false);
      out.push(0x47, ...new Uint8Array(view.buffer));
    } else if (Array.isArray(v)) {
      out.push(0x5d, 0x28);
      v.forEach(put);
      out.push(0x65);
    } else if ("shape" in v && "values" in v) {
      const { shape, values } = v as FakeArray;
      global("numpy.core.multiarray", "_reconstruct");
      global("numpy", "ndarray");
      out.push(0x4b, 0, 0x85, 0x43, 1, 98, 0x87, 0x52, 0x28, 0x4b, 1, 0x28);
      shape.forEach((n) => out.push(0x4a, ...u32(n)));
      out.push(0x74);
      global("numpy", "dtype");
      text("f8");
      out.push(0x89, 0x88, 0x87, 0x52, 0x28, 0x4b, 3, 0x8c, 1, 60, 0x4e, 0x4e, 0x4e, 0x4b, 0, 0x4b, 0, 0x4b, 0, 0x74, 0x62, 0x89);
      out.push(0x42, ...u32(8 * values.length), ...new Uint8Array(Float64Array.from(values).buffer), 0x74, 0x62);
    } else {
      out.push(0x7d, 0x28);
      for (const [key, item] of Object.entries(v)) {
        text(key);
        put(item);
      }
      out.push(0x75);
    }
  };
  put(value);
  out.push(0x2e);
  return Uint8Array.from(out);
}

const FRAMES = 12;
const array = (shape: readonly number[], value: (i: number) => number): FakeArray => ({
  shape,
  values: Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
});

/** Track driving along +x at 5 m/s. */
function track(type: string, category: string, y: number): { type: string; metadata: Record<string, Value>; state: Record<string, Value> } {
  return {
    type,
    metadata: { type: category },
    state: {
      position: array([FRAMES, 3], (i) => (i % 3 === 0 ? 0.5 * Math.floor(i / 3) : i % 3 === 1 ? y : 0)),
      heading: array([FRAMES], () => 2 * Math.PI),
      velocity: array([FRAMES, 2], () => 99),
      valid: array([FRAMES], () => 1),
      length: array([FRAMES, 1], () => 1.73),
      width: array([FRAMES, 1], () => 4.08),
      height: array([FRAMES, 1], () => 1.56),
    },
  };
}

interface FakeScene {
  [key: string]: Value;
  metadata: { [key: string]: Value };
  tracks: { [id: string]: ReturnType<typeof track> };
  map_features: { [id: string]: { [key: string]: Value } };
}

function fakeScene(): FakeScene {
  return {
    id: "scene-0001",
    version: "x",
    length: FRAMES,
    metadata: { dataset: "nuscenes", map: "atlantis", sdc_id: "ego", sample_rate: 0.1, ts: array([FRAMES], (i) => 0.1 * i) },
    tracks: {
      ego: track("VEHICLE", "vehicle.car", 0),
      bus: track("VEHICLE", "vehicle.bus.bendy", 4),
      dog: track("ANIMAL", "animal", 8),
      police: track("VEHICLE", "vehicle.emergency.police", 12),
      unlisted: track("CYCLIST", "CYCLIST", 16),
    },
    map_features: {
      a: { type: "LANE_SURFACE_STREET", polyline: [[0, 0, 0], [5, 0, 0], [5, 0, 0], [10, 0, 7]], polygon: array([4, 2], (i) => i * i) },
      b: { type: "LANE_SURFACE_STREET", polyline: [[10.05, 0, 0], [20, 0, 0]] },
      boundary_0: { type: "ROAD_LINE_SOLID_SINGLE_WHITE", polyline: array([3, 2], (i) => i) },
      x: { type: "ROAD_LINE_SOLID_SINGLE_WHITE", polyline: array([3, 2], (i) => i) },
      y: { type: "ROAD_LINE_BROKEN_SINGLE_WHITE", polyline: array([3, 3], (i) => i) },
      edge: { type: "ROAD_EDGE_BOUNDARY", polyline: array([3, 2], (i) => i) },
      zebra: { type: "CROSSWALK", polygon: array([4, 2], (i) => i * i) },
      bump: { type: "SPEED_BUMP", polygon: array([4, 2], (i) => i * i) },
    },
    dynamic_map_states: {},
  };
}

const read = (scene: FakeScene): ReturnType<typeof readScenarioNet> => readScenarioNet(pickle(scene), "a.pkl");

describe("readScenarioNet", () => {
  it("converts tracks, sizes, headings, velocities, lines and lanes", () => {
    const scene = read(fakeScene());
    expect(scene.agents.map((agent) => [agent.id, agent.category])).toEqual([["bus", "bus"], ["unlisted", "bicycle"]]);
    expect([scene.ego.length, scene.ego.width, scene.interval]).toEqual([4.084, 1.85, 0.1]);
    expect(scene.ego.heading[3]).toBeCloseTo(0, 12);
    expect(scene.ego.velocity[22]).toBeCloseTo(5, 9);
    expect(scene.lines.map((line) => [line.id, line.category, line.style, line.points.length / 2])).toEqual([
      ["boundary_0", "boundary", "edge", 3],
      ["x", "divider", "solid_white", 3],
      ["y", "divider", "broken_white", 3],
      ["edge", "boundary", "edge", 3],
      ["zebra", "ped_crossing", "crossing", 5],
    ]);
    expect(scene.lanes.map((lane) => [lane.id, lane.connector, lane.successors, lane.centerline.length])).toEqual([
      ["a", false, ["b"], 9],
      ["b", true, [], 6],
    ]);
    expect(scene.lanes[0]?.centerline[8]).toBeCloseTo(7 - 2 * Math.PI, 12);
    expect([Array.from(scene.keyframes), scene.jumps, scene.drivingSide]).toEqual([[0, 5, 10], [], "right"]);
  });

  it("names file, key path, frame, expected and found for bad content", () => {
    const cases: [(scene: FakeScene) => void, string][] = [
      [(s) => delete s["map_features" as string], "scenarioNet: a.pkl: map_features: the key is missing, expected it among the dict's keys, got id, version, length, metadata"],
      [(s) => (s.metadata["sdc_id"] = "me"), "scenarioNet: a.pkl: tracks.me: the key is missing, expected it among the dict's keys, got ego, bus"],
      [(s) => delete s.tracks["bus"]?.state["heading"], "a.pkl: tracks.bus.state.heading: the key is missing"],
      [(s) => Object.assign(s.tracks["ego"]?.state ?? {}, { position: array([FRAMES, 3], (i) => (i === 15 ? NaN : i)) }), "a.pkl: tracks.ego.state.position: the pose is not finite at frame 5, expected finite numbers where valid is 1, got (NaN, 16, 17). Mark"],
      [(s) => Object.assign(s.tracks["ego"]?.state ?? {}, { heading: array([FRAMES], (i) => (i === 7 ? Infinity : 0)) }), "tracks.ego.state.heading: the pose is not finite at frame 7"],
      [(s) => Object.assign(s.tracks["bus"]?.state ?? {}, { position: array([FRAMES - 1, 3], () => 0) }), "tracks.bus.state.position: wrong shape, expected [12, 3], got [11, 3]"],
      [(s) => Object.assign(s.tracks["bus"]?.state ?? {}, { heading: array([FRAMES, 2], () => 0) }), "tracks.bus.state.heading: wrong shape, expected [12] or [12, 1], got [12, 2]"],
      [(s) => Object.assign(s.tracks["bus"]?.state ?? {}, { length: array([FRAMES, 1], () => -1) }), "tracks.bus.state.length: impossible size, expected 0 to 100 m, got -1"],
      [(s) => Object.assign(s.tracks["ego"]?.state ?? {}, { valid: array([FRAMES], (i) => (i === 4 ? 0 : 1)) }), "tracks.ego.state.valid: the ego has no pose, expected one at every frame, got none at frame 4"],
      [(s) => (s.metadata["ts"] = array([FRAMES], (i) => (i === 6 ? 0.3 : 0.1 * i))), "a.pkl: timestamps[6]: invalid scene, expected about 0.1"],
      [(s) => (s["length"] = "many"), 'a.pkl: length: wrong type, expected a finite number, got "many"'],
      [(s) => Object.assign(s.map_features["x"] ?? {}, { polyline: array([3, 2], (i) => (i === 3 ? NaN : i)) }), "map_features.x.polyline: point 1 is not finite"],
    ];
    for (const [spoil, message] of cases) {
      const scene = fakeScene();
      spoil(scene);
      expect(() => read(scene), message).toThrow(message);
      expect(() => read(scene)).toThrow(DatasetError);
    }
    expect(() => readScenarioNet(pickle(["a"]), "a.pkl")).toThrow("scenarioNet: a.pkl: not a scene, expected a dict with tracks and map_features");
  });

  it("keeps poses of invalid frames out, whatever they hold", () => {
    const scene = fakeScene();
    Object.assign(scene.tracks["bus"]?.state ?? {}, {
      valid: array([FRAMES], (i) => (i < 6 ? 1 : 0)),
      position: array([FRAMES, 3], (i) => (i < 18 ? i : NaN)),
    });
    const bus = read(scene).agents[0];
    expect(Array.from(bus?.position.subarray(18) ?? [1])).toEqual(new Array(18).fill(0));
    expect(bus?.velocity[2 * 5]).not.toBe(0);
  });
});

describe("loadScenes", () => {
  const folder = mkdtemp(join(tmpdir(), "scenes-"));
  afterAll(async () => rm(await folder, { recursive: true }));

  it("reads a folder in order, some of it, or one file", async () => {
    const dir = await folder;
    await expect(loadScenes(dir)).rejects.toThrow(`loadScenes: ${dir}: no scenes, expected .pkl or .scene.json files, nuScenes' folder with v1.0-* or logs of Argoverse 2, got an empty folder`);
    for (const id of ["scene-0002", "scene-0001"]) await writeFile(join(dir, `${id}.pkl`), pickle({ ...fakeScene(), id }));
    await writeFile(join(dir, "dataset_summary.pkl"), pickle({}));
    expect((await loadScenes(dir)).map((s) => s.id)).toEqual(["scene-0001", "scene-0002"]);
    expect((await loadScenes(dir, { only: ["0002"] })).map((s) => s.id)).toEqual(["scene-0002"]);
    expect((await loadScenes(join(dir, "scene-0002.pkl"))).map((s) => s.id)).toEqual(["scene-0002"]);
    await expect(loadScenes(dir, { only: ["0003"] })).rejects.toThrow('unknown scene "0003", expected one of scene-0001, scene-0002. Did you mean "scene-000');
    await expect(loadScenes(join(dir, "nowhere"))).rejects.toThrow("expected a folder or a .pkl or .scene.json file, got nothing (ENOENT: no such file or directory)");
    await writeFile(join(dir, "scene-0003.pkl"), pickle(fakeScene()));
    await expect(loadScenes(dir)).rejects.toThrow('expected scenes with different ids, got "scene-0001" again');
  });

  const real = sharedPath("data", "scenarionet", "scene-0757.pkl");
  it.skipIf(real === null)("refuses a real scene cut short", async () => {
    const bytes = await readFile(real ?? "");
    for (const share of [0.1, 0.5, 0.999]) {
      expect(() => readScenarioNet(bytes.subarray(0, Math.floor(share * bytes.length)), "cut.pkl")).toThrow(/^scenarioNet: cut.pkl: the file is truncated/);
    }
  });
});
