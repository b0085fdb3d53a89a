import type { Kernel } from "@distilldrive/kernels";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Device, openDevice } from "./device.js";
import { warmDriver } from "./warm.js";

/** Kernels no driver has seen before, as their numbers are drawn. */
function freshKernels(count: number): Kernel[] {
  return Array.from({ length: count }, (_, index) => {
    const terms = Array.from({ length: index === 0 ? 24 : 1 }, () => `sum = fma(sum, ${(1 + Math.random()).toFixed(9)}, exp2(x[i + ${Math.floor(1000 * Math.random())}u]));`);
    return {
      name: "fresh",
      wgsl: `@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  var sum = 0.0;
  ${terms.join("\n  ")}
  out[i] = sum;
}`,
      bindings: [
        { name: "x", access: "read", dtype: "f32", length: 1024 },
        { name: "out", access: "write", dtype: "f32", length: 8 },
      ],
      uniforms: [],
      grid: [1, 1, 1],
      cost: { flops: 0, bytes: 0 },
      reference: () => ({}),
    };
  });
}

describe("warmDriver [gpu]", () => {
  let device: Device;
  let opened = 0;
  beforeAll(async () => {
    const own = await openDevice();
    const another = async (): Promise<GPUDevice> => {
      opened++;
      return (await openDevice()).gpu;
    };
    device = { ...own, another };
  });
  afterAll(() => {
    device.close();
  });

  it("lets further devices help with many new shaders of a CPU driver, once", async () => {
    const kernels = freshKernels(30);
    await warmDriver(device, kernels);
    expect(opened > 0).toBe(device.target.class === "software");
    opened = 0;
    await warmDriver(device, kernels);
    expect(opened).toBe(0);
  });

  it("does not open devices for a few", async () => {
    await warmDriver(device, freshKernels(5));
    expect(opened).toBe(0);
  });

  it("has room for the uniforms of every shader", async () => {
    const table = Array.from({ length: 132 }, (_, i) => ({ name: `u${i}`, type: "f32", value: 0 }) as const);
    const kernels = freshKernels(24).map((kernel): Kernel => ({
      ...kernel,
      uniforms: table,
      wgsl: kernel.wgsl.replace("sum = 0.0", "sum = table.u[id.x]").replace("@compute", `struct Table { u: array<vec4f, 33> }\n@group(0) @binding(2) var<uniform> table: Table;\n@compute`).replace("table.u[id.x]", "table.u[id.x].x"),
    }));
    device.gpu.pushErrorScope("validation");
    await warmDriver({ ...device, another: () => Promise.reject(new Error("refused")) }, kernels);
    expect(await device.gpu.popErrorScope()).toBeNull();
  });

  it("goes on alone when no other device can be had", async () => {
    await warmDriver({ ...device, another: () => Promise.reject(new Error("refused")) }, freshKernels(24));
    device.gpu.pushErrorScope("validation");
    expect(await device.gpu.popErrorScope()).toBeNull();
  });
});
