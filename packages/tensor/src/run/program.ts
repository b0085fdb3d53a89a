import { bindingBytes, bufferUsage, type CompiledPipeline, compilePipeline, DeviceLimitError, KernelError, packUniforms } from "@distilldrive/kernels";
import { GraphError } from "../errors.js";
import type { Graph, Tensor } from "../graph.js";
import type { Device } from "./device.js";
import { rangeAlignment } from "./memory.js";
import { type Launch, type Plan, type PlanOptions, planProgram, type Storage } from "./plan.js";
import { type ProfileRow, profileLaunches } from "./profile.js";
import { readBuffers } from "./read.js";
import { requireNumbers, strictInputs } from "./strict.js";
import { formatType } from "../shape.js";
import { type Store, toTyped } from "./store.js";
import { warmDriver } from "./warm.js";

/** A compiled graph: call `run` as often as you like, read results when you want them. */
export interface Program {
  readonly plan: Plan;
  /** Bytes of GPU buffers this program uses: arena, inputs, outputs, constants (the store not included). */
  readonly bytes: number;
  /**
   * Writes the inputs, encodes the plan into one compute pass and submits once. Nothing is read back.
   * @throws GraphError when an input is missing, has the wrong number of elements, or holds NaN where an op is strict; nothing is
   *   written then
   */
  run(inputs: Readonly<Record<string, ArrayLike<number>>>): void;
  /** The value an output had after the latest run. */
  read(output: string): Promise<Float32Array | Int32Array | Uint32Array>;
  /** Several outputs with one readback. */
  readAll(outputs: readonly string[]): Promise<Map<string, Float32Array | Int32Array | Uint32Array>>;
  /** The value of a tensor listed in `keep` when compiling. */
  readKept(tensor: Tensor): Promise<Float32Array | Int32Array | Uint32Array>;
  /** Runs once with a timestamp around every dispatch (wall time where the device has no timestamps). */
  profile(inputs: Readonly<Record<string, ArrayLike<number>>>): Promise<readonly ProfileRow[]>;
  destroy(): void;
}

/** A dispatch with everything frozen. */
export interface Dispatch {
  readonly launch: Launch;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
}

/** How to compile. */
export interface CompileOptions extends PlanOptions {
  /** Values of the graph's variables; may be left out when there are none. */
  readonly store?: Store;
}

/**
 * Plans a graph and prepares everything a run needs: pipelines, memory, bind groups.
 * @throws GraphError, StateError, DeviceLimitError, KernelError before anything has run
 */
