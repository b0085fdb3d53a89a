import { openTestDevice } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import type { Kernel } from "../kernel.js";
import { runKernel } from "../launch.js";
import { declare } from "../wgsl.js";
import { randomBits, randomKey, randomWgsl, threefry2x32, unitFloat } from "./threefry.js";

const device = await openTestDevice();

describe.skipIf(device === undefined)("[gpu] threefry2x32 in WGSL", () => {
  it("gives the bits and floats TypeScript gives, exactly", async () => {
    if (device === undefined) return;
    const count = 1000;
    const opId = 0xfedcba98;
    const key = randomKey(2 ** 45 + 12345, 2 ** 33 + 7);
    const bindings: Kernel["bindings"] = [
      { name: "key", access: "read", dtype: "u32", length: 4 },
      { name: "bits", access: "write", dtype: "u32", length: count },
      { name: "floats", access: "write", dtype: "f32", length: count },
    ];
    const expected = Array.from({ length: count }, (_, i) => randomBits(key, opId, i));
    const kernel: Kernel = {
      name: "random",
      bindings,
      uniforms: [],
      wgsl: `${declare(bindings, [])}${randomWgsl}
@compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) {
  let value = random_bits(random_stream(vec4u(key[0], key[1], key[2], key[3])), ${opId}u, id.x);
  bits[id.x] = value;
  floats[id.x] = unit_float(value);
}`,
      grid: [count / 8, 1, 1],
      cost: { flops: 0, bytes: 8 * count },
      reference: () => ({}),
    };
    const { bits, floats } = await runKernel(device, kernel, { key });
    expect([...(bits ?? [])]).toEqual(expected);
    expect([...(floats ?? [])]).toEqual(expected.map(unitFloat));
  });

  it("reports refused shaders by name with the offending line", async () => {
    if (device === undefined) return;
    const kernel: Kernel = { name: "broken", bindings: [], uniforms: [], wgsl: "@compute @workgroup_size(1)\nfn main() { let x: u32 = 1.5; }", grid: [1, 1, 1], cost: { flops: 0, bytes: 0 }, reference: () => ({}) };
    await expect(runKernel(device, kernel, {})).rejects.toThrow(/broken: the driver refused the shader.[\s\S]*2:[\s\S]*let x: u32 = 1.5/);
  });
});

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
