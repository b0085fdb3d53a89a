import { describe, expect, it } from "vitest";
import { randomBits, randomKey, threefry2x32, unitFloat } from "./threefry.js";

describe("threefry2x32", () => {
  // Known-answer vectors of the Random123 distribution (kat_vectors, threefry2x32 with 20 rounds).
  it.each([
    [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
    [[0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], [0x1cb996fc, 0xbb002be7]],
    [[0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3], [0xc4923a9c, 0x483df7a0]],
  ] as const)("key %j counter %j", (key, counter, expected) => {
    expect(threefry2x32(key[0], key[1], counter[0], counter[1])).toEqual(expected);
  });

  it("gives every op, step and seed its own numbers", () => {
    const bits = [randomBits(randomKey(1, 0), 0, 7), randomBits(randomKey(2, 0), 0, 7), randomBits(randomKey(1, 1), 0, 7), randomBits(randomKey(1, 0), 1, 7), randomBits(randomKey(1, 0), 0, 8)];
    expect(new Set(bits).size).toBe(5);
  });

  it("keeps seeds and steps beyond 32 bits", () => {
    expect([...randomKey(2 ** 40 + 3, 5)]).toEqual([3, 256, 5, 0]);
  });

  it("is uniform in [0, 1): mean, variance and bounds of 20000 draws", () => {
    const key = randomKey(11, 3);
    const draws = Array.from({ length: 20000 }, (_, index) => unitFloat(randomBits(key, 2, index)));
    const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / draws.length));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.003);
    expect(unitFloat(0xffffffff)).toBeLessThan(1);
    expect(Math.fround(unitFloat(0xffffffff))).toBe(unitFloat(0xffffffff));
  });
});
