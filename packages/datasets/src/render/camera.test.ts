import { readFile } from "node:fs/promises";
import { sharedPath } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { cameraFromCalibration, imageFromEgo, intrinsicsFor, levelCamera, nuscenesRig, projectToImage } from "./camera.js";
import { RenderError } from "./errors.js";

describe("cameras", () => {
  it("project points by hand", () => {
    const camera = levelCamera("ahead", 1000, 0, [1, 0, 1.5], 450);
    const size = { width: 1600, height: 900 };
    // 10 m ahead of the lens, 2 m to the left, on the ground.
    const [u = 0, v = 0, depth = 0] = projectToImage([11, 2, 0], camera, size);
    expect([u, v, depth]).toEqual([800 - 200, 450 + 150, 10]);
    const behind = projectToImage([-5, 0, 0], camera, size);
    expect(behind[0]).toBeNaN();
    expect(behind[2]).toBe(-6);
  });

  it("keep the horizontal field of view and the horizon's relative height at any size", () => {
    const camera = levelCamera("ahead", 1266, 0, [0, 0, 1.5], 490);
    for (const size of [{ width: 112, height: 64 }, { width: 704, height: 256 }, { width: 33, height: 90 }]) {
      const k = intrinsicsFor(camera, size);
      expect(size.width / (k[0] ?? 0)).toBeCloseTo(1600 / 1266, 12);
      expect(k[4]).toBe(k[0]);
      // A point far ahead at the camera's height lies on the horizon.
      const [u, v] = projectToImage([1e6, 0, 1.5], camera, size);
      expect(u).toBeCloseTo(size.width / 2, 6);
      expect(v).toBeCloseTo((490 / 900) * size.height, 6);
    }
  });

  it("give a projection matrix that agrees with projectToImage", () => {
    for (const camera of nuscenesRig()) {
      const size = { width: 400, height: 225 };
      const p = imageFromEgo(camera, size);
      const point = [3, -4, 0.7, 1];
      const row = (r: number): number => point.reduce((sum, value, i) => sum + value * (p[r * 4 + i] ?? 0), 0);
      const [u = 0, v = 0, depth = 0] = projectToImage(point.slice(0, 3), camera, size);
      expect(depth).toBeCloseTo(row(2), 12);
      if (depth > 0) expect([u * depth, v * depth]).toEqual([expect.closeTo(row(0), 9), expect.closeTo(row(1), 9)]);
    }
  });

  it("come in left-right symmetric pairs", () => {
    const rig = nuscenesRig();
    const named = (name: string): Float64Array => rig.find((camera) => camera.name === name)?.cameraFromEgo ?? new Float64Array(16);
    for (const end of ["FRONT", "BACK"]) {
      const [left, right] = [named(`CAM_${end}_LEFT`), named(`CAM_${end}_RIGHT`)];
      // Reflecting ego y and camera x turns one into the other.
      const reflected = right.map((value, i) => value * (i < 4 ? -1 : 1) * (i % 4 === 1 ? -1 : 1));
      left.forEach((value, i) => expect(value).toBeCloseTo(reflected[i] ?? NaN, 12));
    }
  });

  it("refuse calibrations of the wrong shape", () => {
    expect(() => cameraFromCalibration("odd", [1, 2], new Array(9).fill(0), [0, 0, 0])).toThrow(RenderError);
    expect(() => cameraFromCalibration("odd", new Array(9).fill(NaN), new Array(9).fill(0), [0, 0, 0])).toThrow(/camera odd: bad intrinsics/);
  });
});

/** The calibration file's parts used here. */
interface Calibration {
  readonly cameras: Record<string, { readonly intrinsics: number[][]; readonly sensor2ego: { readonly rotation: number[][]; readonly translation: number[] } }>;
}

const calibrationPath = sharedPath("data", "nuscenes-sample", "nuscenes_sample_calib.json");

describe.skipIf(calibrationPath === null)("the rig and a real nuScenes car", () => {
  it("agree within 3 degrees, 0.1 m and 2.5 % of focal length", async () => {
    const calibration = JSON.parse(await readFile(calibrationPath ?? "", "utf8")) as Calibration;
    const rig = nuscenesRig();
    expect(rig.map((camera) => camera.name).sort()).toEqual(Object.keys(calibration.cameras).sort());
    for (const camera of rig) {
      const real = calibration.cameras[camera.name];
      if (real === undefined) throw new Error(camera.name);
      const recorded = cameraFromCalibration(camera.name, real.intrinsics.flat(), real.sensor2ego.rotation.flat(), real.sensor2ego.translation);
      const axis = (m: Float64Array, row: number): number[] => [...m.subarray(row * 4, row * 4 + 3)];
      const dot = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
      for (let row = 0; row < 3; row++) {
        const angle = (Math.acos(Math.min(1, dot(axis(camera.cameraFromEgo, row), axis(recorded.cameraFromEgo, row)))) * 180) / Math.PI;
        expect(angle, `${camera.name} axis ${row}`).toBeLessThan(3);
      }
      // The recorded camera's centre, seen by ours, is near the origin.
      const centre = [0, 1, 2].map((row) => dot(axis(camera.cameraFromEgo, row), real.sensor2ego.translation) + (camera.cameraFromEgo[row * 4 + 3] ?? 0));
      expect(Math.hypot(...centre), camera.name).toBeLessThan(0.1);
      expect(Math.abs((camera.intrinsics[0] ?? 0) / (recorded.intrinsics[0] ?? 1) - 1), camera.name).toBeLessThan(0.025);
    }
  });
});
