import { openTestDevice } from "@distilldrive/testkit";
import { describe, expect, it } from "vitest";
import { DeviceLimitError, DTypeError, ShapeError } from "./errors.js";
import { packUniforms, prepareKernel, runKernel } from "./launch.js";
import { matmul } from "./matmul/matmul.js";
import { portableTarget, targetOf } from "./target.js";

const device = await openTestDevice();

describe("packUniforms", () => {
  it("packs four bytes a field, padded to sixteen", () => {
    const bytes = packUniforms([{ name: "a", type: "u32", value: 2 ** 32 - 1 }, { name: "b", type: "i32", value: -2 }, { name: "c", type: "f32", value: 0.5 }, { name: "d", type: "u32", value: 7 }, { name: "e", type: "u32", value: 8 }]);
    expect(bytes.byteLength).toBe(32);
    expect([...new Uint32Array(bytes)].slice(0, 5)).toEqual([0xffffffff, 0xfffffffe, 0x3f000000, 7, 8]);
  });
});

describe.skipIf(device === undefined)("[gpu] launching", () => {
  const kernel = matmul({ m: 2, n: 2, k: 2 });

  it("compiles a text once per device", () => {
    if (device === undefined) return;
    expect(prepareKernel(device, kernel).pipeline).toBe(prepareKernel(device, matmul({ m: 3, n: 2, k: 5 })).pipeline);
  });

  it("refuses missing, short and wrongly typed inputs", async () => {
    if (device === undefined) return;
    const a = new Float32Array(4);
    await expect(runKernel(device, kernel, { a })).rejects.toThrow(ShapeError);
    await expect(runKernel(device, kernel, { a, b: new Float32Array(3) })).rejects.toThrow(/input "b" does not fit, expected 4 elements, got 3/);
    await expect(runKernel(device, kernel, { a, b: new Uint32Array(4) })).rejects.toThrow(DTypeError);
  });

  it("refuses kernels beyond the limits before it compiles them", () => {
    if (device === undefined) return;
    expect(() => prepareKernel(device, { ...kernel, grid: [70000, 1, 1] })).toThrow(DeviceLimitError);
    const huge = kernel.bindings.map((binding) => ({ ...binding, length: 2 ** 32 }));
    expect(() => prepareKernel(device, { ...kernel, bindings: huge })).toThrow(/binding "a" has too many bytes, expected at most/);
  });

  it("knows the adapter", () => {
    if (device === undefined) return;
    const target = targetOf(device);
    expect(target.limits.maxStorageBuffersPerShaderStage).toBeGreaterThanOrEqual(portableTarget.limits.maxStorageBuffersPerShaderStage);
    if (/llvmpipe|swiftshader/i.test(`${device.adapterInfo.description} ${device.adapterInfo.architecture}`)) expect(target.class).toBe("software");
  });
});
