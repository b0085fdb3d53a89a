import { bindingBytes, type Kernel, type KernelSequence, type KernelTarget, prepareKernel, sequenceOf } from "@distilldrive/kernels";
import { BenchError } from "./errors.js";
import type { Library, Prepared } from "./libraries/library.js";
import { definitionOf } from "./problems/index.js";
import { type Direction, elements, type KernelName, type Problem, type Values } from "./problems/problem.js";

/** The problems a kernel's name stands for. */
export type ProblemOf<Op extends KernelName> = { readonly [Each in Problem as Each["op"]]: Each }[Op];

/** A kernel of one's own for rows of the suite `kernels`. */
export interface UserKernel<Op extends KernelName = KernelName> {
  /** As in the table. */
  readonly name: string;
  readonly kernel: Op;
  /** Default "forward". */
  readonly direction?: Direction;
  /**
   * The kernel for one problem. Bindings (of a sequence: its outer tensors) are named like the problem's tensors: the
   * inputs, `out`, and for forward+backward `dout` and `d<input>`.
   * @returns undefined for problems it is not made for
   */
  build(problem: ProblemOf<Op>, target: KernelTarget): Kernel | KernelSequence | undefined;
}

/** A kernel of one's own, with its problem typed by the kernel's name. */
export function defineKernel<Op extends KernelName>(definition: UserKernel<Op>): UserKernel<Op> {
  return definition;
}

/**
 * A finished `Kernel` as a user kernel: it joins the rows whose tensors have the lengths of its bindings.
 * @param form of a matmul: what the kernel computes; default "NN"
 */
export function fixedKernel(op: KernelName, kernel: Kernel, form: "NN" | "NT" | "TN" = "NN"): UserKernel {
  return {
    name: kernel.name,
    kernel: op,
    build: (problem) => {
      if (problem.op === "matmul" && problem.form !== form) return undefined;
      const lengths = lengthsOf(problem);
      return kernel.bindings.every(({ name, length }) => lengths.get(name) === length) ? kernel : undefined;
    },
  };
}

/** Elements of every tensor of a problem. */
function lengthsOf(problem: Problem): Map<string, number> {
  const { inputs, outShape } = definitionOf(problem);
  const own = inputs.flatMap(({ name, shape }) => [[name, elements(shape)], [`d${name}`, elements(shape)]] as const);
  return new Map([...own, ["out", elements(outShape)], ["dout", elements(outShape)]]);
}

/** Whether a kernel has something for a problem. */
export function offers(user: UserKernel, problem: Problem, direction: Direction, target: KernelTarget): boolean {
  return user.kernel === problem.op && (user.direction ?? "forward") === direction && user.build(problem, target) !== undefined;
}

/** A user's kernel among the libraries: prepared once, one dispatch (or sequence) and one submit a launch. */
export function userLibrary(gpu: GPUDevice, target: KernelTarget, user: UserKernel): Library {
  return {
    name: user.name,
    version: "user",
    prepare: async (problem, direction, values) => {
      if (!offers(user, problem, direction, target)) return undefined;
      const built = user.build(problem, target);
      return built && launchSequence(gpu, "kernels" in built ? built : sequenceOf(built), values, lengthsOf(problem));
    },
  };
}

async function launchSequence(gpu: GPUDevice, sequence: KernelSequence, values: Values, lengths: ReadonlyMap<string, number>): Promise<Prepared> {
  const temporaries = new Map(sequence.temporaries.map(({ name, length }) => [name, length]));
  const buffers = new Map<string, GPUBuffer>();
  const written = new Set<string>();
  const bufferOf = (name: string): GPUBuffer => {
    const existing = buffers.get(name);
    if (existing) return existing;
    const length = temporaries.get(name) ?? lengths.get(name);
    if (length === undefined) throw new BenchError(`bench: kernel "${sequence.name}" binds "${name}", expected one of ${[...lengths.keys()].join(", ")}. Name bindings like the tensors of the problem.`);
    const buffer = gpu.createBuffer({ label: name, size: bindingBytes({ length }), usage: 0x80 | 0x08 | 0x04 });
    const value = values[name];
    if (value && value.length > 0) gpu.queue.writeBuffer(buffer, 0, value.buffer, value.byteOffset, value.byteLength);
    buffers.set(name, buffer);
    return buffer;
  };
  const steps = sequence.kernels.map(({ kernel, bind }) => {
    for (const { name, access } of kernel.bindings) if (access !== "read") written.add(bind[name] ?? name);
    return { prepared: prepareKernel(gpu, kernel), bound: Object.fromEntries(kernel.bindings.map(({ name }) => [name, bufferOf(bind[name] ?? name)])) };
  });
  await Promise.all(steps.map(({ prepared }) => prepared.ready()));
  return {
    launch: () => {
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const { prepared, bound } of steps) prepared.encode(pass, bound);
      pass.end();
      gpu.queue.submit([encoder.finish()]);
    },
    settle: async () => {
      await gpu.queue.onSubmittedWorkDone();
    },
    read: async () => {
      const results = [...written].filter((name) => !temporaries.has(name)).map(async (name) => [name, await readBuffer(gpu, bufferOf(name), lengths.get(name) ?? 0)] as const);
      return Object.fromEntries(await Promise.all(results));
    },
    dispose: () => {
      for (const buffer of buffers.values()) buffer.destroy();
      for (const { prepared } of steps) prepared.destroy();
    },
  };
}

async function readBuffer(gpu: GPUDevice, buffer: GPUBuffer, length: number): Promise<Float32Array> {
  const staging = gpu.createBuffer({ size: 4 * length, usage: 0x01 | 0x08 });
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, 4 * length);
  gpu.queue.submit([encoder.finish()]);
  await staging.mapAsync(0x01);
  const data = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return data;
}
