import { bufferUsage } from "./gpu-constants.js";
import { bindingBytes, type Candidate, type KernelSequence } from "./kernel.js";
import { prepareKernel, type PreparedKernel } from "./launch.js";
import { deviceWork } from "./wait.js";

/** A candidate's time. */
export interface CandidateTime {
  readonly candidate: string;
  /** Median over the rounds, ms a run of the sequence. */
  readonly milliseconds: number;
}

/** How long to measure. */
export interface MeasureOptions {
  /** Rounds in which every candidate has one turn. Default 11. */
  readonly rounds?: number;
  /** Shortest turn, ms: fast candidates repeat within one submit until a turn takes that long. Default 4. */
  readonly turn?: number;
}

/** Candidates that took so many times as long as the best at their second run are not run again. */
const hopeless = 4;

/** A sequence with memory of its own, ready to run again and again. */
interface Contestant {
  readonly name: string;
  /** Runs the sequence `times` in one submit and waits; ms. */
  run(times: number): Promise<number>;
  destroy(): void;
}

/**
 * Times candidates of one operation on a device, in turns so that a disturbance hits all of them.
 * Inputs are random in [-1, 1]; integer tensors are zeros.
 * @returns the candidates that ran, the fastest first; empty when the device refuses all of them
 */
export async function measureCandidates(device: GPUDevice, candidates: readonly Candidate[], { rounds = 11, turn = 4 }: MeasureOptions = {}): Promise<readonly CandidateTime[]> {
  const ready: Contestant[] = [];
  for (const candidate of candidates) {
    const contestant = await prepare(device, candidate);
    if (contestant) ready.push(contestant);
  }
  try {
    const turns: { readonly contestant: Contestant; readonly once: number; readonly times: number[] }[] = [];
    for (const contestant of ready) {
      await contestant.run(1);
      turns.push({ contestant, once: Math.max(1e-3, await contestant.run(1)), times: [] });
    }
    const best = Math.min(...turns.map(({ once }) => once));
    for (let round = 0; round < rounds; round++) {
      for (const { contestant, once, times } of turns) {
        const repeats = Math.min(256, Math.max(1, Math.ceil(turn / once)));
        if (once > hopeless * best) times.push(once);
        else times.push((await contestant.run(repeats)) / repeats);
      }
    }
    return turns
      .map(({ contestant, times }) => ({ candidate: contestant.name, milliseconds: times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0 }))
      .sort((a, b) => a.milliseconds - b.milliseconds);
  } finally {
    for (const contestant of ready) contestant.destroy();
  }
}

/** Compiles a candidate and gives it buffers; undefined when the device cannot run it. */
async function prepare(device: GPUDevice, candidate: Candidate): Promise<Contestant | undefined> {
  let sequence: KernelSequence;
  const kernels: PreparedKernel[] = [];
  try {
    sequence = candidate.build();
    for (const { kernel } of sequence.kernels) kernels.push(prepareKernel(device, kernel));
    await Promise.all(kernels.map((kernel) => kernel.ready()));
  } catch {
    // A candidate that this device refuses is no candidate here.
    for (const kernel of kernels) kernel.destroy();
    return undefined;
  }
  const buffers = new Map<string, GPUBuffer>();
  for (const { kernel, bind } of sequence.kernels) {
    for (const binding of kernel.bindings) {
      const name = bind[binding.name] ?? binding.name;
      const size = Math.max(bindingBytes(binding), buffers.get(name)?.size ?? 0);
      if (buffers.get(name)?.size === size) continue;
      buffers.get(name)?.destroy();
      buffers.set(name, randomBuffer(device, name, size, binding.dtype === "f32"));
    }
  }
  const bound = Object.fromEntries(buffers);
  return {
    name: candidate.name,
    async run(times) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < times; i++) {
        sequence.kernels.forEach(({ bind }, step) => {
          kernels[step]?.encode(pass, Object.fromEntries(Object.entries(bind).flatMap(([binding, tensor]) => (bound[tensor] ? [[binding, bound[tensor]]] : []))));
        });
      }
      pass.end();
      const commands = encoder.finish();
      const start = performance.now();
      device.queue.submit([commands]);
      await deviceWork(device.queue.onSubmittedWorkDone());
      return performance.now() - start;
    },
    destroy: () => {
      for (const kernel of kernels) kernel.destroy();
      for (const buffer of buffers.values()) buffer.destroy();
    },
  };
}

function randomBuffer(device: GPUDevice, label: string, size: number, random: boolean): GPUBuffer {
  const buffer = device.createBuffer({ label, size, usage: bufferUsage.storage | bufferUsage.copySrc, mappedAtCreation: random });
  if (!random) return buffer;
  const values = new Float32Array(buffer.getMappedRange());
  // A short cycle of odd steps through [-1, 1): cheap, and no two neighbours alike.
  for (let i = 0; i < values.length; i++) values[i] = ((i * 7919) % 4093) / 2046.5 - 1;
  buffer.unmap();
  return buffer;
}
