import { type Kernel, sequenceOf } from "./kernel.js";
import { measureCandidates } from "./measure.js";
import { declare } from "./wgsl.js";

/** What an adapter can do at most, measured with kernels that do nothing else. */
export interface Ceilings {
  /** 1e9 floating point operations a second, a fused multiply-add counted as two. */
  readonly fmaGflops: number;
  /** 1e9 bytes a second, read and written together. */
  readonly copyGBps: number;
}

/**
 * Measures both ceilings, each as the best of a few ways to ask for it: a few seconds on a CPU driver.
 * @param rounds measurements of each way, of which the median counts; default 7
 */
export async function measureCeilings(device: GPUDevice, { rounds = 7 }: { readonly rounds?: number } = {}): Promise<Ceilings> {
  const best = async (kernels: readonly Kernel[], amount: (kernel: Kernel) => number): Promise<number> => {
    let highest = 0;
    // One at a time: the copies are large.
    for (const kernel of kernels) {
      const [time] = await measureCandidates(device, [{ name: kernel.name, build: () => sequenceOf(kernel) }], { rounds, turn: 20 });
      if (time !== undefined) highest = Math.max(highest, amount(kernel) / time.milliseconds / 1e6);
    }
    return highest;
  };
  return {
    fmaGflops: await best(fmaForms.flatMap((form) => fmaChains.map((count) => fmaKernel(count, form))), ({ cost }) => cost.flops),
    copyGBps: await best(copyLengths.flatMap((length) => copyVectors.map((each) => streamKernel(length, each))), ({ cost }) => cost.bytes),
  };
}

/** Chains of vec4f multiply-adds that do not wait for each other: CPUs run out of registers early, GPUs late. */
const fmaChains = [2, 3, 4, 6, 8] as const;
/** A multiply-add asked for and one left to the driver's compiler; either can be the faster. */
const fmaForms = ["fma", "plain"] as const;
const unrolled = 4;
const fmaRounds = 256;
const fmaThreads = 64 * 64;

/** Multiply-adds without memory traffic: every thread runs `count` chains and writes one number, so that none is dead code. */
function fmaKernel(count: number, form: (typeof fmaForms)[number]): Kernel {
  const each = (line: (index: number) => string): string => Array.from({ length: count }, (_, index) => line(index)).join("\n");
  const bindings = [{ name: "out", access: "write", dtype: "f32", length: fmaThreads }] as const;
  const uniforms = [
    { name: "rounds", type: "u32", value: fmaRounds / unrolled },
    { name: "scale", type: "f32", value: 0.999 },
  ] as const;
  return {
    name: `ceiling.${form}.${count}`,
    wgsl: `${declare(bindings, uniforms)}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let scale = vec4f(params.scale);
  let shift = vec4f(f32(id.x & 7u) * 1e-3);
${each((i) => `  var c${i} = vec4f(${i}.0);`)}
  for (var round = 0u; round < params.rounds; round++) {
${Array.from({ length: unrolled }, () => each((i) => (form === "fma" ? `    c${i} = fma(c${i}, scale, shift);` : `    c${i} = c${i} * scale + shift;`))).join("\n")}
  }
  out[id.x] = dot(${Array.from({ length: count }, (_, i) => `c${i}`).join(" + ")}, vec4f(1.0));
}
`,
    bindings,
    uniforms,
    grid: [fmaThreads / 64, 1, 1],
    cost: { flops: fmaThreads * fmaRounds * count * 8, bytes: 4 * fmaThreads },
    reference: () => ({
      out: Float64Array.from({ length: fmaThreads }, (_, thread) => {
        let sum = 0;
        for (let chain = 0; chain < count; chain++) {
          let value = chain;
          for (let round = 0; round < fmaRounds; round++) value = value * 0.999 + (thread & 7) * 1e-3;
          sum += 4 * value;
        }
        return sum;
      }),
    }),
  };
}

/** Elements of the copies: the size of a layer's activations, which caches may hold, and one that no cache holds. */
const copyLengths = [1 << 19, 1 << 24] as const;
/** vec4f a thread copies. */
const copyVectors = [1, 4] as const;
const copyThreads = 256;

/** Streams vec4f from one buffer to another, neighbouring threads on neighbouring addresses, `each` vectors a thread. */
function streamKernel(length: number, each: number): Kernel {
  const perGroup = copyThreads * each;
  const groups = length / 4 / perGroup;
  const width = Math.min(groups, 1 << 14);
  const lines = (line: (index: number) => string): string => Array.from({ length: each }, (_, index) => line(index)).join("\n");
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "y", access: "write", dtype: "f32", length },
  ] as const;
  const uniforms = [{ name: "width", type: "u32", value: width }] as const;
  return {
    name: `ceiling.copy.${length}.${each}`,
    wgsl: `${declare(bindings, uniforms, { x: "vec4f", y: "vec4f" })}
@compute @workgroup_size(${copyThreads}) fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let first = (group.y * params.width + group.x) * ${perGroup}u + thread;
${lines((i) => `  let v${i} = x[first + ${i * copyThreads}u];`)}
${lines((i) => `  y[first + ${i * copyThreads}u] = v${i};`)}
}
`,
    bindings,
    uniforms,
    grid: [width, groups / width, 1],
    cost: { flops: 0, bytes: 8 * length },
    reference: ({ x = new Float64Array() }) => ({ y: x }),
  };
}

/** Kernels like those the ceilings are measured with, for tests. */
export const ceilingKernels = (): readonly Kernel[] => [fmaKernel(2, "fma"), fmaKernel(4, "plain"), streamKernel(1 << 12, 1), streamKernel(1 << 12, 4)];
