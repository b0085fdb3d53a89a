import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { sampleFeatures } from "../features/build.js";
import { memoryFiles } from "../files.js";
import { compose, rigidMotion } from "../geometry/rigid.js";
import { loadScenes } from "../load.js";
import { AGENT_CLASSES, type Scene } from "../schema.js";
import { nuScenesFiles } from "../testing/nuscenes-set.fixture.js";
import { readNuScenes } from "./read.js";

const folder = sharedPath("data", "nuscenes-sample");
const scenarios = sharedPath("data", "scenarionet");

interface Pose {
  readonly quaternion_wxyz: number[];
  readonly translation: number[];
}
interface Calibration {
  readonly timestamp_us: number;
  readonly map: string;
  readonly ego2global: Pose;
  readonly lidar: { readonly timestamp_us: number; readonly lidar2ego: Pose };
  readonly cameras: Record<string, { timestamp_us: number; width: number; height: number; intrinsics: number[][]; sensor2ego: Pose; lidar_to_camera: Pose; ego2global_at_camera: Pose; file: string }>;
}
type Camera = Calibration["cameras"][string];
interface Box {
  readonly category: string;
  readonly instance_token: string | null;
  readonly lidar_box: { center: number[]; length: number; width: number; height: number; yaw: number };
  readonly global: { center: number[]; heading: number };
  readonly num_lidar_pts: number;
  readonly num_radar_pts: number;
}

type NamedBox = Box & { readonly instance_token: string };

const CATEGORIES: Readonly<Record<string, string>> = {
  car: "vehicle.car",
  truck: "vehicle.truck",
  bus: "vehicle.bus.rigid",
  pedestrian: "human.pedestrian.adult",
  traffic_cone: "movable_object.trafficcone",
  bicycle: "vehicle.bicycle",
  motorcycle: "vehicle.motorcycle",
  barrier: "movable_object.barrier",
  construction_vehicle: "vehicle.construction",
  trailer: "vehicle.trailer",
  ignore: "animal",
};

/** The real sample as tables, once more half a second later (one frame makes no scene). The map has no records. */
function officialSet(calibration: Calibration, boxes: readonly NamedBox[]): Map<string, Uint8Array> {
  const sensors: Readonly<Record<string, Camera | null>> = { LIDAR_TOP: null, ...calibration.cameras };
  const yaw = (heading: number): number[] => [Math.cos(heading / 2), 0, 0, Math.sin(heading / 2)];
  const pose = ({ quaternion_wxyz, translation }: Pose) => ({ rotation: quaternion_wxyz, translation });
  const frames = [0, 1];
  const tables = {
    scene: [{ token: "scene", name: "scene-0061", log_token: "log", first_sample_token: "sample0" }],
    log: [{ token: "log", location: calibration.map }],
    sample: frames.map((f) => ({ token: `sample${f}`, scene_token: "scene", timestamp: calibration.timestamp_us + 500_000 * f, next: f === 0 ? "sample1" : "" })),
    sensor: Object.keys(sensors).map((channel) => ({ token: channel, channel, modality: channel === "LIDAR_TOP" ? "lidar" : "camera" })),
    calibrated_sensor: Object.entries(sensors).map(([channel, camera]) => ({ token: channel, sensor_token: channel, ...pose(camera?.sensor2ego ?? calibration.lidar.lidar2ego), camera_intrinsic: camera?.intrinsics ?? [] })),
    sample_data: frames.flatMap((f) =>
      Object.entries(sensors).map(([channel, camera]) => ({
        token: `${channel}${f}`,
        sample_token: `sample${f}`,
        ego_pose_token: `${channel}${f}`,
        calibrated_sensor_token: channel,
        timestamp: camera?.timestamp_us ?? calibration.lidar.timestamp_us,
        is_key_frame: true,
        filename: `samples/${channel}/${camera?.file.replace(/^.*\//, "") ?? "lidar.pcd.bin"}`,
        width: camera?.width ?? 0,
        height: camera?.height ?? 0,
      })),
    ),
    ego_pose: frames.flatMap((f) => Object.entries(sensors).map(([channel, camera]) => ({ token: `${channel}${f}`, ...pose(camera?.ego2global_at_camera ?? calibration.ego2global) }))),
    sample_annotation: frames.flatMap((f) =>
      boxes.map((box) => ({
        token: `${box.instance_token}${f}`,
        sample_token: `sample${f}`,
        instance_token: box.instance_token,
        translation: box.global.center,
        size: [box.lidar_box.width, box.lidar_box.length, box.lidar_box.height],
        rotation: yaw(box.global.heading),
        num_lidar_pts: box.num_lidar_pts,
        num_radar_pts: box.num_radar_pts,
      })),
    ),
    instance: boxes.map((box) => ({ token: box.instance_token, category_token: box.category })),
    category: Object.entries(CATEGORIES).map(([token, name]) => ({ token, name })),
  };
  const layers = ["node", "line", "polygon", "ped_crossing", "road_divider", "lane_divider", "road_segment", "lane"];
  return nuScenesFiles({ tables, documents: { [`maps/expansion/${calibration.map}.json`]: Object.fromEntries(layers.map((layer) => [layer, []])) } });
}

