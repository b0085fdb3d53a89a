import { type DecoderOperation, type PlannerConfig, type PlanReferenceKind, PUBLISHED_DECODER } from "@distilldrive/nn";

/** Sizes and options of a student. */
export interface StudentConfig {
  /** D: channels of every instance, a multiple of 8; published 256. */
  readonly channels: number;
  /** Attention heads; published 8. */
  readonly heads: number;
  /** V: cameras; published 6. */
  readonly cameras: number;
  /** px of one camera image. */
  readonly image: { readonly height: number; readonly width: number };
  /** Channels after each stage of the image encoder, each of which halves the image's sides; the last one is D. */
  readonly imageChannels: readonly number[];
  /** Q: learned queries that stand for what is around; published 900 boxes. */
  readonly queries: number;
  /** Cross-attention layers from the queries to the image tokens. */
  readonly perceptionLayers: number;
  /** Operations of one decoder group; published PUBLISHED_DECODER. */
  readonly decoder: readonly DecoderOperation[];
  /** Decoder groups; published 3. */
  readonly decoderGroups: number;
  /** T: frames the memory spans, the present one included; published 4 (2 s at 2 Hz). */
  readonly memoryFrames: number;
  /** "status": ego instances get the ego state (our option, default); "none": as published. */
  readonly egoInput: "none" | "status";
  /**
   * What the plan is a difference to: "egoMotion", a path learned from how the car moved (our option, default);
   * "constantTurnRate", a roll-out of it (our option); "none", as published.
   */
  readonly planReference: PlanReferenceKind;
  /** Channels of the teacher it is distilled from. */
  readonly teacherChannels: number;
}

const OPTIONS = {
  cameras: 6,
  decoder: PUBLISHED_DECODER,
  memoryFrames: 4,
  egoInput: "status",
  planReference: "egoMotion",
} as const;

/** Sizes by name, matching the teacher's. `tiny` is made for two CPU cores. */
export const STUDENT_PRESETS = {
  tiny: {
    channels: 64,
    heads: 4,
    image: { height: 48, width: 96 },
    imageChannels: [8, 16, 32, 64],
    queries: 24,
    perceptionLayers: 1,
    decoderGroups: 1,
    teacherChannels: 64,
    ...OPTIONS,
  },
  small: {
    channels: 128,
    heads: 8,
    image: { height: 96, width: 192 },
    imageChannels: [16, 32, 64, 128],
    queries: 48,
    perceptionLayers: 2,
    decoderGroups: 2,
    teacherChannels: 128,
    ...OPTIONS,
  },
  full: {
    channels: 256,
    heads: 8,
    image: { height: 256, width: 704 },
    imageChannels: [32, 64, 128, 256],
    queries: 96,
    perceptionLayers: 3,
    decoderGroups: 3,
    teacherChannels: 256,
    ...OPTIONS,
  },
} as const satisfies Record<string, StudentConfig>;

/** Name of a size. */
export type StudentPreset = keyof typeof STUDENT_PRESETS;

/** The planner's part of a student's configuration. */
export function plannerConfigOf(config: StudentConfig): PlannerConfig {
  return {
    channels: config.channels,
    heads: config.heads,
    decoder: config.decoder,
    groups: config.decoderGroups,
    frames: config.memoryFrames,
    plan: { commands: 3, modes: 6, steps: 6 },
    motion: null,
    status: "mean",
    egoInput: config.egoInput,
    planReference: config.planReference,
    egoPastSteps: 4,
  };
}
