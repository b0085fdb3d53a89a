import { dataSeed, exact, f32, lawRuns, openTestDevice, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../errors.js";
import { portableTarget, targetOf } from "../target.js";
import { expectAgreement } from "../testing/agreement.js";
import { pack, packLength } from "./pack.js";

describe("pack [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("puts parts of any length side by side, zeros between them, or adds them to what is there", async (context) => {
    if (device === undefined) return context.skip();
    const own = device;
    const lengths = fc.array(fc.oneof(fc.constantFrom(0, 1, 4, 63, 64, 65), fc.integer({ min: 0, max: 3000 })), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(lengths, fc.boolean(), fc.boolean(), dataSeed, async (parts, accumulate, portable, seed) => {
        // All parts vectors or none, one part or fifteen: few shaders to compile.
        const whole = seed % 3 > 0;
        const count = parts.length >= 7 ? 15 : 1;
        const used = Array.from({ length: count }, (_, i) => parts[i % parts.length] ?? 0).map((n) => (whole ? 4 * Math.ceil(n / 4) : 2 * n + 1));
        const shape = { lengths: used, alignment: 64, accumulate };
        const inputs: Record<string, Float32Array> = {};
        used.forEach((length, i) => {
          if (length > 0) inputs[`x${i}`] = uniformData(length, seed + i);
        });
        if (accumulate) Object.assign(inputs, { y: uniformData(packLength(shape), seed - 1), restart: Float32Array.of(seed % 2) });
        const work = pack(shape, portable ? portableTarget : targetOf(own));
        if (work.kernels.length === 0) return;
        await expectAgreement(own, work, inputs, { y: accumulate ? f32 : exact }, { shape: used, seed });
      }),
      lawRuns({ runs: 100, name: "pack" }),
    );
  });

  it("refuses no parts and odd alignments", () => {
    expect(() => pack({ lengths: [], alignment: 64, accumulate: false }, portableTarget)).toThrow(ShapeError);
    expect(() => pack({ lengths: [4], alignment: 6, accumulate: false }, portableTarget)).toThrow(/multiple of 4/);
    expect(() => pack({ lengths: [-1], alignment: 64, accumulate: false }, portableTarget)).toThrow(ShapeError);
  });
});
