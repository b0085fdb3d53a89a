import { openTestDevice, sharedPath } from "@distilldrive/testkit";
import { decode } from "fast-png";
import { readFile } from "node:fs/promises";
import { afterAll, describe, expect, it } from "vitest";
import { loadScenes } from "../load.js";
import type { Scene } from "../schema.js";
import { boxCornersInEgo, egoPose, placeBoxes } from "./boxes.js";
import { cameraFromCalibration, nuscenesRig, projectToImage, type Camera } from "./camera.js";
import { cameraStrip } from "./camera-strip.js";
import type { CameraImages } from "./camera-renderer.js";
import { RenderError } from "./errors.js";
import { AGENT_COLORS, OFF_ROAD, ROAD, type Rgb } from "./palette.js";
import { createCameraRenderer } from "./renderer.js";
import { lineOf, stillScene, straightLane } from "./scene.fixture.js";

const device = await openTestDevice();
const errors: string[] = [];
device?.addEventListener("uncapturederror", (event) => errors.push(event.error.message));
afterAll(() => {
  expect(errors).toEqual([]);
  device?.destroy();
});

/** The device of this file; the suites are skipped without one. */
function gpu(): GPUDevice {
  if (device === undefined) throw new Error("no device");
  return device;
}

const SIZE = { width: 112, height: 64 };
const EGO = { x: 1411.3, y: 1180.9, z: 3, yaw: 2.1 };

/** World position of a point given in the ego frame, m. */
function world(forward: number, left: number): [number, number] {
  const [c, s] = [Math.cos(EGO.yaw), Math.sin(EGO.yaw)];
  return [EGO.x + forward * c - left * s, EGO.y + forward * s + left * c];
}

/** A street with traffic on all sides, far from the world's origin. */
function street(): Scene {
  const car = (forward: number, left: number, turn: number) => {
    const [x, y] = world(forward, left);
    return { category: "car" as const, x, y, yaw: EGO.yaw + turn };
  };
  return stillScene({
    ego: EGO,
    frames: 4,
    boxes: [
      car(14, 3.4, 0.1),
      car(30, -1, 0),
      car(-12, -3, Math.PI),
      { ...car(5, 7, 1), category: "pedestrian", size: [0.6, 0.6, 1.7] },
      { ...car(9, -8, 2), category: "barrier", size: [0.5, 2.2, 1] },
      { ...car(-9, 6, 2), category: "bus", size: [11, 2.9, 3.4] },
    ],
    lanes: [straightLane(world(-80, -1.7), EGO.yaw, 160, 3.4), straightLane(world(-80, 1.7), EGO.yaw, 160, 3.4)],
    lines: [
      lineOf("broken_white", world(-80, 0), world(80, 0)),
      lineOf("edge", world(-80, -4), world(80, -4)),
      lineOf("solid_yellow", world(-80, 3.3), world(80, 3.3)),
      lineOf("crossing", world(18, -4), world(21, -4), world(21, 4), world(18, 4), world(18, -4)),
    ],
  });
}

/** Red, green, blue of a pixel. */
function pixel(images: CameraImages, view: number, x: number, y: number): Rgb {
  const at = ((view * images.height + y) * images.width + x) * 3;
  return [images.color[at] ?? -1, images.color[at + 1] ?? -1, images.color[at + 2] ?? -1];
}

function equalColors(a: Rgb, b: Rgb): boolean {
  return a.every((value, i) => value === b[i]);
}

/** Bytewise, because comparing millions of elements through the matcher takes minutes. */
function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const bytes = (view: ArrayBufferView): Buffer => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return bytes(a).equals(bytes(b));
}

