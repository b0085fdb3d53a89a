import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** What an adapter says about itself. */
export interface AdapterReport {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** Name and version of the driver, as the driver puts it. */
  readonly description: string;
  /** Lanes of a subgroup, smallest and largest; 0 where the adapter does not say. */
  readonly subgroups: readonly [min: number, max: number];
  readonly features: readonly string[];
  /** Limits by their WebGPU names; bytes or counts. */
  readonly limits: Readonly<Record<string, number>>;
  /** Whether a small kernel ran on it and computed the right numbers. */
  readonly computes: boolean;
}

/** The outcome of looking for an adapter. */
export type AdapterSearch =
  | { readonly found: AdapterReport }
  | { readonly found: undefined; readonly loaded: boolean; readonly reason: string };

/**
 * Look for an adapter through npm `webgpu` and try it out.
 * @param load gives WebGPU's entry point; default npm `webgpu` (Dawn)
 * @returns the adapter, or why there is none; `loaded` tells whether WebGPU itself could be loaded
 */
export async function findAdapter(load: () => Promise<GPU> = loadDawn): Promise<AdapterSearch> {
  let gpu: GPU;
  try {
    gpu = await load();
  } catch (error) {
    return { found: undefined, loaded: false, reason: error instanceof Error ? error.message : String(error) };
  }
  try {
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return { found: undefined, loaded: true, reason: "no driver that WebGPU accepts" };
    const { vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize } = adapter.info;
    return {
      found: {
        vendor,
        architecture,
        device,
        description,
        subgroups: [subgroupMinSize ?? 0, subgroupMaxSize ?? 0],
        features: [...adapter.features].sort(),
        limits: readLimits(adapter.limits),
        computes: await tryKernel(adapter),
      },
    };
  } catch (error) {
    return { found: undefined, loaded: true, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Version of the installed npm `webgpu`, undefined when it is not installed. */
export function dawnVersion(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve("webgpu");
    const { version } = JSON.parse(readFileSync(join(dirname(entry), "package.json"), "utf8")) as { version: string };
    return version;
  } catch {
    return undefined;
  }
}

async function loadDawn(): Promise<GPU> {
  const { create } = await import("webgpu");
  return create([]);
}

/** Limits are getters on the prototype, so a plain copy would be empty. */
function readLimits(limits: GPUSupportedLimits): Record<string, number> {
  const names = Object.keys(Object.getPrototypeOf(limits) as object).sort();
  const pairs = names.map((name) => [name, limits[name as keyof GPUSupportedLimits]] as const);
  return Object.fromEntries(pairs.filter((pair): pair is readonly [string, number] => typeof pair[1] === "number"));
}

/** Square 256 numbers on the adapter and compare. */
async function tryKernel(adapter: GPUAdapter): Promise<boolean> {
  const device = await adapter.requestDevice();
  const input = Float32Array.from({ length: 256 }, (_, index) => index / 8);
  // Usage bits as numbers: in Node the constants are not global. STORAGE | COPY_SRC, MAP_READ | COPY_DST.
  const data = device.createBuffer({ size: input.byteLength, usage: 0x80 | 0x04, mappedAtCreation: true });
  new Float32Array(data.getMappedRange()).set(input);
  data.unmap();
  const result = device.createBuffer({ size: input.byteLength, usage: 0x01 | 0x08 });
  const code = `@group(0) @binding(0) var<storage, read_write> data: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { data[id.x] = data[id.x] * data[id.x]; }`;
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module: device.createShaderModule({ code }) } });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: data } }] }));
  pass.dispatchWorkgroups(input.length / 64);
  pass.end();
  encoder.copyBufferToBuffer(data, 0, result, 0, input.byteLength);
  device.queue.submit([encoder.finish()]);
  await result.mapAsync(0x01);
  const computed = new Float32Array(result.getMappedRange().slice(0));
  result.unmap();
  device.destroy();
  return input.every((value, index) => computed[index] === value * value);
}
