import { checkGradient, compare, dataSeed, dims, f32, f32Reduce, lawRuns, openTestDevice, readNpz, sharedPath, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { runKernel } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { boxOverlap } from "./box-overlap.js";
import { boxOverlapReference, gapBetween } from "./overlap-reference.js";
import { projectPoints, projectPointsBackward } from "./project-points.js";
import { rotatePoints, rotatePointsBackward, rotatePointsPosesBackward } from "./rotate-points.js";

const rotations = fc.record({ rows: dims({ tile: 8 }), count: dims({ tile: 12 }) });
const projections = fc.record({ batch: dims({ tile: 2, max: 3 }), points: dims({ tile: 13, max: 20 }), cameras: dims({ tile: 6, max: 7 }) });

/** Camera matrices whose depths lie well away from zero for points within 2 m. */
function cameras({ batch, points, cameras: count }: { readonly batch: number; readonly points: number; readonly cameras: number }, seed: number) {
  const projection = uniformData(batch * count * 16, seed).map((value, i) => (i % 16 === 11 ? (value > 0 ? 8 : -8) : value));
  return { points: uniformData(batch * points * 3, seed + 1, -2, 2), projection, size: uniformData(batch * count * 2, seed + 2, 0.5, 2) };
}

describe("geometry [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("rotates points as the reference does, forward and backward, for any yaw", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(rotations, fc.constantFrom(1, 7), dataSeed, async (shape, turn, seed) => {
        const { rows, count } = shape;
        const target = targetOf(own);
        const poses = uniformData(rows * 3, seed, -turn, turn);
        const [points, dy] = [uniformData(rows * count * 2, seed + 1, -2, 2), uniformData(rows * count * 2, seed + 2)];
        const tolerance = f32Reduce(2, 4 * turn);
        await expectAgreement(own, rotatePoints(shape, target), { points, poses }, { y: tolerance }, { shape, seed });
        await expectAgreement(own, rotatePointsBackward(shape, target), { dy, poses }, { dpoints: tolerance }, { shape, seed });
        await expectAgreement(own, rotatePointsPosesBackward(shape, target), { points, poses, dy }, { dposes: f32Reduce(2 * count, 4 * turn) }, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "rotatePoints" }),
    );
  });

  it("projects points as the reference does, forward and backward, points behind cameras included", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(projections, dataSeed, async (sizes, seed) => {
        const shape = { ...sizes, minDepth: 0.5 };
        const inputs = cameras(shape, seed);
        const dlocation = uniformData(shape.batch * shape.points * shape.cameras * 2, seed + 3);
        await expectAgreement(own, projectPoints(shape, targetOf(own)), inputs, { location: f32Reduce(4, 16) }, { shape, seed });
        await expectAgreement(own, projectPointsBackward(shape, targetOf(own)), { ...inputs, dlocation }, { dpoints: f32Reduce(6 * shape.cameras, 64) }, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "projectPoints" }),
    );
  });

  it("finds overlapping boxes and their shared area as the reference does", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(fc.record({ batch: dims({ tile: 2, max: 3 }), countA: dims({ tile: 4, max: 9 }), countB: dims({ tile: 4, max: 9 }) }), dataSeed, async (shape, seed) => {
        const { batch, countA, countB } = shape;
        const boxes = (count: number, from: number): Float32Array =>
          uniformData(batch * count * 5, from).map((value, i) => [4 * value, 4 * value, 2.5 + 2 * value, 1.5 + value, 4 * value][i % 5] ?? value);
        const [a, b] = [boxes(countA, seed), boxes(countB, seed + 1)];
        const wide = { a: Float64Array.from(a), b: Float64Array.from(b) };
        const { overlap = [], iou = [] } = await runKernel(own, boxOverlap(shape, targetOf(own)), { a, b });
        const expected = boxOverlapReference(shape, wide);
        compare(iou, expected.iou, f32Reduce(64), { op: "boxOverlap iou", shape, seed });
        // Where boxes all but touch, rounding decides.
        const clear = expected.overlap.map((_, pair) => (Math.abs(gapBetween(wide.a, Math.floor(pair / countB), wide.b, Math.floor(pair / countB / countA) * countB + (pair % countB))) > 1e-4 ? 1 : 0));
        compare(Array.from(overlap, (value, i) => value * (clear[i] ?? 0)), expected.overlap.map((value, i) => value * (clear[i] ?? 0)), { name: "exact", absolute: 0, relative: 0 }, { op: "boxOverlap", shape, seed });
      }),
      lawRuns({ runs: 100, name: "boxOverlap" }),
    );
  });

  it("knows crossed, equal, touching, contained and empty boxes", async (context) => {
    if (device === undefined) return context.skip();
    const a = Float32Array.of(0, 0, 4, 2, 0);
    const b = Float32Array.of(0, 0, 2, 4, 0, 0, 0, 4, 2, 0, 4, 0, 4, 2, 0, 0.5, 0, 2, 1, 0, 0, 0, 0, 0, 0, 5, 0, 4, 2, 0, 0, 0, 4, 2, Math.PI / 2);
    const outputs = await expectAgreement(device, boxOverlap({ batch: 1, countA: 1, countB: 7 }, targetOf(device)), { a, b }, { iou: f32 });
    expect([...outputs("overlap")]).toEqual([1, 1, 1, 1, 1, 0, 1]);
    compare(outputs("iou"), [4 / 12, 1, 0, 0.25, 0, 0, 4 / 12], f32, { op: "boxOverlap" });
  });

  it("reproduces the published rotation and projection", async (context) => {
    const [anchors, aggregation] = [sharedPath("golden", "unit_anchor.npz"), sharedPath("golden", "unit_deformagg.npz")];
    if (device === undefined || anchors === null || aggregation === null) return context.skip();
    const anchor = readNpz(anchors);
    const yaw = anchor.get("agent2lidar.yaw").numbers();
    const poses = Float32Array.from({ length: 3 * yaw.length }, (_, i) => (i % 3 === 2 ? (yaw[Math.floor(i / 3)] ?? 0) : 0));
    const { y = [] } = await runKernel(device, rotatePoints({ rows: yaw.length, count: 72 }, targetOf(device)), { points: Float32Array.from(anchor.get("agent2lidar.traj").numbers()), poses });
    compare(y, anchor.get("agent2lidar.out").numbers(), f32Reduce(2, 8), { op: "agent2lidar" });

    const golden = readNpz(aggregation);
    const of = (name: string): Float32Array => Float32Array.from(golden.get(`dfg.${name}`).numbers());
    const { location = [] } = await runKernel(device, projectPoints({ batch: 2, points: 65, cameras: 3 }, targetOf(device)), { points: of("key_points"), projection: of("projection_mat"), size: of("image_wh") });
    // Published order: cameras before points.
    const expected = of("points_2d");
    const arranged = Float32Array.from(location, (_, i) => expected[(Math.floor(i / 390) * 3 + (Math.floor(i / 2) % 3)) * 130 + (Math.floor(i / 6) % 65) * 2 + (i % 2)] ?? 0);
    compare(location, arranged, { name: "published float32", absolute: 1e-5, relative: 1e-4 }, { op: "points_2d" });
  });
});

