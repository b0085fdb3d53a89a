import { create, globals } from "webgpu";

/** Dawn's entry point; it must outlive every device. */
const gpu = create([]);

/** The device benchmarks run on, with the optional features and limits kernels can use. */
export async function openBenchDevice(): Promise<GPUDevice> {
  Object.assign(globalThis, globals);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("bench: WebGPU found no adapter. Install a Vulkan driver first.");
  const wanted: GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query"];
  const { maxStorageBuffersPerShaderStage, maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return adapter.requestDevice({
    requiredFeatures: wanted.filter((name) => adapter.features.has(name)),
    requiredLimits: { maxStorageBuffersPerShaderStage, maxBufferSize, maxStorageBufferBindingSize },
  });
}