export async function compile(device: Device, graph: Graph, options: CompileOptions = {}): Promise<Program> {
  const { gpu } = device;
  const strict = strictInputs(graph);
  const plan = planProgram(graph, device.target, options);
  const compiled = plan.launches.map((launch) => naming(launch, () => compilePipeline(gpu, launch.kernel)));
  await Promise.all(compiled.map(({ settled }) => settled));
  plan.launches.forEach((launch, i) => {
    const failure = compiled[i]?.failure;
    if (failure) naming(launch, () => { throw failure; });
  });
  await warmDriver(device, plan.launches.map(({ kernel }) => kernel));

  const own: GPUBuffer[] = [];
  let bytes = 0;
  const allocate = (label: string, size: number, usage: number): GPUBuffer => {
    bytes += size;
    const buffer = gpu.createBuffer({ label, size: Math.max(16, size), usage });
    own.push(buffer);
    return buffer;
  };

  // All inputs side by side, so that a run writes them with one call.
  let inputBytes = 0;
  const inputOffsets = new Map<Storage, number>();
  for (const { storage } of plan.inputs) {
    inputOffsets.set(storage, inputBytes);
    inputBytes += Math.ceil(bindingBytes(storage) / rangeAlignment) * rangeAlignment;
  }
  const inputBuffer = allocate("inputs", inputBytes, bufferUsage.storage | bufferUsage.copyDst | bufferUsage.copySrc);
  const staging = new ArrayBuffer(inputBytes);

  let arena = claimArena(device, plan);
  bytes += plan.peakBytes;
  const ranges = new Map<Storage, { buffer: GPUBuffer; offset: number }>();
  const placeInArena = (): void => {
    for (const [storage, place] of plan.memory.places) {
      const buffer = arena[place.buffer];
      if (buffer) ranges.set(storage, { buffer, offset: place.offset });
    }
  };
  placeInArena();
  for (const storage of plan.storages) {
    const { home } = storage;
    if (home.kind === "input") ranges.set(storage, { buffer: inputBuffer, offset: inputOffsets.get(storage) ?? 0 });
    else if (home.kind === "variable") {
      if (!options.store) throw new GraphError("compile: the graph uses variables, expected a store that holds them, got none. Pass { store }.");
      ranges.set(storage, options.store.rangeOf(home.variable));
    } else if (home.kind === "constant" || home.kind === "output") {
      const buffer = allocate(home.kind, bindingBytes(storage), bufferUsage.storage | bufferUsage.copyDst | bufferUsage.copySrc);
      if (home.kind === "constant") {
        const data = toTyped(home.data, storage.dtype);
        if (data.byteLength > 0) gpu.queue.writeBuffer(buffer, 0, data.buffer, data.byteOffset, data.byteLength);
      }
      ranges.set(storage, { buffer, offset: 0 });
    }
  }
  const uniforms = writeUniforms(gpu, plan, allocate);
  let dispatches = bind(gpu, plan, compiled, ranges, uniforms);
  /** Another program's compilation may have replaced a buffer of the arena by a larger one. */
  const followArena = (): void => {
    const now = arena.map((buffer, index) => device.arena[index] ?? buffer);
    if (now.every((buffer, index) => buffer === arena[index])) return;
    arena = now;
    placeInArena();
    dispatches = bind(gpu, plan, compiled, ranges, uniforms);
  };

  const rangeOf = (storage: Storage | undefined, what: string): { buffer: GPUBuffer; offset: number; length: number; dtype: Storage["dtype"]; storedAs: Storage["storedAs"] } => {
    const range = storage && ranges.get(storage);
    if (!storage || !range) throw new GraphError(`program: ${what} is not one of its results, expected ${[...plan.outputs.keys()].join(", ")}.`);
    return { ...range, length: storage.length, dtype: storage.dtype, storedAs: storage.storedAs };
  };
  const writeInputs = (inputs: Readonly<Record<string, ArrayLike<number>>>): void => {
    checkInputs(plan, inputs);
    for (const [name, reached] of strict) requireNumbers(inputs[name] ?? [], `run: input "${name}"`, reached);
    for (const { name, storage } of plan.inputs) {
      const value = inputs[name] ?? [];
      const offset = inputOffsets.get(storage) ?? 0;
      const { dtype, length } = storage;
      const view = dtype === "f32" ? new Float32Array(staging, offset, length) : dtype === "i32" ? new Int32Array(staging, offset, length) : new Uint32Array(staging, offset, length);
      view.set(value);
    }
    if (inputBytes > 0) gpu.queue.writeBuffer(inputBuffer, 0, staging);
  };

  return {
    plan,
    bytes,
    run(inputs) {
      writeInputs(inputs);
      followArena();
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      let current: GPUComputePipeline | undefined;
      for (const { launch, pipeline, bindGroup } of dispatches) {
        if (pipeline !== current) pass.setPipeline((current = pipeline));
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(...launch.kernel.grid);
      }
      pass.end();
      gpu.queue.submit([encoder.finish()]);
    },
    async read(output) {
      const [value] = await readBuffers(gpu, [rangeOf(plan.outputs.get(output), `"${output}"`)]);
      return value ?? new Float32Array(0);
    },
    async readAll(outputs) {
      const values = await readBuffers(
        gpu,
        outputs.map((name) => rangeOf(plan.outputs.get(name), `"${name}"`)),
      );
      return new Map(outputs.map((name, i) => [name, values[i] ?? new Float32Array(0)]));
    },
    async readKept(tensor) {
      const [value] = await readBuffers(gpu, [rangeOf(plan.kept.get(tensor), tensor.toString())]);
      return value ?? new Float32Array(0);
    },
    profile(inputs) {
      writeInputs(inputs);
      followArena();
      return profileLaunches(gpu, dispatches);
    },
    destroy() {
      for (const buffer of own) buffer.destroy();
    },
  };
}

