import type { StreamBatch, StreamBatches } from "@distilldrive/datasets";
import type { BatchSource } from "./fit.js";

/** Arrays a stream batch cannot hold itself, such as camera images, by graph input name. */
export type MoreInputs = (batch: StreamBatch) => Promise<Readonly<Record<string, ArrayLike<number>>>>;

/** The arrays of a stream batch as graph inputs, by field name. */
export function batchInputs(batch: StreamBatch): Record<string, ArrayLike<number>> {
  const inputs: Record<string, ArrayLike<number>> = {};
  for (const [name, value] of Object.entries(batch) as [string, unknown][]) {
    if (value instanceof Float32Array || value instanceof Int32Array) inputs[name] = value;
  }
  return inputs;
}

/** Training batches from streams of scenes: each lane walks a drive frame by frame, so that models may keep a memory. */
export function streamSource(batches: StreamBatches, more?: MoreInputs): BatchSource {
  return {
    async next() {
      const batch = batches.next();
      const extra = more ? await more(batch) : {};
      return { inputs: { ...batchInputs(batch), ...extra }, samples: batch.laneMask.length };
    },
    state: () => batches.state(),
    restore: (state) => {
      batches.restore(state);
    },
  };
}
