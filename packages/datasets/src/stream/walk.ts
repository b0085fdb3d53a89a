import { z } from "zod";
import { shuffledOrder } from "../counter-random.js";
import { DatasetError } from "../errors.js";
import { featureBuilder, type FeatureBuilder } from "../features/build.js";
import { resolveFeatureOptions, type FeatureOptions, type Sample } from "../features/sample.js";
import type { Scene } from "../schema.js";
import { stackLanes, type LaneStep, type StreamBatch } from "./batch.js";
import { createStreams, type Stream } from "./streams.js";

/** Where a training walk stands: plain JSON, a few numbers per lane. */
export const StreamState = z.strictObject({
  seed: z.number(),
  /** Streams there are; a changed data set is refused on restore. */
  streams: z.int().positive(),
  /** Frames of all streams together, likewise. */
  frames: z.int().positive(),
  /** Rounds through all streams that were begun before the present one. */
  epoch: z.int().nonnegative(),
  /** Streams of the present round that were handed out. */
  taken: z.int().nonnegative(),
  /** Per lane the stream it walks and how many of its frames it has shown. */
  lanes: z.array(z.strictObject({ stream: z.int().nonnegative(), shown: z.int().nonnegative() })),
});
/** Where a training walk stands. */
export type StreamState = z.infer<typeof StreamState>;

/** Endless batches for training. */
export interface StreamBatches {
  /** Frames of all streams together: samples of one epoch. */
  readonly framesPerEpoch: number;
  /** The next batch; every lane moves on by one frame. */
  next(): StreamBatch;
  /** Everything needed to go on from here, as plain JSON. */
  state(): StreamState;
  /**
   * Goes on from a state: the batches that follow are those that would have followed, bit for bit.
   * @throws DatasetError when the state belongs to other streams, another batch size or another seed
   */
  restore(state: unknown): void;
}

/** Options of {@link streamBatches}. */
export interface StreamBatchOptions {
  /** Lanes B. */
  readonly batch: number;
  /** Order of the streams. Default 0. */
  readonly seed?: number;
  /** Of the samples; `mirror` comes from the streams. */
  readonly features?: Omit<FeatureOptions, "mirror">;
}

/**
 * Batches whose B lanes each walk one stream frame by frame, so that a model can keep a memory per lane. When a stream
 * ends its lane takes the next one of a shuffled order, which is shuffled anew each epoch. The order depends on
 * (seed, epoch) alone.
 * @throws DatasetError for an empty list of streams or a batch below 1
 */
export function streamBatches(streams: readonly Stream[], options: StreamBatchOptions): StreamBatches {
  const { batch, seed = 0 } = options;
  requireLanes(batch, "streamBatches");
  if (streams.length === 0) throw new DatasetError("streamBatches: no streams, expected at least 1, got 0. Make some with createStreams(scenes).");
  const features = resolveFeatureOptions(options.features);
  const sampleOf = sampler(features);
  const framesPerEpoch = streams.reduce((sum, stream) => sum + stream.frames.length, 0);

  let epoch = 0;
  let taken = 0;
  let order = shuffledOrder(streams.length, seed, 0);
  let lanes: { stream: number; shown: number; previous: Sample | null }[] = [];

  const take = (): { stream: number; shown: number; previous: null } => {
    if (taken === streams.length) {
      epoch++;
      taken = 0;
      order = shuffledOrder(streams.length, seed, epoch);
    }
    return { stream: order[taken++] ?? 0, shown: 0, previous: null };
  };

  return {
    framesPerEpoch,
    next() {
      const steps: LaneStep[] = [];
      for (let b = 0; b < batch; b++) {
        let lane = lanes[b];
        if (lane === undefined || lane.shown >= (streams[lane.stream]?.frames.length ?? 0)) lane = take();
        const sample = sampleOf(streams[lane.stream], lane.shown);
        steps.push({ sample, previous: lane.previous });
        lanes[b] = { stream: lane.stream, shown: lane.shown + 1, previous: sample };
      }
      return stackLanes(steps, features);
    },
    state: () => ({ seed, streams: streams.length, frames: framesPerEpoch, epoch, taken, lanes: lanes.map(({ stream, shown }) => ({ stream, shown })) }),
    restore(state) {
      const parsed = StreamState.safeParse(state);
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        throw new DatasetError(`streamBatches: restore: ${issue?.path.join(".") || "state"}: ${issue?.message ?? "invalid"}. Give what state() returned.`);
      }
      const saved = parsed.data;
      const refuse = (what: string, expected: unknown, got: unknown): never => {
        throw new DatasetError(`streamBatches: restore: the state has other ${what}, expected ${String(expected)}, got ${String(got)}. Resume with the data and settings of the run, or start a new one.`);
      };
      if (saved.seed !== seed) refuse("seed", seed, saved.seed);
      if (saved.streams !== streams.length) refuse("streams", streams.length, saved.streams);
      if (saved.frames !== framesPerEpoch) refuse("frames", framesPerEpoch, saved.frames);
      if (saved.lanes.length !== 0 && saved.lanes.length !== batch) refuse("lanes", batch, saved.lanes.length);
      const restored = saved.lanes.map(({ stream, shown }) => {
        const frames = streams[stream]?.frames.length ?? 0;
        if (shown < 1 || shown > frames) refuse(`position in stream ${stream}`, `1 to ${frames}`, shown);
        return { stream, shown, previous: shown < frames ? sampleOf(streams[stream], shown - 1) : null };
      });
      if (saved.taken > streams.length) refuse("streams taken", `at most ${streams.length}`, saved.taken);
      ({ epoch, taken } = saved);
      order = shuffledOrder(streams.length, seed, epoch);
      lanes = restored;
    },
  };
}

