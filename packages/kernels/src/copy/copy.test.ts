import { dataSeed, dims, exact, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { runKernel } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { concat, split } from "./concat.js";
import { copy } from "./copy.js";
import { fill } from "./fill.js";
import { pad } from "./pad.js";
import { contiguousStrides, elementsOf } from "./reference.js";
import { slice, stridedCopy } from "./strided-copy.js";

/** Small ones of any rank, and some with enough rows for the walk along rows. */
const extents = fc.oneof(fc.array(dims({ tile: 4, max: 9 }), { minLength: 0, maxLength: 5 }), fc.tuple(fc.constantFrom(63, 64, 300), fc.integer({ min: 3, max: 5 }), fc.constantFrom(2, 3, 4, 8)).map((shape): number[] => shape));

describe("copies [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("slice and pad agree with the reference and undo each other", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    const borders = fc.array(fc.constantFrom(0, 0, 1, 4), { minLength: 5, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(extents, borders, borders, dataSeed, async (shape, first, second, seed) => {
        const x = uniformData(elementsOf(shape), seed);
        const before = first.slice(0, shape.length);
        const after = second.slice(0, shape.length);
        const padded = shape.map((extent, axis) => extent + (before[axis] ?? 0) + (after[axis] ?? 0));
        for (const target of [targetOf(own), portableTarget]) {
          const wide = await expectAgreement(own, pad({ shape, before, after, value: 0.1 }, target), { x }, {}, { shape, seed });
          const back = await expectAgreement(own, slice({ shape: padded, start: before, size: shape }, target), { x: Float32Array.from(wide("y")) }, {}, { shape: padded, seed });
          expect([...back("y")]).toEqual([...x]);
        }
      }),
      lawRuns({ runs: 100, name: "slice and pad" }),
    );
  });

  it("copies any dtype bit for bit", async (context) => {
    if (device === undefined) return context.skip();
    const words = Uint32Array.from({ length: 1027 }, (_, i) => Math.imul(i, 0x9e3779b9));
    for (const [length, target] of [[0, portableTarget], [1, portableTarget], [1027, portableTarget], [1024, targetOf(device)]] as const) {
      const x = words.slice(0, length);
      expect((await runKernel(device, copy({ length, dtype: "u32" }, target), { x }))["y"]).toEqual(x);
      // The same bits as float32, many of which are not numbers: only their bits can be compared.
      const y = (await runKernel(device, copy({ length }, target), { x: new Float32Array(x.buffer) }))["y"] ?? new Float32Array(0);
      expect(new Uint32Array(y.buffer, y.byteOffset, y.length)).toEqual(x);
    }
    expect(() => copy({ length: -1 }, portableTarget)).toThrow("copy: bad size length, expected an integer >= 0, got -1");
  });

  it("copies between strided views and leaves the rest alone", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }), fc.constantFrom(1, 2, 4), fc.constantFrom(0, 3, 4), dataSeed, async (shape, gap, offset, seed) => {
        // A view with gaps along every axis on one side, and one that repeats its source along the first axis on the other.
        const spread = contiguousStrides(shape.map((extent) => extent * gap)).map((stride, axis) => (axis === shape.length - 1 ? 1 : stride));
        const span = shape.reduce((sum, extent, axis) => sum + (extent - 1) * (spread[axis] ?? 0), 1 + offset);
        const repeated = contiguousStrides(shape).map((stride, axis) => (axis === 0 ? 0 : stride));
        const srcLength = Math.max(1, elementsOf(shape.slice(1)));
        const copy = { shape, srcStrides: repeated, srcOffset: 0, srcLength, dstStrides: spread, dstOffset: offset, dstLength: span + 2 };
        const kernel = stridedCopy(copy, targetOf(own));
        await expectAgreement(own, kernel, { x: uniformData(srcLength, seed), y: uniformData(span + 2, seed + 1) }, {}, { shape, seed });
        const back = stridedCopy({ shape, srcStrides: spread, srcOffset: offset, srcLength: span + 2, dstStrides: contiguousStrides(shape), dstOffset: 0, dstLength: elementsOf(shape) }, targetOf(own));
        await expectAgreement(own, back, { x: uniformData(span + 2, seed + 1) }, {}, { shape, seed });
      }),
      lawRuns({ runs: 100, name: "strided copy" }),
    );
  });

  it("concat and split agree with the reference and undo each other, also beyond the binding limit", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    // Few numbers of parts, as each is a shader of its own.
    const widths = fc.constantFrom(1, 2, 9).chain((parts) => fc.array(fc.oneof(dims({ tile: 4 }), fc.constantFrom(0, 4, 8)), { minLength: parts, maxLength: parts }));
    await fc.assert(
      fc.asyncProperty(fc.oneof(dims({ tile: 4 }), fc.constantFrom(255, 256)), widths, dataSeed, async (outer, parts, seed) => {
        const shape = { outer, widths: parts };
        const inputs = Object.fromEntries(parts.map((width, number) => [`x${number}`, uniformData(outer * width, seed + number)]));
        const joined = await expectAgreement(own, concat(shape, targetOf(own)), inputs, {}, { shape, seed });
        const apart = await expectAgreement(own, split(shape, targetOf(own)), { x: Float32Array.from(joined("y")) }, {}, { shape, seed });
        parts.forEach((_, number) => expect([...apart(`y${number}`)]).toEqual([...(inputs[`x${number}`] ?? [])]));
      }),
      lawRuns({ runs: 100, name: "concat and split" }),
    );
    const many = { outer: 1, widths: Array.from({ length: 60 }, () => 1) };
    expect(concat(many, portableTarget).kernels.length).toBe(9 + 2 + 1);
    const single = Object.fromEntries(many.widths.map((_, number) => [`x${number}`, Float32Array.of(number)]));
    const outputs = await expectAgreement(own, concat(many, portableTarget), single, {});
    expect([...outputs("y")]).toEqual(many.widths.map((_, number) => number));
  });

  it("moves four elements at a time where both sides allow it, and merges axes", () => {
    expect(slice({ shape: [4, 6, 8], start: [1, 0, 0], size: [2, 6, 8] }, portableTarget).name).toBe("slice.rank1.line.vec4");
    expect(slice({ shape: [4, 6, 8], start: [1, 2, 4], size: [2, 3, 4] }, portableTarget).name).toBe("slice.rank3.flat.vec4");
    expect(slice({ shape: [4, 6, 8], start: [1, 2, 3], size: [2, 3, 4] }, portableTarget).name).toBe("slice.rank3.flat.scalar");
    expect(pad({ shape: [4, 6, 8], before: [1, 0, 0], after: [0, 0, 0] }, portableTarget).name).toBe("pad.rank1.line.vec4");
  });

  it("keeps the bits of NaN and infinities", async (context) => {
    if (device === undefined) return context.skip();
    const x = new Float32Array(Uint32Array.of(0x7fc12345, 0xff800000, 0x00000001, 0x80000000).buffer);
    const { y } = await runKernel(device, slice({ shape: [4], start: [0], size: [4] }, targetOf(device)), { x });
    expect([...new Uint32Array(y?.buffer ?? new ArrayBuffer(0))]).toEqual([0x7fc12345, 0xff800000, 0x00000001, 0x80000000]);
  });

  it("fills any type and length", async (context) => {
    if (device === undefined) return context.skip();
    for (const length of [0, 1, 4, 1_027, 70_000]) {
      await expectAgreement(device, fill({ length, value: 0.1 }, targetOf(device)), {}, { y: exact });
      await expectAgreement(device, fill({ length, value: -7, dtype: "i32" }, targetOf(device)), {}, { y: exact });
    }
  });

  it("refuses views that leave their array", () => {
    const copy = { shape: [2, 3], srcStrides: [3, 1], srcOffset: 0, srcLength: 5, dstStrides: [3, 1], dstOffset: 0, dstLength: 6 };
    expect(() => stridedCopy(copy, portableTarget)).toThrow("stridedCopy: the view leaves the source, expected positions below 5, got 5");
    expect(() => slice({ shape: [3], start: [2], size: [2] }, portableTarget)).toThrow(ShapeError);
    expect(() => concat({ outer: 1, widths: [] }, portableTarget)).toThrow(ShapeError);
  });
});