describe.skipIf(folder === null)("the real nuScenes sample as tables", () => {
  const load = async (): Promise<{ scene: Scene; calibration: Calibration; boxes: NamedBox[] }> => {
    const calibration = JSON.parse(await readFile(join(folder ?? "", "nuscenes_sample_calib.json"), "utf8")) as Calibration;
    const all = JSON.parse(await readFile(join(folder ?? "", "boxes.json"), "utf8")) as { boxes: Box[] };
    // The sample names no instance of the one box outside the ten classes.
    const boxes = all.boxes.map((box) => ({ ...box, instance_token: box.instance_token ?? "unnamed" }));
    const [scene] = await readNuScenes(memoryFiles("", officialSet(calibration, boxes)), "v1.0-mini");
    if (scene === undefined) throw new Error("no scene");
    return { scene, calibration, boxes };
  };

  it("places cameras as the set's own lidar-to-camera matrices do", async () => {
    const { scene, calibration } = await load();
    const worldFromLidar = compose(
      rigidMotion(calibration.ego2global.quaternion_wxyz, calibration.ego2global.translation),
      rigidMotion(calibration.lidar.lidar2ego.quaternion_wxyz, calibration.lidar.lidar2ego.translation),
    );
    expect(scene.cameras?.length).toBe(12);
    for (const image of scene.cameras ?? []) {
      const wanted = calibration.cameras[image.camera]?.lidar_to_camera;
      const got = compose(image.cameraFromWorld, worldFromLidar);
      // The reference is float32 at coordinates of a thousand metres.
      rigidMotion(wanted?.quaternion_wxyz ?? [], wanted?.translation ?? []).forEach((v, i) => expect(Math.abs((got[i] ?? NaN) - v), `${image.camera} ${i}`).toBeLessThan(2e-3));
    }
  });

  it("gives the published boxes: position, size and yaw in the lidar frame, ten classes, only what was seen", async () => {
    const { scene, boxes } = await load();
    const sample = sampleFeatures(scene, 0, { agentRange: 200, maxAgents: 100 });
    const seen = boxes.filter((box) => box.category !== "ignore" && box.num_lidar_pts + box.num_radar_pts > 0);
    expect(sample.agentMask.reduce((a, b) => a + b)).toBe(seen.length);
    for (const box of seen) {
      const slot = Array.from(sample.instanceIds).findIndex((index) => scene.agents[index]?.id === box.instance_token);
      const [x = NaN, y = NaN, , length, width, height, yaw = NaN] = sample.boxes.subarray(9 * slot, 9 * slot + 9);
      expect(AGENT_CLASSES[sample.labels[slot] ?? -1]).toBe(box.category);
      // The published frame tilts with the car and the lidar (1.5 degrees) and is mounted 0.1 degrees off.
      const [bx = NaN, by = NaN] = box.lidar_box.center;
      expect(Math.hypot(x - bx, y - by), box.instance_token).toBeLessThan(0.05 + 4e-3 * Math.hypot(bx, by));
      expect(Math.abs(Math.sin((yaw - box.lidar_box.yaw) / 2))).toBeLessThan(0.01);
      [length, width, height].forEach((v, i) => expect(v).toBeCloseTo([box.lidar_box.length, box.lidar_box.width, box.lidar_box.height][i] ?? NaN, 5));
    }
  });

  it.skipIf(scenarios === null)("agrees with ScenarioNet's conversion of the same moment", async () => {
    const { scene } = await load();
    const [other] = await loadScenes(scenarios ?? "", { only: ["0061"] });
    // ScenarioNet takes the ego from CAN bus poses; agents are the annotations.
    expect(Math.hypot((scene.ego.position[0] ?? 0) - (other?.ego.position[0] ?? 0), (scene.ego.position[1] ?? 0) - (other?.ego.position[1] ?? 0))).toBeLessThan(0.3);
    expect(scene.ego.heading[0]).toBeCloseTo(other?.ego.heading[0] ?? NaN, 1);
    expect(scene.drivingSide).toBe(other?.drivingSide);
    let compared = 0;
    for (const agent of scene.agents) {
      const same = other?.agents.find(({ id }) => id === agent.id);
      if (same?.valid[0] !== 1) continue;
      expect(same.category).toBe(agent.category);
      for (let c = 0; c < 2; c++) expect(agent.position[c]).toBeCloseTo(same.position[c] ?? NaN, 3);
      expect([agent.length, agent.width]).toEqual([same.length, same.width].map((v) => expect.closeTo(v, 3) as number));
      compared++;
    }
    expect(compared).toBeGreaterThan(50);
  });
});
