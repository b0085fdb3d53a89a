import { augmentBatch, type Augmentation, type StreamBatch, type StreamBatches } from "@distilldrive/datasets";
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

/** What a source adds to its batches. */
export interface StreamSourceOptions {
  readonly more?: MoreInputs;
  /** Random changes, not together with camera images. */
  readonly augmentation?: Augmentation;
}

/** Training batches from streams of scenes: each lane walks a drive frame by frame, so that models may keep a memory. */
export function streamSource(batches: StreamBatches, { more, augmentation }: StreamSourceOptions = {}): BatchSource {
  const changed = (batch: StreamBatch): StreamBatch => {
    if (!augmentation) return batch;
    // The state names each lane's drive and how far the walk is, so a resumed run draws the same numbers.
    const { seed, epoch, taken, streams, lanes } = batches.state();
    const draw = lanes.reduce((sum, { shown }) => sum + shown, 1000 * (epoch * streams + taken));
    return augmentBatch(batch, augmentation, seed, lanes.map(({ stream }) => epoch * streams + stream), draw);
  };
  return {
    async next() {
      const batch = changed(batches.next());
      const extra = more ? await more(batch) : {};
      return { inputs: { ...batchInputs(batch), ...extra }, samples: batch.laneMask.length };
    },
    state: () => batches.state(),
    restore: (state) => {
      batches.restore(state);
    },
  };
}
