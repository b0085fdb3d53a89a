import type { HostArray, Kernel, KernelSequence } from "../src/index.js";
import { bindingBytes, prepareKernel, sequenceCost, sequenceOf } from "../src/index.js";

/** What a measurement found. */
export interface Measurement {
  readonly name: string;
  /** Median and spread (first to third quartile) of one run, in microseconds. */
  readonly median: number;
  readonly quartiles: readonly [number, number];
  readonly gflops: number;
  readonly gigabytes: number;
  /** Time until the driver had the pipelines, in milliseconds. */
  readonly compile: number;
}

/** Times a kernel or sequence on a device: warm-up, then batches of dispatches of about 50 ms each, one submit per batch. */
export async function measure(device: GPUDevice, work: Kernel | KernelSequence, inputs: Readonly<Record<string, HostArray>> = {}): Promise<Measurement> {
  const sequence = "kernels" in work ? work : sequenceOf(work);
  const started = performance.now();
  const prepared = sequence.kernels.map(({ kernel }) => prepareKernel(device, kernel));
  await Promise.all(prepared.map((kernel) => kernel.ready()));
  const buffers = new Map<string, GPUBuffer>();
  for (const { kernel, bind } of sequence.kernels) {
    for (const binding of kernel.bindings) {
      const name = bind[binding.name] ?? binding.name;
      if (buffers.has(name)) continue;
      const buffer = device.createBuffer({ size: bindingBytes(binding), usage: 0x8c });
      const values = inputs[name] ?? (binding.dtype === "f32" ? Float32Array.from({ length: binding.length }, (_, i) => Math.sin(i)) : undefined);
      if (values !== undefined && values.length > 0) device.queue.writeBuffer(buffer, 0, values.buffer, values.byteOffset, values.byteLength);
      buffers.set(name, buffer);
    }
  }
  const run = async (times: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) {
      sequence.kernels.forEach(({ bind }, step) => {
        prepared[step]?.encode(pass, Object.fromEntries([...Object.entries(bind)].flatMap(([name, tensor]) => {
          const buffer = buffers.get(tensor);
          return buffer === undefined ? [] : [[name, buffer] as const];
        })));
      });
    }
    pass.end();
    const commands = encoder.finish();
    await device.queue.onSubmittedWorkDone();
    const start = performance.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  await run(1);
  const compile = performance.now() - started;
  const once = Math.min(await run(1), await run(1));
  const times = Math.max(1, Math.min(200, Math.round(50 / once)));
  await run(times);
  const samples: number[] = [];
  for (let i = 0; i < 7; i++) samples.push(((await run(times)) / times) * 1000);
  samples.sort((a, b) => a - b);
  const at = (fraction: number): number => samples[Math.round(fraction * (samples.length - 1))] ?? Number.NaN;
  for (const buffer of buffers.values()) buffer.destroy();
  for (const kernel of prepared) kernel.destroy();
  const { flops, bytes } = sequenceCost(sequence);
  const median = at(0.5);
  return { name: sequence.name, median, quartiles: [at(0.25), at(0.75)], gflops: flops / median / 1000, gigabytes: bytes / median / 1000, compile };
}

/** One table row. */
export function row(label: string, m: Measurement): string {
  const spread = `${m.quartiles[0].toFixed(0)}..${m.quartiles[1].toFixed(0)}`;
  return `${label.padEnd(34)} ${m.name.padEnd(34)} ${m.median.toFixed(0).padStart(8)} us (${spread.padStart(14)})  ${m.gflops.toFixed(1).padStart(6)} GFLOP/s  ${m.gigabytes.toFixed(1).padStart(5)} GB/s  compile ${m.compile.toFixed(0)} ms`;
}
