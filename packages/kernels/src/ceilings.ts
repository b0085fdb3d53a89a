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
 * Measures both ceilings, each as the best of a few ways to ask for it: about a second on a CPU driver.
 * @param rounds measurements of each way, of which the median counts; default 7
 */
export async function measureCeilings(device: GPUDevice, { rounds = 7 }: { readonly rounds?: number } = {}): Promise<Ceilings> {
  const best = async (kernels: readonly Kernel[], amount: (kernel: Kernel) => number): Promise<number> => {
    const times = await measureCandidates(device, kernels.map((kernel) => ({ name: kernel.name, build: () => sequenceOf(kernel) })), { rounds, turn: 20 });
    return Math.max(0, ...times.map(({ candidate, milliseconds }) => {
      const kernel = kernels.find(({ name }) => name === candidate);
      return kernel === undefined ? 0 : amount(kernel) / milliseconds / 1e6;
    }));
  };
  return {
    fmaGflops: await best(fmaChains.map(fmaKernel), ({ cost }) => cost.flops),
    copyGBps: await best(copyLengths.map(streamKernel), ({ cost }) => cost.bytes),
  };
}

/** Chains of vec4f multiply-adds that do not wait for each other; more would make a CPU driver spill registers. */
const fmaChains = [4, 8, 12] as const;
const fmaRounds = 256;
const fmaThreads = 64 * 64;

/** Multiply-adds without memory traffic: every thread runs `count` chains and writes one number, so that none is dead code. */
function fmaKernel(count: number): Kernel {
  const each = (line: (index: number) => string): string => Array.from({ length: count }, (_, index) => line(index)).join("\n");
  const bindings = [{ name: "out", access: "write", dtype: "f32", length: fmaThreads }] as const;
  const uniforms = [
    { name: "rounds", type: "u32", value: fmaRounds },
    { name: "scale", type: "f32", value: 0.999 },
  ] as const;
  return {
    name: `ceiling.fma.${count}`,
    wgsl: `${declare(bindings, uniforms)}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let scale = vec4f(params.scale);
  let shift = vec4f(f32(id.x & 7u) * 1e-3);
${each((i) => `  var c${i} = vec4f(${i}.0);`)}
  for (var round = 0u; round < params.rounds; round++) {
${each((i) => `    c${i} = fma(c${i}, scale, shift);`)}
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

/** Streams vec4f from one buffer to another, neighbouring threads on neighbouring addresses. */
function streamKernel(length: number): Kernel {
  const vectors = length / 4;
  const width = Math.min(vectors, 64 * 4096);
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "y", access: "write", dtype: "f32", length },
  ] as const;
  const uniforms = [{ name: "width", type: "u32", value: width }] as const;
  return {
    name: `ceiling.copy.${length}`,
    wgsl: `${declare(bindings, uniforms, { x: "vec4f", y: "vec4f" })}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let at = id.y * params.width + id.x;
  y[at] = x[at];
}
`,
    bindings,
    uniforms,
    grid: [width / 64, vectors / width, 1],
    cost: { flops: 0, bytes: 8 * length },
    reference: ({ x = new Float64Array() }) => ({ y: x }),
  };
}

/** The kernels the ceilings are measured with, for tests. */
export const ceilingKernels = (): readonly Kernel[] => [...fmaChains.map(fmaKernel), streamKernel(1 << 10)];