/** Signed distance (px) of a point to the convex hull of others: negative inside. */
function outsideHull(hull: [number, number][], x: number, y: number): number {
  const sorted = [...hull].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (points: [number, number][]): [number, number][] => {
    const chain: [number, number][] = [];
    for (const p of points) {
      for (;;) {
        const [a, b] = chain.slice(-2);
        if (a === undefined || b === undefined || (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
        chain.pop();
      }
      chain.push(p);
    }
    return chain;
  };
  const ring = [...half(sorted).slice(0, -1), ...half(sorted.reverse()).slice(0, -1)];
  return Math.max(
    ...ring.map(([ax, ay], i) => {
      const [bx, by] = ring[(i + 1) % ring.length] ?? [0, 0];
      return ((y - ay) * (bx - ax) - (x - ax) * (by - ay)) / -Math.hypot(bx - ax, by - ay);
    }),
  );
}

/** Depth (m) at which a pixel's ray enters a box, or Infinity: the slab method in the box frame. */
function analyticBoxDepth(camera: Camera, corners: Float64Array, u: number, v: number): number {
  const corner = (i: number): number[] => [...corners.subarray(i * 3, i * 3 + 3)];
  const minus = (a: number[], b: number[]): number[] => a.map((value, i) => value - (b[i] ?? 0));
  const dot = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  const { origin, direction } = pixelRay(camera, u, v);
  let [enter, leave] = [0, Infinity];
  for (const bit of [4, 2, 1]) {
    const edge = minus(corner(0), corner(bit));
    const low = dot(edge, corner(bit));
    const high = dot(edge, corner(0));
    const slope = dot(edge, direction);
    const [a, b] = [(low - dot(edge, origin)) / slope, (high - dot(edge, origin)) / slope];
    enter = Math.max(enter, Math.min(a, b));
    leave = Math.min(leave, Math.max(a, b));
  }
  return enter < leave ? enter : Infinity;
}

/** The ray of a pixel position in the ego frame; its parameter is the depth. */
function pixelRay(camera: Camera, u: number, v: number): { origin: number[]; direction: number[] } {
  const m = camera.cameraFromEgo;
  const focal = (camera.intrinsics[0] ?? 1) * (SIZE.width / camera.nativeWidth);
  const x = (u - SIZE.width / 2) / focal;
  const y = (v - (490 / 900) * SIZE.height) / focal;
  const axes = [0, 1, 2].map((k) => [m[k] ?? 0, m[4 + k] ?? 0, m[8 + k] ?? 0]);
  return {
    origin: axes.map((axis) => -axis.reduce((sum, value, i) => sum + value * (m[i * 4 + 3] ?? 0), 0)),
    direction: axes.map((axis) => (axis[0] ?? 0) * x + (axis[1] ?? 0) * y + (axis[2] ?? 0)),
  };
}

describe.skipIf(device === undefined)("camera renderer [gpu]", () => {
  it("draws a box within its projected hull, at its analytic depth, and the ground around it", async () => {
    const cameras = nuscenesRig();
    const [x, y] = world(13, 2);
    const scene = stillScene({ ego: EGO, boxes: [{ category: "traffic_cone", x, y, yaw: 0.4, size: [4, 2, 1.9] }] });
    const renderer = createCameraRenderer(gpu(), { ...SIZE, samples: 1 });
    const images = await renderer.render(scene, 0);
    renderer.destroy();
    const [box] = placeBoxes(scene, 0, 100);
    if (box === undefined) throw new Error("no box");
    const corners = boxCornersInEgo(box, egoPose(scene, 0));
    let boxPixels = 0;
    const wrong: string[] = [];
    cameras.forEach((camera, view) => {
      const projected = projectToImage(corners, camera, SIZE);
      const hull = Array.from({ length: 8 }, (_, i): [number, number] => [projected[i * 3] ?? 0, projected[i * 3 + 1] ?? 0]);
      const visible = hull.every(([u]) => Number.isFinite(u));
      for (let row = 0; row < SIZE.height; row++) {
        for (let column = 0; column < SIZE.width; column++) {
          const [u, v] = [column + 0.5, row + 0.5];
          const margin = visible ? outsideHull(hull, u, v) : Infinity;
          // On the silhouette itself rounding decides.
          if (Math.abs(margin) < 0.01) continue;
          const depth = images.depth[(view * SIZE.height + row) * SIZE.width + column] ?? NaN;
          const { origin, direction } = pixelRay(camera, u, v);
          const ground = -(origin[2] ?? 0) / (direction[2] ?? 0);
          const boxDepth = analyticBoxDepth(camera, corners, u, v);
          const color = pixel(images, view, column, row);
          const [red, green, blue] = color;
          const where = `${camera.name} ${column},${row}: rgb ${color.join(" ")}, depth ${depth}`;
          if (boxDepth < Infinity !== margin < 0) wrong.push(`${where}; hull and box disagree, margin ${margin}`);
          if (boxDepth < Infinity) {
            boxPixels++;
            // Orange or white paint, never the ground's olive or the sky's blue.
            const painted = red - blue > 60 || Math.min(red, green, blue) > 150;
            if (!painted || !(Math.abs(depth / boxDepth - 1) < 1e-4)) wrong.push(`${where}; box at ${boxDepth}`);
          } else if (ground > 0 && ground < 25) {
            if (!(Math.abs(depth / ground - 1) < 1e-4) || !equalColors(color, OFF_ROAD)) wrong.push(`${where}; ground at ${ground}`);
          } else if (ground < 0 && depth !== 0) {
            wrong.push(`${where}; sky`);
          }
        }
      }
    });
    expect(wrong).toEqual([]);
    expect(boxPixels).toBeGreaterThan(200);
  });

  it("colours every nearby ground pixel by what lies there, in all cameras", async () => {
    const scene = stillScene({ ego: EGO, lanes: [straightLane(world(-90, 2), EGO.yaw, 180, 7)] });
    const renderer = createCameraRenderer(gpu(), { ...SIZE, samples: 1 });
    const images = await renderer.render(scene, 0);
    renderer.destroy();
    let roadPixels = 0;
    const wrong: string[] = [];
    nuscenesRig().forEach((camera, view) => {
      for (let row = 0; row < SIZE.height; row++) {
        for (let column = 0; column < SIZE.width; column++) {
          const { origin, direction } = pixelRay(camera, column + 0.5, row + 0.5);
          const ground = -(origin[2] ?? 0) / (direction[2] ?? 0);
          if (!(ground > 0 && ground < 30)) continue;
          const left = (origin[1] ?? 0) + ground * (direction[1] ?? 0);
          // The surface spans -1.5 .. 5.5 m, its asphalt shoulder 0.7 m more.
          const outside = Math.max(-1.5 - left, left - 5.5);
          const color = pixel(images, view, column, row);
          const where = `${camera.name} ${column},${row}: rgb ${color.join(" ")}, ${outside} m outside`;
          if (outside < -0.01) {
            if (equalColors(color, OFF_ROAD) || (outside < -0.71 && !equalColors(color, ROAD))) wrong.push(where);
            roadPixels++;
          } else if (outside > 0.71 && !equalColors(color, OFF_ROAD)) {
            wrong.push(where);
          }
        }
      }
    });
    expect(wrong).toEqual([]);
    expect(roadPixels).toBeGreaterThan(3000);
  });

  it("shows a mirrored scene as the flipped images of the opposite cameras", async () => {
    for (const samples of [1, 4] as const) {
      const renderer = createCameraRenderer(gpu(), { ...SIZE, samples });
      const [plain, mirrored] = [await renderer.render(street(), 1), await renderer.render(street(), 1, { mirror: true })];
      const opposite = [0, 2, 1, 3, 5, 4];
      let [different, sum, pixels] = [0, 0, 0];
      for (let view = 0; view < 6; view++) {
        for (let row = 0; row < SIZE.height; row++) {
          for (let column = 0; column < SIZE.width; column++) {
            const there = SIZE.width - 1 - column;
            const [a, b] = [pixel(mirrored, view, column, row), pixel(plain, opposite[view] ?? 0, there, row)];
            pixels++;
            const worst = Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 0))));
            sum += worst;
            if (worst > 2) different++;
          }
        }
      }
      // One sample: edges exactly through pixel centres may fall to either side. Four: their pattern is not symmetric, so edges differ a little.
      expect(different / pixels).toBeLessThan(samples === 1 ? 0.001 : 0.03);
      expect(sum / pixels).toBeLessThan(samples === 1 ? 0.02 : 0.6);
      expect(sameBytes(plain.color, mirrored.color)).toBe(false);
      renderer.destroy();
    }
  });

  it("gives the same bytes again, alone or in batches, from this renderer or another", async () => {
    const [a, b] = [street(), stillScene({ ego: { x: -20, y: 7, yaw: 0 }, boxes: [{ category: "truck", x: -5, y: 8 }] })];
    const first = createCameraRenderer(gpu(), { ...SIZE });
    const second = createCameraRenderer(gpu(), { ...SIZE, cachedScenes: 1 });
    const requests = Array.from({ length: 53 }, (_, i) => ({ scene: i % 3 === 0 ? b : a, frame: i % 2, mirror: i % 5 === 0 }));
    const batch = await first.renderMany(requests, { depth: true });
    const again = await second.renderMany(requests, { depth: true });
    expect(sameBytes(again.color, batch.color)).toBe(true);
    expect(sameBytes(again.depth, batch.depth)).toBe(true);
    const bytes = batch.color.length / requests.length;
    for (const i of [0, 23, 24, 52]) {
      const { scene, frame, mirror } = requests[i] ?? { scene: a, frame: 0, mirror: false };
      const single = await second.render(scene, frame, { mirror });
      expect(sameBytes(single.color, batch.color.subarray(i * bytes, (i + 1) * bytes)), `colour ${i}`).toBe(true);
      expect(sameBytes(single.depth, batch.depth.subarray((i * bytes) / 3, ((i + 1) * bytes) / 3)), `depth ${i}`).toBe(true);
    }
    expect((await first.renderMany(requests)).depth.length).toBe(0);
    expect((await first.renderMany([])).color.length).toBe(0);
    first.destroy();
    second.destroy();
  });

  it("leaves the same images on the GPU as planar floats", async () => {
    const renderer = createCameraRenderer(gpu(), { width: 70, height: 30 });
    const requests = Array.from({ length: 3 }, (_, frame) => ({ scene: street(), frame }));
    const images = await renderer.renderMany(requests, { depth: true });
    const buffers = renderer.renderToBuffers(requests, { depth: true });
    expect(buffers.shape).toEqual([3, 6, 3, 30, 70]);
    if (buffers.depth === null) throw new Error("no depth");
    const [color, depth] = [await readFloats(buffers.color), await readFloats(buffers.depth)];
    const plane = 30 * 70;
    for (let i = 0; i < images.color.length; i++) {
      const [image, rest] = [Math.floor(i / (plane * 3)), i % (plane * 3)];
      const value = color[image * plane * 3 + (rest % 3) * plane + Math.floor(rest / 3)] ?? NaN;
      if (Math.abs(value * 255 - (images.color[i] ?? 0)) > 1e-3) throw new Error(`pixel ${i}: ${value * 255} and ${images.color[i]}`);
    }
    expect(depth.length).toBe(images.depth.length);
    images.depth.forEach((value, i) => {
      if (Math.abs((depth[i] ?? NaN) - value) > 1e-5 * value) throw new Error(`depth ${i}: ${depth[i]} and ${value}`);
    });
    expect(renderer.renderToBuffers(requests).depth).toBeNull();
    renderer.destroy();
  });

  it("tells fronts from backs and classes apart", async () => {
    const [x, y] = world(12, 0);
    const middleOf = async (turn: number, category: "car" | "bus"): Promise<Rgb[]> => {
      const renderer = createCameraRenderer(gpu(), { width: 400, height: 225 });
      const images = await renderer.render(stillScene({ ego: EGO, boxes: [{ category, x, y, yaw: EGO.yaw + turn }] }), 0);
      renderer.destroy();
      return Array.from({ length: 400 * 225 }, (_, i) => pixel(images, 0, i % 400, Math.floor(i / 400)));
    };
    const red = (pixels: Rgb[]): number => pixels.filter(([r, g, b]) => r > 190 && g < 60 && b < 60).length;
    const blue = (pixels: Rgb[]): number => pixels.filter((p) => Math.max(...p.map((value, i) => Math.abs(value / p[2] - AGENT_COLORS.car[i as 0] / AGENT_COLORS.car[2]))) < 0.05).length;
    const [back, front, bus] = [await middleOf(0, "car"), await middleOf(Math.PI, "car"), await middleOf(Math.PI, "bus")];
    expect(red(back)).toBeGreaterThan(50);
    expect(red(front)).toBe(0);
    expect(blue(back)).toBeGreaterThan(300);
    expect(blue(bus)).toBe(0);
  });

  it("draws any size, any camera, and a scene without anything", async () => {
    const empty = stillScene({ ego: { x: 0, y: 0, yaw: 0 } });
    for (const [width, height, count] of [[1, 1, 6], [5, 7, 1], [300, 3, 2]] as const) {
      const renderer = createCameraRenderer(gpu(), { width, height, cameras: nuscenesRig().slice(0, count) });
      const images = await renderer.render(empty, 0);
      expect(images.color.length).toBe(count * width * height * 3);
      expect(images.color.every((value) => value > 50)).toBe(true);
      renderer.destroy();
    }
  });

  it("refuses what it cannot draw before it draws anything", async () => {
    for (const options of [{ width: 0, height: 5 }, { width: 5.5, height: 5 }, { width: 5, height: 1e6 }, { ...SIZE, cameras: [] }, { ...SIZE, range: 0 }]) {
      expect(() => createCameraRenderer(gpu(), options)).toThrow(RenderError);
    }
    const renderer = createCameraRenderer(gpu(), SIZE);
    await expect(renderer.renderMany([{ scene: street(), frame: 0 }, { scene: street(), frame: 99 }])).rejects.toThrow(/no such frame, expected 0\.\.3, got 99/);
    expect(() => renderer.renderToBuffers(new Array(9000).fill({ scene: street(), frame: 0 }))).toThrow(RenderError);
    renderer.destroy();
  });

  it("puts a strip's pictures where the cameras look", async () => {
    const cameras = nuscenesRig();
    const renderer = createCameraRenderer(gpu(), SIZE);
    const images = await renderer.render(street(), 0);
    renderer.destroy();
    const png = decode(cameraStrip(images, cameras));
    expect([png.width, png.height, png.channels]).toEqual([3 * 114 - 2, 2 * 66 - 2, 3]);
    cameras.forEach(({ name }, view) => {
      const column = name.endsWith("LEFT") ? 0 : name.endsWith("RIGHT") ? 2 : 1;
      const row = name.includes("FRONT") ? 0 : 1;
      const at = ((row * 66 + 40) * png.width + column * 114 + 30) * 3;
      expect([...png.data.subarray(at, at + 3)], name).toEqual(pixel(images, view, 30, 40));
    });
    expect(() => cameraStrip(images, cameras, 1)).toThrow(RenderError);
  });
});

