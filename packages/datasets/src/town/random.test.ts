import { describe, expect, it } from "vitest";
import { philox4x32, Random, STREAMS } from "./random.js";

describe("Philox-4x32-10", () => {
  it("gives the known answers of Random123", () => {
    expect(philox4x32([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    expect(philox4x32([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    expect(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))
      .toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
  });

  it("is uniform to the eye: mean, variance and weights of 20000 numbers", () => {
    const random = new Random([7, 0], STREAMS.scene);
    const numbers = Array.from({ length: 20000 }, () => random.uniform());
    const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
    expect(mean).toBeCloseTo(0.5, 2);
    expect(variance).toBeCloseTo(1 / 12, 2);
    const counts = [0, 0, 0];
    for (let k = 0; k < 20000; k++) {
      const drawn = random.weighted([0.5, 0.3, 0.2]);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    counts.forEach((count, index) => expect(count / 20000).toBeCloseTo([0.5, 0.3, 0.2][index] as number, 1));
  });
});
