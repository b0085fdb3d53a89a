import { type KernelTarget, targetOf } from "@distilldrive/kernels";
import { DeviceError } from "../errors.js";

/** An open WebGPU device and what kernels may rely on. */
export interface Device {
  readonly gpu: GPUDevice;
  readonly target: KernelTarget;
  /** One line for people: `llvmpipe (software Vulkan, 8-lane subgroups, f16)`. */
  readonly description: string;
  /** Resolves when the device is lost, with the reason. */
  readonly lost: Promise<GPUDeviceLostInfo>;
  /** Buffers that hold the intermediates of every program on this device; programs never run at the same time. */
  readonly arena: GPUBuffer[];
  /** Opens another device on the same adapter with the same features and limits; absent for a device that someone else opened. */
  readonly another?: () => Promise<GPUDevice>;
  close(): void;
}

/** How to open a device. */
export interface OpenOptions {
  /** WebGPU's entry point; default `navigator.gpu`, or npm `webgpu` (Dawn) in Node. */
  readonly gpu?: GPU;
  readonly powerPreference?: GPUPowerPreference;
}

const remedy =
  "Install a Vulkan driver: on Debian or Ubuntu `apt-get install mesa-vulkan-drivers libvulkan1` (Mesa 24 or newer; on Debian 12 from bookworm-backports); in the DistillDrive clone `npm test` does it. `distilldrive doctor` tells more.";

/** Features used when the adapter has them. */
const wantedFeatures: readonly GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query"];

/**
 * Opens a WebGPU device with the adapter's own limits.
 * @throws DeviceError saying what to install when there is no adapter
 */
export async function openDevice(options: OpenOptions = {}): Promise<Device> {
  const gpu = options.gpu ?? (await defaultGpu());
  const open = async (): Promise<GPUDevice> => {
    const adapter = await gpu.requestAdapter(options.powerPreference ? { powerPreference: options.powerPreference } : {});
    if (!adapter) throw new DeviceError(`openDevice: no WebGPU adapter was found, expected at least a software one. ${remedy}`);
    const { limits } = adapter;
    return adapter.requestDevice({
      requiredFeatures: wantedFeatures.filter((feature) => adapter.features.has(feature)),
      requiredLimits: {
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxBufferSize: limits.maxBufferSize,
        maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
        maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      },
    });
  };
  const device = await open();
  owners.set(device, gpu);
  return deviceOf(device, open);
}

/** Entry points live as long as their devices, also where only the `GPUDevice` is kept: Dawn's Node binding drops both together. */
const owners = new WeakMap<GPUDevice, GPU>();

/** Wraps a `GPUDevice` that someone else opened. */
export function wrapDevice(gpu: GPUDevice): Device {
  return deviceOf(gpu, undefined);
}

function deviceOf(gpu: GPUDevice, another: (() => Promise<GPUDevice>) | undefined): Device {
  const target = targetOf(gpu);
  const arena: GPUBuffer[] = [];
  return {
    gpu,
    target,
    description: describe(gpu, target),
    lost: gpu.lost,
    arena,
    ...(another && { another }),
    close: () => {
      if (another) gpu.destroy();
      arena.length = 0;
    },
  };
}

function describe(gpu: GPUDevice, target: KernelTarget): string {
  const { device, description, vendor, architecture } = gpu.adapterInfo;
  const name = [device, description, `${vendor} ${architecture}`.trim()].find((text) => text !== "") ?? "unnamed adapter";
  const details = [
    target.class === "software" ? "software" : "hardware",
    ...(target.subgroupSize > 0 ? [`${target.subgroupSize}-lane subgroups`] : []),
    ...(target.f16 ? ["f16"] : []),
  ];
  return `${name} (${details.join(", ")})`;
}

async function defaultGpu(): Promise<GPU> {
  const here = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
  if (here.navigator?.gpu) return here.navigator.gpu;
  try {
    const { create } = await import("webgpu");
    return create([]);
  } catch (cause) {
    throw new DeviceError(`openDevice: WebGPU could not be loaded (${cause instanceof Error ? cause.message : String(cause)}). In Node run \`npm install webgpu\`; in a browser use one with WebGPU. ${remedy}`);
  }
}