/** One pass over held-out scenes. */
export interface EvaluationStream {
  /** Samples of the pass. */
  readonly frames: number;
  /** The next batch, or null at the end. */
  next(): StreamBatch | null;
}

/** Options of {@link evaluationStream}. */
export interface EvaluationOptions {
  /** Lanes B; each walks other scenes. Lanes that have run out are padded. Default 1. */
  readonly batch?: number;
  readonly features?: Omit<FeatureOptions, "mirror">;
}

/**
 * Walks each scene's original keyframes (phase 0, not mirrored, whole future known) in order, once. With one lane the
 * scenes come one after the other; results do not depend on the number of lanes.
 * @throws DatasetError when no scene has such a keyframe
 */
export function evaluationStream(scenes: readonly Scene[], options: EvaluationOptions = {}): EvaluationStream {
  const { batch = 1 } = options;
  requireLanes(batch, "evaluationStream");
  const streams = createStreams(scenes, { phases: [0], mirror: false });
  const features = resolveFeatureOptions(options.features);
  const sampleOf = sampler(features);
  let taken = 0;
  const lanes: ({ stream: Stream; shown: number; previous: Sample | null } | undefined)[] = [];
  return {
    frames: streams.reduce((sum, stream) => sum + stream.frames.length, 0),
    next() {
      const steps = Array.from({ length: batch }, (_, b): LaneStep | null => {
        let lane = lanes[b];
        if (lane === undefined || lane.shown === lane.stream.frames.length) {
          const stream = streams[taken++];
          lane = stream === undefined ? undefined : { stream, shown: 0, previous: null };
        }
        if (lane === undefined) {
          lanes[b] = undefined;
          return null;
        }
        const sample = sampleOf(lane.stream, lane.shown);
        lanes[b] = { stream: lane.stream, shown: lane.shown + 1, previous: sample };
        return { sample, previous: lane.previous };
      });
      return steps.every((step) => step === null) ? null : stackLanes(steps, features);
    },
  };
}

/** Samples by (stream, position), preparing each scene once. */
function sampler(features: FeatureOptions): (stream: Stream | undefined, position: number) => Sample {
  const builders = new Map<Scene, FeatureBuilder>();
  return (stream, position) => {
    const frame = stream?.frames[position];
    if (stream === undefined || frame === undefined) throw new DatasetError(`stream: no frame ${position}. Restore a state of the same streams.`);
    const build = builders.get(stream.scene) ?? featureBuilder(stream.scene);
    builders.set(stream.scene, build);
    return build(frame, { ...features, mirror: stream.mirror });
  };
}

function requireLanes(batch: number, where: string): void {
  if (!Number.isInteger(batch) || batch < 1) throw new DatasetError(`${where}: batch: expected a whole number of lanes, 1 or more, got ${batch}. Set batch.`);
}
