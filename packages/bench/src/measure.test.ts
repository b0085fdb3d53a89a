import { describe, expect, it } from "vitest";
import { ContenderError, interleave, maxRelativeError, ratioOf, timingOf } from "./measure.js";
import type { Prepared } from "./libraries/library.js";

describe("timingOf", () => {
  it("gives median and deciles, between samples where they fall between", () => {
    expect(timingOf([4, 1, 3, 2])).toEqual({ medianMs: 2.5, p10Ms: 1.3, p90Ms: expect.closeTo(3.7, 12) as number });
    expect(timingOf([7])).toEqual({ medianMs: 7, p10Ms: 7, p90Ms: 7 });
  });
});

describe("ratioOf", () => {
  it("is not moved by spells that slow whole rounds, nor by a few samples", () => {
    const speed = [1, 1, 1, 3, 3, 3, 3];
    const before = speed.map((slowdown) => 10 * slowdown);
    const after = speed.map((slowdown, round) => 20 * slowdown * (round === 2 ? 5 : 1));
    expect(ratioOf(after, before)).toBe(2);
    expect(ratioOf([6, 6, 6], [1, 2, 3])).toBe(3);
  });
});

describe("maxRelativeError", () => {
  it("is relative to the largest value of each tensor", () => {
    expect(maxRelativeError({ a: Float32Array.of(1, 10), b: Float32Array.of(2) }, { a: Float64Array.of(1, 8), b: Float64Array.of(2) })).toBeCloseTo(0.25, 12);
    expect(maxRelativeError({ a: Float32Array.of(0) }, { a: Float64Array.of(0) })).toBe(0);
  });

  it("counts missing, short and non-finite results as infinitely wrong", () => {
    for (const a of [undefined, Float32Array.of(1), Float32Array.of(1, Number.NaN), Float32Array.of(1, Infinity)]) {
      expect(maxRelativeError(a ? { a } : {}, { a: Float64Array.of(1, 2) })).toBe(Infinity);
    }
  });
});

describe("interleave", () => {
  it("warms up, alternates the libraries and repeats short work within a sample", async () => {
    const log: string[] = [];
    const work = (name: string, milliseconds: number): Prepared => ({
      launch: () => void log.push(name),
      settle: () => {
        log.push(`${name}.`);
        return milliseconds === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, milliseconds));
      },
      read: () => Promise.resolve({}),
      dispose: () => undefined,
    });
    const samples = await interleave([work("a", 12), work("b", 12)], { runs: 4, sampleMs: 10 });
    expect(samples.map((own) => own.length)).toEqual([4, 4]);
    const order = log.filter((entry) => entry.endsWith(".")).map((entry) => entry[0]).join("");
    expect(order).toBe("aaabbb" + "ab" + "abbaabba");
    log.length = 0;
    await interleave([work("c", 0)], { runs: 1, sampleMs: 10 });
    const launches = log.filter((entry) => entry === "c").length;
    expect(launches).toBeGreaterThan(5);
  });

  it("names the library that fails while it is timed", async () => {
    const nothing = (launch: () => void): Prepared => ({ launch, settle: () => Promise.resolve(), read: () => Promise.resolve({}), dispose: () => undefined });
    const failing = nothing(() => {
      throw new Error("device lost");
    });
    const failed = await interleave([nothing(() => undefined), failing], { runs: 2, sampleMs: 1 }).catch((cause: unknown) => cause);
    expect(failed).toBeInstanceOf(ContenderError);
    expect(failed).toMatchObject({ index: 1, message: "device lost" });
  });
});
