import type { KernelTarget } from "./kernel.js";

/** Names under which CPU drivers of WebGPU present themselves. */
const softwareNames = /llvmpipe|lavapipe|softpipe|swiftshader|\bwarp\b|microsoft basic render|software/i;

/**
 * What kernel generators may rely on for a device.
 * Class "software" is any adapter that is a fallback adapter or names a CPU driver (llvmpipe, SwiftShader, WARP).
 */
export function targetOf(device: GPUDevice): KernelTarget {
  const info = device.adapterInfo;
  const names = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  const software = info.isFallbackAdapter || softwareNames.test(names);
  const subgroups = device.features.has("subgroups") && info.subgroupMinSize === info.subgroupMaxSize;
  return {
    class: software ? "software" : "gpu",
    subgroupSize: subgroups ? (info.subgroupMinSize ?? 0) : 0,
    f16: device.features.has("shader-f16"),
    limits: {
      maxComputeInvocationsPerWorkgroup: device.limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupStorageSize: device.limits.maxComputeWorkgroupStorageSize,
      maxComputeWorkgroupsPerDimension: device.limits.maxComputeWorkgroupsPerDimension,
      maxStorageBufferBindingSize: device.limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: device.limits.maxStorageBuffersPerShaderStage,
    },
  };
}

/** A target with WebGPU's guaranteed limits and no optional feature: every generated kernel runs on every device. */
export const portableTarget: KernelTarget = {
  class: "gpu",
  subgroupSize: 0,
  f16: false,
  limits: {
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 134217728,
    maxStorageBuffersPerShaderStage: 8,
  },
};
