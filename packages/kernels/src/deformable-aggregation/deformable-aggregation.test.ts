import { checkGradient, compare, dataSeed, dims, f32Reduce, lawRuns, openTestDevice, readNpz, sharedPath, uniformData, uniformSource } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { sequenceOf } from "../kernel.js";
import type { KernelSequence, KernelTarget } from "../kernel.js";
import { runSequence } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { deformableAggregation, deformableAggregationPointsBackward } from "./deformable-aggregation.js";
import { deformableAggregationFeaturesBackward } from "./features-backward.js";
import { deformableAggregationReference, deformableFeaturesReference, deformablePointsReference } from "./reference.js";
import { deformableSizes } from "./shape.js";
import type { DeformableAggregationShape } from "./shape.js";

const side = fc.integer({ min: 1, max: 6 });
const shapes: fc.Arbitrary<DeformableAggregationShape> = fc
  .record({
    batch: dims({ tile: 2, max: 3 }),
    queries: dims({ tile: 4, max: 6 }),
    points: dims({ tile: 2, max: 4 }),
    cameras: dims({ tile: 2, max: 3 }),
    levels: fc.array(fc.record({ height: side, width: side }), { maxLength: 3 }),
    groups: fc.constantFrom(1, 2, 3),
    each: fc.constantFrom(1, 3, 4, 8, 16),
  })
  .map(({ each, ...rest }) => ({ ...rest, channels: rest.groups * each }));

/** Locations in and around the images, away from where a sample changes its cell or an image ends. */
function locations(shape: DeformableAggregationShape, seed: number): Float32Array {
  const next = uniformSource(seed);
  const clear = (value: number, size: number): boolean => Math.abs(value * size - 0.5 - Math.round(value * size - 0.5)) > 1e-3;
  const draw = (sizes: readonly number[]): number => {
    for (;;) {
      const value = Math.fround(-0.2 + 1.4 * next());
      if (Math.abs(value) > 1e-3 && Math.abs(value - 1) > 1e-3 && sizes.every((size) => clear(value, size))) return value;
    }
  };
  const [widths, heights] = [shape.levels.map(({ width }) => width), shape.levels.map(({ height }) => height)];
  return Float32Array.from({ length: deformableSizes("test", shape).location }, (_, i) => draw(i % 2 === 0 ? widths : heights));
}

function data(shape: DeformableAggregationShape, seed: number): { features: Float32Array; location: Float32Array; weights: Float32Array; dy: Float32Array } {
  const sizes = deformableSizes("test", shape);
  return { features: uniformData(sizes.features, seed), location: locations(shape, seed + 1), weights: uniformData(sizes.weights, seed + 2), dy: uniformData(sizes.output, seed + 3) };
}

/** The other candidate of an operation than its rules take. */
const untuned = (target: KernelTarget): KernelTarget => ({ ...target, tuning: { choose: (_, candidates) => candidates.at(-1)?.name } });