describe("geometry gradients", () => {
  it("of a rotation match central differences for points and poses", () => {
    fc.assert(
      fc.property(rotations, dataSeed, (shape, seed) => {
        const size = shape.rows * shape.count * 2;
        const parts = (all: Float64Array) => ({ points: all.slice(0, size), poses: all.slice(size) });
        const point = Float64Array.from(uniformData(size + shape.rows * 3, seed, -2, 2));
        checkGradient({
          op: "rotatePoints",
          seed,
          point,
          forward: (moved) => rotatePoints(shape, portableTarget).reference(parts(moved))["y"] ?? moved,
          backward: (dy) => Float64Array.of(...(rotatePointsBackward(shape, portableTarget).reference({ ...parts(point), dy })["dpoints"] ?? []), ...(rotatePointsPosesBackward(shape, portableTarget).reference({ ...parts(point), dy })["dposes"] ?? [])),
        });
      }),
      lawRuns({ runs: 100, name: "rotatePoints gradient" }),
    );
  });

  it("of a projection match central differences for the points", () => {
    fc.assert(
      fc.property(projections, dataSeed, (sizes, seed) => {
        const shape = { ...sizes, minDepth: 0.5 };
        const inputs = cameras(shape, seed);
        const [projection, size] = [Float64Array.from(inputs.projection), Float64Array.from(inputs.size)];
        const points = Float64Array.from(inputs.points);
        checkGradient({
          op: "projectPoints",
          seed,
          point: points,
          forward: (moved) => projectPoints(shape, portableTarget).reference({ points: moved, projection, size })["location"] ?? moved,
          backward: (dlocation) => projectPointsBackward(shape, portableTarget).reference({ points, projection, size, dlocation })["dpoints"] ?? points,
        });
      }),
      lawRuns({ runs: 100, name: "projectPoints gradient" }),
    );
  });
});
