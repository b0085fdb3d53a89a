/** Optional features the tests want when the adapter has them. */
const wanted: readonly GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query"];

/**
 * A device on the adapter of this machine, with all its limits and the optional features kernels can use.
 * @returns undefined when there is no adapter; the reason is printed, so a skip is never silent
 */
export async function openTestDevice(): Promise<GPUDevice | undefined> {
  // Here and not above: what a page takes from this package must not load Node's WebGPU.
  const { create, globals } = await import("webgpu");
  const gpu = create([]);
  Object.assign(globalThis, globals);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) {
    process.stdout.write("GPU tests skipped: WebGPU found no adapter. Install a Vulkan driver (mesa-vulkan-drivers >= 25) or run the project's set-up.\n");
    return undefined;
  }
  const requiredLimits: Record<string, number> = {};
  for (const name of Object.keys(Object.getPrototypeOf(adapter.limits) as object)) {
    const limit = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof limit === "number" && limit > 0) requiredLimits[name] = limit;
  }
  const device = await adapter.requestDevice({ requiredFeatures: wanted.filter((name) => adapter.features.has(name)), requiredLimits });
  keepAlive.set(device, gpu);
  return device;
}

/** The GPU object must outlive its devices; it is kept exactly as long. */
const keepAlive = new WeakMap<GPUDevice, GPU>();

/** One line that says which adapter a test ran on. */
export function adapterName(device: GPUDevice): string {
  const { vendor, architecture, device: name, description } = device.adapterInfo;
  return [vendor, architecture, name, description].filter((part) => part !== "").join(" ");
}
