/** What a device was asked to do. */
export interface Counts {
  submits: number;
  maps: number;
  buffers: number;
  passes: number;
  writes: number;
}

/** Counts submits, buffer maps, buffer creations, compute passes and queue writes of a device from now on. */
export function countCalls(gpu: GPUDevice): Counts {
  const counts: Counts = { submits: 0, maps: 0, buffers: 0, passes: 0, writes: 0 };
  intercept(gpu.queue, "submit", () => counts.submits++);
  intercept(gpu.queue, "writeBuffer", () => counts.writes++);
  intercept(gpu, "createBuffer", (buffer) => {
    counts.buffers++;
    intercept(buffer as GPUBuffer, "mapAsync", () => counts.maps++);
  });
  intercept(gpu, "createCommandEncoder", (encoder) => {
    intercept(encoder as GPUCommandEncoder, "beginComputePass", () => counts.passes++);
  });
  return counts;
}

/** Replaces a method by one that calls it and reports the result. */
function intercept<Target extends object>(target: Target, method: keyof Target & string, after: (result: unknown) => void): void {
  const original = target[method] as unknown as (...args: unknown[]) => unknown;
  Object.defineProperty(target, method, {
    configurable: true,
    value: (...args: unknown[]) => {
      const result = original.apply(target, args);
      after(result);
      return result;
    },
  });
}