async function readFloats(buffer: GPUBuffer): Promise<Float32Array> {
  const staging = gpu().createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = gpu().createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  gpu().queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  return new Float32Array(staging.getMappedRange().slice(0));
}

const scenePath = sharedPath("data", "scenarionet", "scene-0061.pkl");
const samplePath = sharedPath("data", "nuscenes-sample");

/** The parts of the sample's files used here. */
interface Sample {
  readonly cameras: Record<string, { intrinsics: number[][]; sensor2ego: { rotation: number[][]; translation: number[] } }>;
}
interface SampleBoxes {
  readonly boxes: readonly { category: string; num_lidar_pts: number; global: { center: number[] } }[];
}

describe.skipIf(device === undefined || scenePath === null || samplePath === null)("a real scene seen by the car's real cameras [gpu]", () => {
  it("has agents where the annotations project, at their distance", async () => {
    const [scene] = await loadScenes(scenePath ?? "");
    if (scene === undefined) throw new Error("no scene");
    const sample = JSON.parse(await readFile(`${samplePath}/nuscenes_sample_calib.json`, "utf8")) as Sample;
    const { boxes } = JSON.parse(await readFile(`${samplePath}/boxes.json`, "utf8")) as SampleBoxes;
    const cameras = Object.entries(sample.cameras).map(([name, { intrinsics, sensor2ego }]) =>
      cameraFromCalibration(name, intrinsics.flat(), sensor2ego.rotation.flat(), sensor2ego.translation),
    );
    const size = { width: 400, height: 225 };
    const renderer = createCameraRenderer(gpu(), { ...size, cameras, samples: 1 });
    const images = await renderer.render(scene, 0);
    renderer.destroy();
    const ego = egoPose(scene, 0);
    const placed = placeBoxes(scene, 0, 100);
    let [seen, matched] = [0, 0];
    for (const { num_lidar_pts, global } of boxes) {
      // Boxes hit by many lidar points are not hidden.
      if (num_lidar_pts < 10) continue;
      const [x = 0, y = 0] = global.center;
      const box = placed.find((other) => Math.hypot(other.x - x, other.y - y) < 0.5);
      if (box === undefined) continue;
      const corners = boxCornersInEgo(box, ego);
      const centre = Float64Array.from([0, 1, 2], (axis) => ((corners[axis] ?? 0) + (corners[21 + axis] ?? 0)) / 2);
      cameras.forEach((camera, view) => {
        const [u = NaN, v = NaN, depth = 0] = projectToImage(centre, camera, size);
        if (!(u >= 0 && u < size.width && v >= 0 && v < size.height) || depth > 60) return;
        seen++;
        const drawn = images.depth[(view * size.height + Math.floor(v)) * size.width + Math.floor(u)] ?? 0;
        if (Math.abs(drawn - depth) < Math.hypot(...box.size) / 2) matched++;
      });
    }
    expect(seen).toBeGreaterThan(15);
    expect(matched / seen).toBeGreaterThan(0.8);
  });
});