describe("deformableAggregation [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("agrees with the reference, forward and backward, on this target and on a GPU's", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), fc.boolean(), dataSeed, async (shape, portable, other, seed) => {
        const base = portable ? portableTarget : targetOf(own);
        const target = other ? untuned(base) : base;
        const { features, location, weights, dy } = data(shape, seed);
        const note = { shape, seed };
        const samples = shape.points * shape.cameras * shape.levels.length;
        await expectAgreement(own, deformableAggregation(shape, target), { features, location, weights }, { y: f32Reduce(4 * samples) }, note);
        const slope = f32Reduce(4 * shape.channels * shape.levels.length, 6);
        await expectAgreement(own, deformableAggregationPointsBackward(shape, target), { features, location, weights, dy }, { dlocation: slope, dweights: slope }, note);
        const backward = deformableAggregationFeaturesBackward(shape, target);
        const sums = await expectAgreement(own, backward, { location, weights, dy }, { dfeatures: f32Reduce(4 * samples * shape.queries) }, note);
        const plain = deformableFeaturesReference(shape, { location: Float64Array.from(location), weights: Float64Array.from(weights), dy: Float64Array.from(dy) });
        compare(sums("dfeatures"), plain.dfeatures, f32Reduce(4 * samples * shape.queries), { op: "dfeatures", ...note });
      }),
      lawRuns({ runs: 100, name: "deformableAggregation" }),
    );
  });

  it("gives the same bits twice where many samples share a pixel", async (context) => {
    if (device === undefined) return context.skip();
    const shape = { batch: 1, queries: 300, points: 5, cameras: 2, levels: [{ height: 3, width: 4 }, { height: 1, width: 1 }], groups: 2, channels: 32 };
    const { location, weights, dy } = data(shape, 11);
    for (const target of [targetOf(device), portableTarget]) {
      const backward = deformableAggregationFeaturesBackward(shape, target);
      const [first, second] = [await runSequence(device, backward, { location, weights, dy }), await runSequence(device, backward, { location, weights, dy })];
      expect(first["dfeatures"]).toEqual(second["dfeatures"]);
      const wide = { location: Float64Array.from(location), weights: Float64Array.from(weights), dy: Float64Array.from(dy) };
      compare(first["dfeatures"] ?? [], deformableFeaturesReference(shape, wide).dfeatures, f32Reduce(3000), { op: "dfeatures" });
    }
  });

  it("reproduces the published operator and its gradients", async (context) => {
    const path = sharedPath("golden", "unit_deformagg.npz");
    if (device === undefined || path === null) return context.skip();
    const own = device;
    const golden = readNpz(path);
    for (const name of ["case0", "case1"]) {
      const of = (field: string): Float32Array => Float32Array.from(golden.get(`${name}.${field}`).numbers());
      const [batch = 0, queries = 0, points = 0, cameras = 0, levelCount = 0, groups = 0] = golden.get(`${name}.weights`).shape;
      const sides = golden.get(`${name}.spatial_shape`).numbers();
      const levels = Array.from({ length: levelCount }, (_, i) => ({ height: sides[2 * i] ?? 0, width: sides[2 * i + 1] ?? 0 }));
      const shape = { batch, queries, points, cameras, levels, groups, channels: golden.get(`${name}.feat`).shape[2] ?? 0 };
      const inputs = { features: of("feat"), location: of("sampling_location"), weights: of("weights"), dy: of("cot") };
      const expected = { y: of("out"), dlocation: of("grad_location"), dweights: of("grad_weights"), dfeatures: of("grad_feat") };
      const sequences: KernelSequence[] = [];
      for (const target of [targetOf(own), portableTarget]) {
        sequences.push(sequenceOf(deformableAggregation(shape, target)), deformableAggregationPointsBackward(shape, target), deformableAggregationFeaturesBackward(shape, target));
      }
      for (const sequence of sequences) {
        for (const [output, values] of Object.entries(await runSequence(own, sequence, inputs))) {
          const wanted = expected[output as keyof typeof expected];
          const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          compare(values, wanted, { name: "published float32", absolute: 1e-5 * largest, relative: 1e-5 }, { op: `${name} ${sequence.name} ${output}` });
        }
      }
    }
  });

  it("refuses groups that do not divide the channels, and too many levels", () => {
    const shape = { batch: 1, queries: 1, points: 1, cameras: 1, levels: [{ height: 2, width: 2 }], groups: 3, channels: 8 };
    expect(() => deformableAggregation(shape, portableTarget)).toThrow(ShapeError);
    expect(() => deformableAggregation({ ...shape, groups: 2, levels: Array.from({ length: 9 }, () => ({ height: 1, width: 1 })) }, portableTarget)).toThrow(/at most 8, got 9/);
  });
});

describe("deformableAggregation gradients", () => {
  it("match central differences for features, locations and weights", () => {
    fc.assert(
      fc.property(shapes, dataSeed, (shape, seed) => {
        const { features, location, weights } = data(shape, seed);
        const [afterFeatures, afterLocation] = [features.length, features.length + location.length];
        const parts = (all: Float64Array) => ({ features: all.slice(0, afterFeatures), location: all.slice(afterFeatures, afterLocation), weights: all.slice(afterLocation) });
        const point = Float64Array.of(...features, ...location, ...weights);
        checkGradient({
          op: "deformableAggregation",
          seed,
          point,
          forward: (moved) => deformableAggregationReference(shape, parts(moved)).y,
          backward: (dy) => {
            const inputs = { ...parts(point), dy };
            const { dlocation, dweights } = deformablePointsReference(shape, inputs);
            return Float64Array.of(...deformableFeaturesReference(shape, inputs).dfeatures, ...dlocation, ...dweights);
          },
        });
      }),
      lawRuns({ runs: 100, name: "deformableAggregation gradient" }),
    );
  });
});
