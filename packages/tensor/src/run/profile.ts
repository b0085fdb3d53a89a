import { bufferUsage, deviceWork } from "@distilldrive/kernels";
import type { Dispatch } from "./program.js";
import { readBuffers } from "./read.js";

/** Time of one dispatch. */
export interface ProfileRow {
  readonly kernel: string;
  readonly label: string;
  readonly scope: string;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Queries a set may hold (WebGPU's limit is 4096). */
const maxQueries = 4096;

/** Runs dispatches one pass each, timed by the device's timestamps, or by the clock where it has none. */
export async function profileLaunches(gpu: GPUDevice, dispatches: readonly Dispatch[]): Promise<readonly ProfileRow[]> {
  const times = gpu.features.has("timestamp-query") ? await byTimestamps(gpu, dispatches) : await byClock(gpu, dispatches);
  return dispatches.map(({ launch }, index) => ({
    kernel: launch.kernel.name,
    label: launch.label,
    scope: launch.scope,
    milliseconds: times[index] ?? 0,
    flops: launch.kernel.cost.flops,
    bytes: launch.kernel.cost.bytes,
  }));
}

async function byTimestamps(gpu: GPUDevice, dispatches: readonly Dispatch[]): Promise<number[]> {
  const times: number[] = [];
  for (let start = 0; start < dispatches.length; start += maxQueries / 2) {
    const part = dispatches.slice(start, start + maxQueries / 2);
    const querySet = gpu.createQuerySet({ type: "timestamp", count: 2 * part.length });
    const resolved = gpu.createBuffer({ size: 16 * part.length, usage: bufferUsage.queryResolve | bufferUsage.copySrc });
    const encoder = gpu.createCommandEncoder();
    part.forEach((dispatch, i) => {
      const pass = encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 } });
      encode(pass, dispatch);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, 2 * part.length, resolved, 0);
    gpu.queue.submit([encoder.finish()]);
    const [words] = await readBuffers(gpu, [{ buffer: resolved, offset: 0, length: 4 * part.length, dtype: "u32" }]);
    part.forEach((_, i) => {
      const nanoseconds = (word: number): number => (words?.[word] ?? 0) + (words?.[word + 1] ?? 0) * 2 ** 32;
      times.push((nanoseconds(4 * i + 2) - nanoseconds(4 * i)) / 1e6);
    });
    resolved.destroy();
    querySet.destroy();
  }
  return times;
}

async function byClock(gpu: GPUDevice, dispatches: readonly Dispatch[]): Promise<number[]> {
  const times: number[] = [];
  for (const dispatch of dispatches) {
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encode(pass, dispatch);
    pass.end();
    const start = performance.now();
    gpu.queue.submit([encoder.finish()]);
    await deviceWork(gpu.queue.onSubmittedWorkDone());
    times.push(performance.now() - start);
  }
  return times;
}

function encode(pass: GPUComputePassEncoder, { launch, pipeline, bindGroup }: Dispatch): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(...launch.kernel.grid);
}
