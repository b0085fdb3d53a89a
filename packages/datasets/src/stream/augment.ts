import { z } from "zod";
import { counterRandom } from "../counter-random.js";
import type { StreamBatch } from "./batch.js";

/** Random changes to training batches of vector features. They are not for batches that also carry camera images. */
export const augmentSchema = z.strictObject({
  /**
   * Every drive is resized by exp(u), u uniform in +-scale: all lengths, speeds and accelerations, not times and angles. A
   * drive at 8 m/s becomes one at 6 or 11 m/s, so that a few scenes cover more speeds. 0: off.
   */
  scale: z.number().min(0).max(1).default(0.35),
  /** Probability that an agent is hidden from a sample. */
  agentDropout: z.number().min(0).lt(1).default(0.1),
  /** Probability that a map line is hidden from a sample. */
  lineDropout: z.number().min(0).lt(1).default(0.1),
  /** Probability that a sample loses all its agents, and, independently, all its lines. */
  blindness: z.number().min(0).lt(1).default(0.1),
});
/** Random changes to training batches. */
export type Augmentation = z.output<typeof augmentSchema>;

/** No change at all. */
export const NO_AUGMENTATION: Augmentation = { scale: 0, agentDropout: 0, lineDropout: 0, blindness: 0 };

/** Box columns that are lengths or speeds: all of x, y, z, length, width, height, yaw, vx, vy but the yaw. */
const SCALED_BOX_COLUMNS = [0, 1, 2, 3, 4, 5, 7, 8] as const;
/** Ego status columns that are accelerations or speeds. */
const SCALED_STATUS_COLUMNS = [0, 1, 2, 6, 7, 8] as const;
/** Translation of a row-major [4, 4] transform. */
const TRANSLATION = [3, 7, 11] as const;

/**
 * A changed copy of a batch. The same seed, drives and draw give the same batch.
 * @param drives [B] what each lane walks: a lane keeps its scale along a drive
 * @param draw a number that no two batches of a run share; decides what is hidden
 */
export function augmentBatch(batch: StreamBatch, options: Augmentation, seed: number, drives: readonly number[], draw: number): StreamBatch {
  const lanes = batch.laneMask.length;
  const scales = drives.map((drive) => Math.exp(options.scale * (2 * counterRandom(seed, drive, SCALE_STREAM) - 1)));
  const scaled = (array: Float32Array, columns?: readonly number[], width = 1): Float32Array => {
    const out = Float32Array.from(array);
    const perLane = array.length / lanes;
    for (let lane = 0; lane < lanes; lane++) {
      const factor = scales[lane] ?? 1;
      for (let i = lane * perLane; i < (lane + 1) * perLane; i++) {
        if (columns === undefined || columns.includes((i - lane * perLane) % width)) out[i] = (array[i] ?? 0) * factor;
      }
    }
    return out;
  };
  /** 1 where a slot stays. */
  const kept = (slots: number, probability: number, stream: number): Float32Array => {
    const perLane = slots / lanes;
    return Float32Array.from({ length: slots }, (_, slot) => {
      const lane = Math.floor(slot / perLane);
      if (counterRandom(seed, draw, stream + lane) < options.blindness) return 0;
      return counterRandom(seed, draw, stream + lanes + slot) < probability ? 0 : 1;
    });
  };
  const hide = (mask: Float32Array, slots: Float32Array): Float32Array => {
    const each = mask.length / slots.length;
    return mask.map((value, i) => value * (slots[Math.floor(i / each)] ?? 0));
  };
  const agents = kept(batch.agentMask.length, options.agentDropout, AGENT_STREAM);
  const lines = kept(batch.lineMask.length, options.lineDropout, LINE_STREAM);
  return {
    ...batch,
    boxes: scaled(batch.boxes, SCALED_BOX_COLUMNS, 9),
    agentMask: hide(batch.agentMask, agents),
    futureDisplacement: scaled(batch.futureDisplacement),
    futureMask: hide(batch.futureMask, agents),
    pastDisplacement: scaled(batch.pastDisplacement),
    pastMask: hide(batch.pastMask, agents),
    lines: scaled(batch.lines),
    lineMask: hide(batch.lineMask, lines),
    egoStatus: scaled(batch.egoStatus, SCALED_STATUS_COLUMNS, 10),
    egoFuture: scaled(batch.egoFuture),
    egoPast: scaled(batch.egoPast),
    currentFromPrevious: scaled(batch.currentFromPrevious, TRANSLATION, 16),
  };
}

const SCALE_STREAM = 0x5ca1e;
const AGENT_STREAM = 0x100000;
const LINE_STREAM = 0x200000;
