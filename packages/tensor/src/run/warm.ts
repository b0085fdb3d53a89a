import { bufferUsage, type CompiledPipeline, compilePipeline, deviceWork, type Kernel, packUniforms } from "@distilldrive/kernels";
import type { Device } from "./device.js";

/** Fewer new shaders than this are not worth a second device. */
const worthwhile = 24;
/** Milliseconds the longest shader's first dispatch takes at least when the driver has to make machine code of it. */
const coldMilliseconds = 25;
/** Devices that compile, the program's own among them. */
const mostDevices = 4;

/** Shaders each device has dispatched. */
const dispatched = new WeakMap<GPUDevice, Set<string>>();

/**
 * Makes the driver compile shaders now, on several cores. CPU drivers make machine code at a shader's first dispatch, one after the
 * other in the thread of the device's queue, which takes most of a model's first step. Here further devices on the same adapter
 * take a share each; their machine code reaches this device through the driver's cache on disk. Nothing is computed: the
 * dispatches have no workgroups. Where the driver's cache is warm, and on GPUs, which compile with the pipeline, this does nothing.
 */
export async function warmDriver(device: Device, kernels: readonly Kernel[]): Promise<void> {
  const { gpu, target, another } = device;
  if (target.class !== "software" || !another) return;
  let seen = dispatched.get(gpu);
  if (!seen) dispatched.set(gpu, (seen = new Set()));
  const fresh = new Map(kernels.filter(({ wgsl }) => !seen.has(wgsl)).map((kernel) => [kernel.wgsl, kernel]));
  for (const text of fresh.keys()) seen.add(text);
  // Long ones first, so that the devices end at about the same time.
  const queue = [...fresh.values()].sort((a, b) => b.wgsl.length - a.wgsl.length);
  const first = queue.shift();
  if (!first || queue.length + 1 < worthwhile) return;
  const own = dispatcherOf(gpu);
  const began = performance.now();
  await own.dispatch(first);
  if (performance.now() - began < coldMilliseconds) return own.destroy();

  const work = async (dispatcher: Dispatcher): Promise<void> => {
    for (let kernel = queue.shift(); kernel; kernel = queue.shift()) await dispatcher.dispatch(kernel);
  };
  const help = async (): Promise<void> => {
    const helper = await another();
    await work(dispatcherOf(helper));
    helper.destroy();
  };
  const helpers = Math.min(mostDevices, cores()) - 1;
  // A device that cannot be opened, or is lost, leaves its share to the others, or to the first step.
  await Promise.all([work(own), ...Array.from({ length: helpers }, () => help().catch(() => undefined))]);
  own.destroy();
}

function cores(): number {
  const { navigator } = globalThis as { readonly navigator?: { readonly hardwareConcurrency?: number } };
  return navigator?.hardwareConcurrency ?? 2;
}

/** Dispatches kernels without workgroups. */
interface Dispatcher {
  dispatch(kernel: Kernel): Promise<void>;
  destroy(): void;
}

function dispatcherOf(gpu: GPUDevice): Dispatcher {
  const own: GPUBuffer[] = [];
  const allocate = (size: number, usage: number): GPUBuffer => {
    const buffer = gpu.createBuffer({ size, usage });
    own.push(buffer);
    return buffer;
  };
  // Three zeros: the size of the grid. A direct dispatch of nothing would be warned about.
  const nothing = allocate(12, bufferUsage.indirect);
  // Grows: the frequency table of a sine embedding of 256 channels alone takes 512 bytes.
  let uniforms = allocate(256, bufferUsage.uniform);
  const uniformsOf = (size: number): GPUBuffer => (uniforms.size >= size ? uniforms : (uniforms = allocate(size, bufferUsage.uniform)));
  // A buffer for each binding, as written ones may not be bound twice.
  const storages: GPUBuffer[] = [];
  const bindGroup = (kernel: Kernel, { layout }: CompiledPipeline): GPUBindGroup => {
    const entries: GPUBindGroupEntry[] = kernel.bindings.map((_, binding) => ({ binding, resource: { buffer: (storages[binding] ??= allocate(256, bufferUsage.storage)) } }));
    if (kernel.uniforms.length > 0) {
      const size = packUniforms(kernel.uniforms).byteLength;
      entries.push({ binding: entries.length, resource: { buffer: uniformsOf(size), size } });
    }
    return gpu.createBindGroup({ layout, entries });
  };
  return {
    dispatch: async (kernel) => {
      const compiled = compilePipeline(gpu, kernel);
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(compiled.pipeline);
      pass.setBindGroup(0, bindGroup(kernel, compiled));
      pass.dispatchWorkgroupsIndirect(nothing, 0);
      pass.end();
      gpu.queue.submit([encoder.finish()]);
      await deviceWork(gpu.queue.onSubmittedWorkDone());
    },
    destroy: () => {
      for (const buffer of own) buffer.destroy();
    },
  };
}
