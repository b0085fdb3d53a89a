import { type Device, openDevice } from "@distilldrive/tensor";
import { create, globals } from "webgpu";

/** The device everything is measured on. */
export interface BenchDevice {
  readonly device: Device;
  /** What the adapter says about itself. */
  readonly adapter: string;
  /** Dawn's entry point; it must outlive the device. */
  readonly gpu: GPU;
}

/**
 * Opens the device through npm `webgpu` and puts it behind `navigator.gpu`, so that libraries written for browsers find
 * it: whoever asks for a device gets this one, with the limits and features our own kernels have, and its one queue.
 */
export async function openBenchDevice(): Promise<BenchDevice> {
  const gpu = create([]);
  Object.assign(globalThis, globals);
  const device = await openDevice({ gpu });
  const shared = {
    wgslLanguageFeatures: gpu.wgslLanguageFeatures,
    getPreferredCanvasFormat: () => "rgba8unorm",
    requestAdapter: () =>
      Promise.resolve({
        features: device.gpu.features,
        limits: device.gpu.limits,
        info: device.gpu.adapterInfo,
        isFallbackAdapter: device.gpu.adapterInfo.isFallbackAdapter,
        requestDevice: () => Promise.resolve(device.gpu),
      }),
  };
  Object.defineProperty(globalThis, "navigator", { value: { gpu: shared, userAgent: "Node.js", hardwareConcurrency: 0 }, configurable: true });
  return { device, adapter: device.description, gpu };
}
