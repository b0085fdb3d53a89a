import { compare, exact, openTestDevice, type Tolerance, uniformData } from "@distilldrive/testkit";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { DeviceLimitError, KernelError } from "./errors.js";
import { fromHalf, roundToHalf, toHalf } from "./half.js";
import { bindingBytes, type Kernel } from "./kernel.js";
import { checkLimits, runKernel } from "./launch.js";
import { storeAs } from "./storage.js";
import { declare } from "./wgsl.js";

/** A kernel over 8 elements of `body`, which may use every way a shader touches a binding. */
function kernelOf(body: string, elements: Readonly<Record<string, string>> = {}): Kernel {
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: 8 },
    { name: "order", access: "read", dtype: "u32", length: 8 },
    { name: "y", access: "readwrite", dtype: "f32", length: 8 },
  ] as const;
  const wgsl = `${declare(bindings, [], elements)}\n@compute @workgroup_size(1)\nfn main() {\n${body}\n}\n`;
  return { name: "test", wgsl, bindings, uniforms: [], grid: [1, 1, 1], cost: { flops: 0, bytes: 128 }, reference: () => ({}) };
}

describe("half precision on the host", () => {
  it("rounds to the nearest number, ties to even, and back without loss", () => {
    for (let bits = 0; bits < 0x7c00; bits++) expect(toHalf(fromHalf(Uint16Array.of(bits)))[0]).toBe(bits);
    const cases = [[1 + 2 ** -11, 1], [1 + 3 * 2 ** -11, 1 + 2 ** -9], [65519, 65504], [65520, Infinity], [-1e6, -Infinity], [2 ** -25, 0], [2 ** -25 * 1.01, 2 ** -24], [-0.1, -0.0999755859375], [2047.5, 2048]] as const;
    for (const [value, rounded] of cases) expect(roundToHalf(value)).toBe(rounded);
    expect(roundToHalf(Number.NaN)).toBeNaN();
    fc.assert(fc.property(fc.float({ noNaN: true, min: -60000, max: 60000 }), (value) => Math.abs(roundToHalf(value) - value) <= Math.max(2 ** -25, Math.abs(value) * 2 ** -11)));
  });
});

describe("storeAs [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });
  const values = uniformData(8, 3).map(roundToHalf);
  const inputs = { x: values, order: Uint32Array.of(7, 6, 5, 4, 3, 2, 1, 0), y: values.map((v) => -v) };
  const half: Tolerance = { name: "one rounding to f16", absolute: 2 ** -24, relative: 2 ** -11 };

  it.for([
    ["loads, stores and nested indices", "for (var i = 0u; i < 8u; i++) { y[order[i]] = x[order[order[i]]] + x[u32(x[0]) * 0u + i]; }", {}],
    ["compound assignments and comparisons", "for (var i = 0u; i < 8u; i++) { y[i] += x[i]; y[i] *= 2.0 - 1.0; if (y[i] == x[i] || y[i] <= 0.25) { y[i] -= 1.0; } }", {}],
    ["vectors and their components", "for (var i = 0u; i < 2u; i++) { y[i] = x[i].wzyx * x[1u - i]; y[i].x = x[i].y; y[i][1] = x[i][2]; y[i].z += x[0u].w; }", { x: "vec4f", y: "vec4<f32>" }],
    ["values moved as bits", "for (var i = 0u; i < 8u; i++) { y[i] = x[7u - i]; } // y[i] = nothing", { x: "u32", y: "u32" }],
    ["vectors moved as bits", "y[0] = x[1]; y[1] = vec4u(x[0].xy, x[1][3], 0u); y[1].w = x[0].x;", { x: "vec4u", y: "vec4u" }],
    ["assignments in the head of a loop", "var i = 0u; for (y[0] = x[1]; i < 3u; y[i] = x[i] * 2.0) { i++; }", {}],
  ] as const)("%s give the f32 kernel's results, rounded", async ([, body, elements], context) => {
    if (device === undefined) return context.skip();
    const kernel = kernelOf(`  let used = order[0];\n${body}`, elements);
    const expected = await runKernel(device, kernel, inputs);
    for (const names of [["x"], ["y"], ["x", "y", "order"]]) {
      const stored = storeAs(kernel, names);
      const { y } = await runKernel(device, stored, inputs);
      compare(y ?? [], Float64Array.from(expected["y"] ?? []), names.includes("y") ? { ...half, absolute: 1e-3, relative: 4 * half.relative } : exact, { op: stored.name });
    }
  });

  it("halves bytes and traffic, names what it stores, and leaves integers and nothing alone", () => {
    const kernel = kernelOf("  y[0] = x[0];\n");
    const stored = storeAs(kernel, ["x", "order"]);
    expect(stored.name).toBe("test.f16(x)");
    expect(stored.bindings.map((binding) => bindingBytes(binding))).toEqual([16, 32, 32]);
    expect(stored.cost.bytes).toBe(112);
    expect(storeAs(kernel, ["order"])).toBe(kernel);
    expect(storeAs(stored, ["x"])).toBe(stored);
  });

  it("refuses addresses and strange declarations, and devices without f16", () => {
    expect(() => storeAs(kernelOf("  let p = &y[0];\n"), ["y"])).toThrow(KernelError);
    expect(() => storeAs(kernelOf("", { y: "mat2x2f" }), ["y"])).toThrow(/declares "y" as array<mat2x2f>/);
    expect(() => storeAs(kernelOf("  y[0 = 1.0;"), ["y"])).toThrow(/balanced brackets/);
    const plain = { limits: device?.limits ?? {}, features: new Set<string>() } as unknown as GPUDevice;
    expect(() => { checkLimits(plain, storeAs(kernelOf("  y[0] = x[0];\n"), ["y"])); }).toThrow(DeviceLimitError);
  });
});
