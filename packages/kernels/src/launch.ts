import { DeviceLimitError, DTypeError, KernelError, ShapeError } from "./errors.js";
import { bufferUsage, computeStage, mapRead } from "./gpu-constants.js";
import { bindingBytes, sequenceOf } from "./kernel.js";
import type { Binding, DType, Kernel, KernelSequence, UniformField } from "./kernel.js";
import { fromHalf, toHalf } from "./half.js";
import { deviceWork } from "./wait.js";

/** A kernel compiled for one device, ready to be put into a compute pass. */
export interface PreparedKernel {
  readonly kernel: Kernel;
  readonly pipeline: GPUComputePipeline;
  /** Resolves when the driver has accepted the shader. @throws KernelError with the compiler's lines when it has not */
  ready(): Promise<void>;
  /**
   * Records one dispatch. Each buffer range must hold {@link bindingBytes} bytes.
   * @param buffers a buffer (or a range of one) for every binding, by name
   * @throws ShapeError when a buffer is missing or too small; KernelError when the shader is known to be refused
   */
  encode(pass: GPUComputePassEncoder, buffers: Readonly<Record<string, GPUBuffer | GPUBufferBinding>>): void;
  /** Frees the uniform buffer. Pipelines stay cached with the device. */
  destroy(): void;
}

/** A compiled pipeline; `failure` is set once the driver has refused it. */
export interface CompiledPipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly settled: Promise<void>;
  failure: KernelError | undefined;
}

/** Pipelines by device and WGSL text. Held weakly, so they go with their device; the same text gives the same pipeline. */
const pipelines = new WeakMap<GPUDevice, Map<string, CompiledPipeline>>();

/** Packs uniform fields, four bytes each, padded to 16 bytes. */
export function packUniforms(fields: readonly UniformField[]): ArrayBuffer {
  const bytes = new ArrayBuffer(Math.ceil(fields.length / 4) * 16);
  const view = new DataView(bytes);
  fields.forEach(({ type, value }, index) => {
    if (type === "f32") view.setFloat32(4 * index, value, true);
    else if (type === "i32") view.setInt32(4 * index, value, true);
    else view.setUint32(4 * index, value, true);
  });
  return bytes;
}

/** Checks a kernel against a device's limits before anything is compiled. @throws DeviceLimitError naming the limit */
export function checkLimits(device: GPUDevice, kernel: Kernel): void {
  const { limits } = device;
  const refuse = (what: string, limit: number, got: number, remedy: string): void => {
    if (got > limit) throw new DeviceLimitError(`${kernel.name}: ${what}, expected at most ${limit}, got ${got}. ${remedy}`);
  };
  const raise = "Request a higher limit when the device is opened, or split the work.";
  refuse("too many storage buffers", limits.maxStorageBuffersPerShaderStage, kernel.bindings.length, raise);
  const half = kernel.bindings.find(({ storedAs }) => storedAs === "f16");
  if (half !== undefined && !device.features.has("shader-f16")) {
    throw new DeviceLimitError(`${kernel.name}: binding "${half.name}" is stored as f16, expected a device with the feature "shader-f16", got one without. Request the feature when the device is opened, or store f32.`);
  }
  for (const workgroups of kernel.grid) refuse("too many workgroups in one dimension", limits.maxComputeWorkgroupsPerDimension, workgroups, "Use a smaller batch.");
  for (const binding of kernel.bindings) refuse(`binding "${binding.name}" has too many bytes`, limits.maxStorageBufferBindingSize, bindingBytes(binding), raise);
}

