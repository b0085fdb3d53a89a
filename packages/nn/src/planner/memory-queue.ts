import {
  add,
  buffer,
  concat,
  expandDims,
  gather,
  greater,
  lessEqual,
  minimum,
  mul,
  pad,
  slice,
  stopGradient,
  sub,
  type Tensor,
  type Variable,
} from "@distilldrive/tensor";
import { ANCHOR_CHANNELS, moveAnchors } from "../encoders/anchor.js";

/** Sizes of a {@link memoryQueue}. */
export interface MemoryQueueConfig {
  /** B: sequences that run side by side. */
  readonly lanes: number;
  /** S: instances per lane. */
  readonly slots: number;
  /** Anchors per lane: S, or 1 where all instances share one (the ego vehicle's modes). */
  readonly anchorSlots?: number;
  /** T: frames a query attends to, the current one included; published 4. */
  readonly frames: number;
  /** D */
  readonly channels: number;
  /** s, a longer gap between frames empties the lane; published 2. */
  readonly maxGap?: number;
}

/** How the present frame of a stream follows on the previous one. */
export interface FrameLink {
  /** [B] 1 where a new sequence begins */
  readonly reset: Tensor;
  /** [B] s since the lane's previous frame */
  readonly timeGap: Tensor;
  /** [B, 4, 4] takes points of the previous frame's model frame to the present one's, m */
  readonly currentFromPrevious: Tensor;
}

/** The queue's content, aligned with the present frame's instances. */
export interface AlignedMemory {
  /** [B, S, T-1, D], oldest first */
  readonly features: Tensor;
  /** [B, A, T-1, 10], in the present model frame */
  readonly anchors: Tensor;
  /** [B, A] number of frames in a row, the present one included, that the instance has been seen; at most T */
  readonly period: Tensor;
}

/** What an instance's query attends to. */
export interface MemoryKeys {
  /** [B, S, T, D] */
  readonly features: Tensor;
  /** [B, A, T, 10] */
  readonly anchors: Tensor;
  /** [B, A, T] 1 = ignore */
  readonly padding: Tensor;
}

/** Features and anchors of the last frames of every instance, on the device between runs. */
export interface MemoryQueue {
  /** Buffer [B, S, T-1, D] */
  readonly instance_feature: Variable;
  /** Buffer [B, A, T-1, 10] */
  readonly anchor: Variable;
  /** Buffer [B, A] */
  readonly period: Variable;
  /** [B, 1] 1 where the lane goes on, 0 where it starts anew */
  readonly goesOn: (link: FrameLink) => Tensor;
  /**
   * @param matchIndex [B, n] i32, n at most S: slot the instance had in the previous frame, -1 for none; null: slots keep their instance
   */
  readonly align: (link: FrameLink, matchIndex: Tensor | null) => AlignedMemory;
  /** Appends the present frame. @param feature [B, S, D] @param anchor [B, A, 10] */
  readonly keys: (memory: AlignedMemory, feature: Tensor, anchor: Tensor) => MemoryKeys;
  /** Makes the present frame the newest entry when the run ends; with n < S instances the other slots are left empty. @param feature [B, n, D] @param anchor [B, n or A, 10] */
  readonly store: (memory: AlignedMemory, feature: Tensor, anchor: Tensor) => void;
}

/**
 * Memory queue (fact T15). Every frame the whole queue is permuted to the present slots, its anchors are moved into the
 * present model frame, and an instance that was not there before starts with an empty past. Entries carry no gradient.
 * A lane starts anew on `reset` and after a gap longer than `maxGap`.
 */
export function memoryQueue(config: MemoryQueueConfig): MemoryQueue {
  const { lanes, slots, frames, channels, anchorSlots = slots, maxGap = 2 } = config;
  const past = frames - 1;
  const instance_feature = buffer([lanes, slots, past, channels]);
  const anchor = buffer([lanes, anchorSlots, past, ANCHOR_CHANNELS]);
  const period = buffer([lanes, anchorSlots]);

  const goesOn = (link: FrameLink): Tensor => expandDims(mul(sub(1, link.reset), lessEqual(link.timeGap, maxGap)), 1);

  const align = (link: FrameLink, matchIndex: Tensor | null): AlignedMemory => {
    const { graph } = link.reset;
    const matched = (variable: Variable): Tensor => {
      const value = graph.variable(variable);
      return matchIndex ? gather(value, matchIndex, { batchDims: 1 }) : value;
    };
    return {
      features: matched(instance_feature),
      anchors: moveAnchors(matched(anchor), link.currentFromPrevious),
      period: minimum(add(mul(matched(period), goesOn(link)), 1), frames),
    };
  };

  const append = (memory: Tensor, present: Tensor): Tensor => concat([memory, expandDims(stopGradient(present), 2)], 2);

  const keys = (memory: AlignedMemory, feature: Tensor, present: Tensor): MemoryKeys => {
    const ages = feature.graph.constant(Float32Array.from({ length: frames }, (_, t) => frames - t), [frames]);
    return {
      features: append(memory.features, feature),
      anchors: append(memory.anchors, present),
      padding: greater(ages, expandDims(memory.period, -1)),
    };
  };

  const store = (memory: AlignedMemory, feature: Tensor, present: Tensor): void => {
    const { graph } = feature;
    const newest = (old: Tensor, now: Tensor): Tensor => slice(append(old, now), 2, 1, frames);
    // A frame with fewer slots leaves the others empty.
    const whole = (value: Tensor, count: number): Tensor => pad(value, 1, 0, count - value.at(1));
    graph.assign(instance_feature, whole(newest(memory.features, feature), slots));
    graph.assign(anchor, whole(newest(memory.anchors, present), anchorSlots));
    graph.assign(period, whole(memory.period, anchorSlots));
  };

  return { instance_feature, anchor, period, goesOn, align, keys, store };
}
