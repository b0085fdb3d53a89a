import { describe, expect, test } from "vitest";
import { learningRateAt, optimizerSchema } from "./schedule.js";

describe("learningRateAt", () => {
  const config = optimizerSchema.parse({ learningRate: 2, warmupSteps: 4, finalFraction: 0.1 });

  test("rises linearly, from the first step on, to the peak", () => {
    expect([0, 1, 2, 3].map((step) => learningRateAt(config, step, 100))).toEqual([0.5, 1, 1.5, 2]);
  });

  test("rises from a given fraction of the peak, as published: a third, over 500 steps", () => {
    const published = { ...config, learningRate: 3, warmupSteps: 500, warmupFrom: 1 / 3, finalFraction: 1e-3 };
    expect([0, 250, 500].map((step) => learningRateAt(published, step, 1500))).toEqual([1, 2, 3]);
    expect(learningRateAt(published, 1500, 1500)).toBeCloseTo(3e-3, 12);
  });

  test("falls along half a cosine to finalFraction of the peak, and stays there", () => {
    expect(learningRateAt(config, 4, 104)).toBe(2);
    expect(learningRateAt(config, 54, 104)).toBeCloseTo(2 * (0.1 + 0.9 / 2), 12);
    expect(learningRateAt(config, 29, 104)).toBeCloseTo(2 * (0.1 + 0.45 * (1 + Math.SQRT1_2)), 12);
    expect(learningRateAt(config, 104, 104)).toBeCloseTo(0.2, 12);
    expect(learningRateAt(config, 500, 104)).toBeCloseTo(0.2, 12);
    for (let step = 4; step < 104; step++) expect(learningRateAt(config, step + 1, 104)).toBeLessThan(learningRateAt(config, step, 104));
  });

  test("stays at the peak with the constant schedule", () => {
    const constant = { ...config, schedule: "constant" as const };
    expect([4, 50, 500].map((step) => learningRateAt(constant, step, 100))).toEqual([2, 2, 2]);
  });

  test("is a number at the borders: no warm-up, or a run that ends within it", () => {
    expect(learningRateAt({ ...config, warmupSteps: 0 }, 0, 1)).toBe(2);
    expect(learningRateAt(config, 1, 2)).toBe(1);
    expect(learningRateAt(config, 4, 4)).toBe(2);
  });
});
