import { type Kernel, prepareKernel } from "@distilldrive/kernels";
import { interleave, timingOf } from "./measure.js";
import type { Prepared } from "./libraries/library.js";

/** What the adapter can do at most, measured with kernels that do nothing else. */
export interface Ceilings {
  /** 1e9 floating point operations per second, a fused multiply-add counted as two. */
  readonly fmaGflops: number;
  /** 1e9 bytes per second, read and written. */
  readonly copyGBps: number;
}

/** Chains of vec4f multiply-adds that do not wait for each other: CPUs run out of registers early, GPUs late. */
const chains = [2, 3, 4, 6, 8] as const;
/** A multiply-add asked for and one left to the driver's compiler; either can be the faster. */
const forms = ["fma", "plain"] as const;
const unrolled = 4;
const fmaRounds = 256;
const fmaThreads = 64 * 64;

/** Multiply-adds without memory traffic: every thread runs `count` chains and writes one number, so that none is dead code. */
function fmaKernel(count: number, form: (typeof forms)[number]): Kernel {
  const each = (line: (index: number) => string): string => Array.from({ length: count }, (_, index) => line(index)).join("\n");
  return {
    name: `ceiling.${form}.${count}`,
    wgsl: `@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let scale = vec4f(0.999 + f32(id.x & 1u) * 1e-4);
  let shift = vec4f(f32(id.x & 7u) * 1e-3);
${each((i) => `  var c${i} = vec4f(${i}.0);`)}
  for (var round = 0u; round < ${fmaRounds / unrolled}u; round++) {
${Array.from({ length: unrolled }, () => each((i) => (form === "fma" ? `    c${i} = fma(c${i}, scale, shift);` : `    c${i} = c${i} * scale + shift;`))).join("\n")}
  }
  let sum = ${Array.from({ length: count }, (_, i) => `c${i}`).join(" + ")};
  out[id.x] = dot(sum, vec4f(1.0));
}`,
    bindings: [{ name: "out", access: "write", dtype: "f32", length: fmaThreads }],
    uniforms: [],
    grid: [fmaThreads / 64, 1, 1],
    cost: { flops: fmaThreads * fmaRounds * count * 8, bytes: 4 * fmaThreads },
    reference: () => {
      throw new Error("ceiling: an arithmetic ceiling has no reference.");
    },
  };
}

/** Streams vec4f from one buffer to another, neighbouring threads on neighbouring addresses, `each` vectors a thread. */
function copyKernel(floats: number, each: number): Kernel {
  const perGroup = copyThreads * each;
  const groups = floats / 4 / perGroup;
  const width = Math.min(groups, 1 << 14);
  const lines = (line: (index: number) => string): string => Array.from({ length: each }, (_, index) => line(index)).join("\n");
  return {
    name: `ceiling.copy.${floats}.${each}`,
    wgsl: `@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;
@compute @workgroup_size(${copyThreads}) fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let first = (group.y * ${width}u + group.x) * ${perGroup}u + thread;
${lines((i) => `  let v${i} = x[first + ${i * copyThreads}u];`)}
${lines((i) => `  out[first + ${i * copyThreads}u] = v${i};`)}
}`,
    bindings: [
      { name: "x", access: "read", dtype: "f32", length: floats },
      { name: "out", access: "write", dtype: "f32", length: floats },
    ],
    uniforms: [],
    grid: [width, groups / width, 1],
    cost: { flops: 0, bytes: 8 * floats },
    reference: ({ x = new Float64Array(0) }) => ({ out: x }),
  };
}

const copyThreads = 256;
/** vec4f a thread copies. */
const copyVectors = [1, 4] as const;
/** A copy of the size of this suite's tensors, which caches may hold, and one that no cache holds. */
const copyFloats = [1 << 19, 1 << 24] as const;

/**
 * Measures both ceilings: the best of a few ways to ask for each. They are the same for all rows of a run.
 * @param runs samples of each
 */
export async function measureCeilings(gpu: GPUDevice, runs: number): Promise<Ceilings> {
  const best = async (kernels: readonly Kernel[], work: (kernel: Kernel) => number): Promise<number> => {
    let highest = 0;
    for (const kernel of kernels) {
      const prepared = launchable(gpu, kernel);
      const [samples = []] = await interleave([prepared], { runs, sampleMs: 20 });
      highest = Math.max(highest, work(kernel) / timingOf(samples).medianMs / 1e6);
      prepared.dispose();
    }
    return highest;
  };
  return {
    fmaGflops: await best(forms.flatMap((form) => chains.map((count) => fmaKernel(count, form))), ({ cost }) => cost.flops),
    copyGBps: await best(copyFloats.flatMap((floats) => copyVectors.map((each) => copyKernel(floats, each))), ({ cost }) => cost.bytes),
  };
}

/** A kernel that runs on buffers of its own, without results to read. */
function launchable(gpu: GPUDevice, kernel: Kernel): Prepared {
  const prepared = prepareKernel(gpu, kernel);
  const buffers = kernel.bindings.map(({ name, length }) => [name, gpu.createBuffer({ label: kernel.name, size: 4 * length, usage: 0x80 | 0x08 })] as const);
  const named = Object.fromEntries(buffers);
  return {
    launch: () => {
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      prepared.encode(pass, named);
      pass.end();
      gpu.queue.submit([encoder.finish()]);
    },
    settle: async () => {
      await gpu.queue.onSubmittedWorkDone();
    },
    read: () => Promise.resolve({}),
    dispose: () => {
      for (const [, buffer] of buffers) buffer.destroy();
      prepared.destroy();
    },
  };
}
