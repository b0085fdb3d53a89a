import { PUBLISHED_REWARDS, type RewardName } from "@distilldrive/losses";
import { type DecoderOperation, type MotionReferenceKind, type PlannerConfig, type PlanReferenceKind, PUBLISHED_DECODER } from "@distilldrive/nn";

/** Sizes and options of a teacher. */
export interface TeacherConfig {
  /** D: channels of every instance, a multiple of 8; published 256. */
  readonly channels: number;
  /** Attention heads; published 8. */
  readonly heads: number;
  /** Transformer layers over an agent's time steps; published 4. */
  readonly agentEncoderLayers: number;
  /**
   * Operations of one decoder group; published PUBLISHED_DECODER. What no operation looks at is not computed: without
   * "temporal" there is no memory, without "map" no map encoder; without "agent" the plan does not see the agents.
   */
  readonly decoder: readonly DecoderOperation[];
  /** Decoder groups; published 2. */
  readonly decoderGroups: number;
  /** T: frames the memory spans, the present one included; published 4 (2 s at 2 Hz). */
  readonly memoryFrames: number;
  /** N: agent slots; published 150. 0: agents are neither seen nor predicted, and there is no agent encoder. */
  readonly maxAgents: number;
  /** L: map line slots; published 50. */
  readonly maxLines: number;
  /** "future": the teacher is privileged and sees what agents will do (published); "history": it sees their past only. */
  readonly agentInput: "future" | "history";
  /** "status": ego instances get the ego state (our option, default); "none": as published. */
  readonly egoInput: "none" | "status";
  /**
   * What the plan is a difference to: "egoMotion", a path learned from how the car moved (our option, default);
   * "constantTurnRate", a roll-out of it (our option); "none", as published.
   */
  readonly planReference: PlanReferenceKind;
  /** What predicted motion of agents is a difference to: "constantVelocity", that of their box (our option, default); "none", as published. */
  readonly motionReference: MotionReferenceKind;
  /** Status from each mode ("perMode", published stage 0) or from the mean ego instance ("mean"). */
  readonly status: "perMode" | "mean";
  /** s that agents' displacements are divided by to get velocities, default 0.5; published 0.1 (fact T10). */
  readonly velocityInterval: number;
  /** Map slots the planner sees: those with lines ("lines", default), or, as published, the empty ones ("padding", fact T1). */
  readonly mapSlots: "lines" | "padding";
  /** s, a longer gap between frames empties the agents' queue, default 2; published: never, agents rely on their ids (fact T15). */
  readonly agentMaxGap: number;
  /** Forward velocity in the ego anchor: "zero" (default, published stage 0) or "previousStatus" (published stage 2, fact T2). */
  readonly egoVelocity: "zero" | "previousStatus";
  /** Rewards of the reinforcement, in the order of their learned weights; none: no reinforcement. */
  readonly rewards: readonly RewardName[];
  /** Collision re-scoring at inference: as the paper means it ("intended", default), or with the published faults (fact T19). */
  readonly rescoring: "intended" | "published";
  /** m added to the length a line segment is divided by to get its direction, default 0; published 1 (fact T11). */
  readonly directionOffset: number;
}

const OPTIONS = {
  decoder: PUBLISHED_DECODER,
  memoryFrames: 4,
  agentInput: "future",
  egoInput: "status",
  planReference: "egoMotion",
  motionReference: "constantVelocity",
  status: "perMode",
  velocityInterval: 0.5,
  directionOffset: 0,
  mapSlots: "lines",
  agentMaxGap: 2,
  egoVelocity: "zero",
  rewards: [],
  rescoring: "intended",
} as const satisfies Partial<TeacherConfig>;

/**
 * The two behaviours (`compat`): what the paper means, and the published code with its faults, so that its checkpoints
 * reproduce. Spread one over a preset.
 */
export const TEACHER_COMPAT = {
  intended: { velocityInterval: 0.5, directionOffset: 0, mapSlots: "lines", agentMaxGap: 2, rescoring: "intended" },
  published: {
    agentInput: "future",
    egoInput: "none",
    planReference: "none",
    motionReference: "none",
    status: "perMode",
    velocityInterval: 0.1,
    directionOffset: 1,
    mapSlots: "padding",
    agentMaxGap: 1e9,
    egoVelocity: "zero",
    rewards: PUBLISHED_REWARDS,
    rescoring: "published",
  },
} as const satisfies Record<string, Partial<TeacherConfig>>;

/** How the published stage 2 runs its frozen teacher, against how stage 0 trained it (fact T2). Spread it behind {@link TEACHER_COMPAT}. */
export const PUBLISHED_STAGE_2 = { status: "mean", egoVelocity: "previousStatus", rewards: [] } as const satisfies Partial<TeacherConfig>;

/**
 * Sizes by name. `full` has the published ones; `small` and `tiny` shrink channels, heads, layers and slots, nothing else.
 * `tiny` is made for two CPU cores: 45 MFLOP a frame forward.
 */
export const TEACHER_PRESETS = {
  tiny: { channels: 64, heads: 4, agentEncoderLayers: 1, decoderGroups: 1, maxAgents: 16, maxLines: 16, ...OPTIONS },
  small: { channels: 128, heads: 8, agentEncoderLayers: 2, decoderGroups: 2, maxAgents: 48, maxLines: 32, ...OPTIONS },
  full: { channels: 256, heads: 8, agentEncoderLayers: 4, decoderGroups: 2, maxAgents: 150, maxLines: 50, ...OPTIONS },
} as const satisfies Record<string, TeacherConfig>;

/** Name of a size. */
export type TeacherPreset = keyof typeof TEACHER_PRESETS;

/** The vocabulary all presets share: 3 commands x 6 modes x 6 steps; 10 classes x 6 modes x 12 steps. */
export const VOCABULARY = {
  plan: { commands: 3, modes: 6, steps: 6 },
  motion: { classes: 10, modes: 6, steps: 12 },
} as const;

/** The planner's part of a teacher's configuration. */
export function plannerConfigOf(config: TeacherConfig): PlannerConfig {
  return {
    channels: config.channels,
    heads: config.heads,
    decoder: config.decoder,
    groups: config.decoderGroups,
    frames: config.memoryFrames,
    plan: VOCABULARY.plan,
    motion: config.maxAgents > 0 ? VOCABULARY.motion : null,
    status: config.status,
    egoVelocity: config.egoVelocity,
    egoInput: config.egoInput,
    planReference: config.planReference,
    motionReference: config.motionReference,
    egoPastSteps: 4,
  };
}