/** Puts the op and its shapes before what a kernel is refused for. */
function naming<Result>({ label, scope, node }: Launch, body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    const shapes = node === undefined ? "" : `(${node.inputs.map(({ type }) => formatType(type)).join(", ")}) -> ${node.outputs.map(({ type }) => formatType(type)).join(", ")}`;
    const where = `compile: ${label}${shapes}${scope === "" ? "" : ` in ${scope}`}: `;
    if (error instanceof DeviceLimitError) throw new DeviceLimitError(where + error.message, { cause: error });
    if (error instanceof KernelError) throw new KernelError(where + error.message, { cause: error });
    throw error;
  }
}

function checkInputs(plan: Plan, inputs: Readonly<Record<string, ArrayLike<number>>>): void {
  const known = plan.inputs.map(({ name }) => name).join(", ");
  for (const { name, storage } of plan.inputs) {
    const value = inputs[name];
    if (!value) throw new GraphError(`run: input "${name}" is missing, expected ${known}, got ${Object.keys(inputs).join(", ") || "nothing"}.`);
    if (value.length !== storage.length) throw new GraphError(`run: input "${name}" has the wrong size, expected ${storage.length} elements, got ${value.length}.`);
  }
}

/** Takes buffers from the device's arena, replacing those that are too small; programs that hold an old one take the new one when they run next. */
function claimArena(device: Device, plan: Plan): GPUBuffer[] {
  return plan.memory.buffers.map((size, index) => {
    const existing = device.arena[index];
    if (existing && existing.size >= size) return existing;
    const buffer = device.gpu.createBuffer({ label: `arena ${index}`, size, usage: bufferUsage.storage | bufferUsage.copySrc | bufferUsage.copyDst });
    device.arena[index] = buffer;
    existing?.destroy();
    return buffer;
  });
}

/** The uniforms of all launches in one buffer. */
interface Uniforms {
  readonly buffer: GPUBuffer;
  /** By launch. */
  readonly ranges: readonly { readonly offset: number; readonly size: number }[];
}

function writeUniforms(gpu: GPUDevice, plan: Plan, allocate: (label: string, size: number, usage: number) => GPUBuffer): Uniforms {
  const packed = plan.launches.map(({ kernel }) => packUniforms(kernel.uniforms));
  let total = 0;
  const ranges = packed.map(({ byteLength }) => {
    const offset = total;
    total += Math.ceil(byteLength / rangeAlignment) * rangeAlignment;
    return { offset, size: byteLength };
  });
  const buffer = allocate("uniforms", total, bufferUsage.uniform | bufferUsage.copyDst);
  const bytes = new Uint8Array(total);
  packed.forEach((values, index) => {
    bytes.set(new Uint8Array(values), ranges[index]?.offset ?? 0);
  });
  if (total > 0) gpu.queue.writeBuffer(buffer, 0, bytes);
  return { buffer, ranges };
}

function bind(gpu: GPUDevice, plan: Plan, compiled: readonly CompiledPipeline[], ranges: ReadonlyMap<Storage, { buffer: GPUBuffer; offset: number }>, uniforms: Uniforms): Dispatch[] {
  return plan.launches.map((launch, index): Dispatch => {
    const pipeline = compiled[index];
    const uniform = uniforms.ranges[index];
    if (!pipeline) throw new GraphError(`compile: ${launch.kernel.name} has no pipeline.`);
    const entries: GPUBindGroupEntry[] = launch.storages.map((storage, binding) => {
      const range = ranges.get(storage);
      if (!range) throw new GraphError(`compile: ${launch.kernel.name} uses storage #${storage.id}, which has no memory.`);
      return { binding, resource: { buffer: range.buffer, offset: range.offset, size: bindingBytes(storage) } };
    });
    if (uniform && launch.kernel.uniforms.length > 0) entries.push({ binding: entries.length, resource: { buffer: uniforms.buffer, ...uniform } });
    return { launch, pipeline: pipeline.pipeline, bindGroup: gpu.createBindGroup({ label: launch.kernel.name, layout: pipeline.layout, entries }) };
  });
}