/** The driver's messages with the WGSL line each one speaks of. */
async function compilationFailure(kernel: Kernel, module: GPUShaderModule, fallback: string): Promise<KernelError> {
  const info = await module.getCompilationInfo();
  const lines = kernel.wgsl.split("\n");
  const messages = info.messages
    .filter(({ type }) => type === "error")
    .map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}\n    ${lines[lineNum - 1]?.trim() ?? ""}`);
  return new KernelError(`${kernel.name}: the driver refused the shader.\n${messages.length > 0 ? messages.join("\n") : fallback}`);
}

/**
 * The pipeline of a kernel on a device, compiled once per WGSL text.
 * @throws DeviceLimitError before compiling when the kernel does not fit the device
 */
export function compilePipeline(device: GPUDevice, kernel: Kernel): CompiledPipeline {
  checkLimits(device, kernel);
  let cache = pipelines.get(device);
  if (cache === undefined) pipelines.set(device, (cache = new Map<string, CompiledPipeline>()));
  const cached = cache.get(kernel.wgsl);
  if (cached !== undefined) return cached;

  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: kernel.name, code: kernel.wgsl });
  const entries: GPUBindGroupLayoutEntry[] = kernel.bindings.map(({ access }, binding) => ({
    binding,
    visibility: computeStage,
    buffer: { type: access === "read" ? "read-only-storage" : "storage" },
  }));
  if (kernel.uniforms.length > 0) entries.push({ binding: entries.length, visibility: computeStage, buffer: { type: "uniform" } });
  const layout = device.createBindGroupLayout({ label: kernel.name, entries });
  const pipeline = device.createComputePipeline({
    label: kernel.name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: "main" },
  });
  const scope = device.popErrorScope();
  const settle = async (): Promise<void> => {
    const error = await scope;
    if (error !== null) compiled.failure = await compilationFailure(kernel, module, error.message);
  };
  const compiled: CompiledPipeline = { pipeline, layout, settled: settle(), failure: undefined };
  cache.set(kernel.wgsl, compiled);
  return compiled;
}

/**
 * Compiles a kernel for a device of one's own.
 * @throws DeviceLimitError when the device cannot run it
 */
export function prepareKernel(device: GPUDevice, kernel: Kernel): PreparedKernel {
  const compiled = compilePipeline(device, kernel);
  let uniformBuffer: GPUBuffer | undefined;
  if (kernel.uniforms.length > 0) {
    const bytes = packUniforms(kernel.uniforms);
    uniformBuffer = device.createBuffer({ label: `${kernel.name} uniforms`, size: bytes.byteLength, usage: bufferUsage.uniform | bufferUsage.copyDst });
    device.queue.writeBuffer(uniformBuffer, 0, bytes);
  }
  return {
    kernel,
    pipeline: compiled.pipeline,
    async ready() {
      await compiled.settled;
      if (compiled.failure !== undefined) throw compiled.failure;
    },
    encode(pass, buffers) {
      if (compiled.failure !== undefined) throw compiled.failure;
      if (kernel.grid.includes(0)) return;
      const entries: GPUBindGroupEntry[] = kernel.bindings.map((binding, index) => ({ binding: index, resource: rangeFor(kernel, binding, buffers) }));
      if (uniformBuffer !== undefined) entries.push({ binding: entries.length, resource: { buffer: uniformBuffer } });
      pass.setPipeline(compiled.pipeline);
      pass.setBindGroup(0, device.createBindGroup({ label: kernel.name, layout: compiled.layout, entries }));
      pass.dispatchWorkgroups(...kernel.grid);
    },
    destroy() {
      uniformBuffer?.destroy();
    },
  };
}

function rangeFor(kernel: Kernel, binding: Binding, buffers: Readonly<Record<string, GPUBuffer | GPUBufferBinding>>): GPUBufferBinding {
  const given = buffers[binding.name];
  if (given === undefined) throw new ShapeError(`${kernel.name}: buffer "${binding.name}" is missing, expected ${kernel.bindings.map(({ name }) => name).join(", ")}, got ${Object.keys(buffers).join(", ")}. Pass one buffer per binding.`);
  const range: GPUBufferBinding = "buffer" in given ? given : { buffer: given };
  const size = range.size ?? range.buffer.size - (range.offset ?? 0);
  const needed = bindingBytes(binding);
  if (size < needed) throw new ShapeError(`${kernel.name}: buffer "${binding.name}" is too small, expected at least ${needed} bytes, got ${size}. Use bindingBytes() for its size.`);
  return { buffer: range.buffer, offset: range.offset ?? 0, size: needed };
}

/** Values of a tensor on the host; f16 ones as the float32 numbers they stand for. */
export type HostArray = Float32Array | Int32Array | Uint32Array;

const arrayTypes: Readonly<Record<DType, new (buffer: ArrayBuffer, offset: number, length: number) => HostArray>> = {
  f32: Float32Array,
  i32: Int32Array,
  u32: Uint32Array,
};

/** Runs one kernel: uploads, one dispatch, reads back every binding that is not read-only. See {@link runSequence}. */
export function runKernel(device: GPUDevice, kernel: Kernel, inputs: Readonly<Record<string, HostArray>>): Promise<Record<string, HostArray>> {
  return runSequence(device, sequenceOf(kernel), inputs);
}

/** What a sequence asks of one tensor: the union over the bindings that name it. */
interface TensorUse {
  readonly dtype: DType;
  readonly storedAs: "f16" | undefined;
  length: number;
  /** The first use reads, so the caller must give its values. */
  readonly input: boolean;
  written: boolean;
}

function tensorUses(sequence: KernelSequence): Map<string, TensorUse> {
  const uses = new Map<string, TensorUse>();
  for (const { kernel, bind } of sequence.kernels) {
    for (const binding of kernel.bindings) {
      const name = bind[binding.name];
      if (name === undefined) throw new ShapeError(`${sequence.name}: step ${kernel.name} does not bind "${binding.name}", expected a tensor name, got nothing. List every binding in its bind.`);
      const use = uses.get(name) ?? { dtype: binding.dtype, storedAs: binding.storedAs, length: binding.length, input: binding.access !== "write", written: false };
      use.length = Math.max(use.length, binding.length);
      use.written ||= binding.access !== "read";
      uses.set(name, use);
    }
  }
  return uses;
}

/**
 * Runs a sequence once, for tests and small jobs: uploads the inputs, one submit, reads the outputs.
 * @param inputs every external tensor that is read, by name
 * @returns every external tensor that is written, by name
 * @throws ShapeError, DTypeError on inputs that do not fit; DeviceLimitError; KernelError on refused shaders and dispatches
 */
export async function runSequence(
  device: GPUDevice,
  sequence: KernelSequence,
  inputs: Readonly<Record<string, HostArray>>,
): Promise<Record<string, HostArray>> {
  const uses = tensorUses(sequence);
  const temporaries = new Set(sequence.temporaries.map(({ name }) => name));
  for (const [name, use] of uses) {
    if (!use.input || temporaries.has(name)) continue;
    const given = inputs[name];
    if (given === undefined || given.length !== use.length) throw new ShapeError(`${sequence.name}: input "${name}" does not fit, expected ${use.length} elements, got ${given?.length ?? "none"}. Check the sizes the kernel was made for.`);
    if (!(given instanceof arrayTypes[use.dtype])) throw new DTypeError(`${sequence.name}: input "${name}" has the wrong type, expected ${use.dtype}, got ${given.constructor.name}. Convert it first.`);
  }
  const prepared = sequence.kernels.map(({ kernel }) => prepareKernel(device, kernel));
  await Promise.all(prepared.map((kernel) => kernel.ready()));

  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  const buffers = new Map<string, GPUBuffer>();
  for (const [name, use] of uses) {
    const buffer = device.createBuffer({ label: name, size: bindingBytes(use), usage: bufferUsage.storage | bufferUsage.copySrc | bufferUsage.copyDst });
    const given = use.input ? inputs[name] : undefined;
    if (given !== undefined && given.length > 0) {
      const bytes = use.storedAs === "f16" ? toHalf(given) : given;
      device.queue.writeBuffer(buffer, 0, bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    buffers.set(name, buffer);
  }
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  sequence.kernels.forEach(({ bind }, step) => {
    const bound = Object.fromEntries(Object.entries(bind).flatMap(([name, tensor]) => {
      const buffer = buffers.get(tensor);
      return buffer === undefined ? [] : [[name, buffer] as const];
    }));
    prepared[step]?.encode(pass, bound);
  });
  pass.end();
  const reads = [...uses].filter(([name, use]) => use.written && !temporaries.has(name)).map(([name, use]) => {
    const staging = device.createBuffer({ label: `${name} readback`, size: bindingBytes(use), usage: bufferUsage.mapRead | bufferUsage.copyDst });
    const source = buffers.get(name);
    if (source !== undefined) encoder.copyBufferToBuffer(source, 0, staging, 0, bindingBytes(use));
    return { name, use, staging };
  });
  device.queue.submit([encoder.finish()]);
  const errors = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  const outputs: Record<string, HostArray> = {};
  try {
    for (const error of errors) if (error !== null) throw new KernelError(`${sequence.name}: the device refused the dispatch. ${error.message}`);
    for (const { name, use, staging } of reads) {
      await deviceWork(staging.mapAsync(mapRead));
      const bytes = staging.getMappedRange().slice(0);
      outputs[name] = use.storedAs === "f16" ? fromHalf(new Uint16Array(bytes, 0, use.length)) : new arrayTypes[use.dtype](bytes, 0, use.length);
    }
  } finally {
    for (const { staging } of reads) staging.destroy();
    for (const buffer of buffers.values()) buffer.destroy();
    for (const kernel of prepared) kernel.destroy();
  }
  return outputs;
}
