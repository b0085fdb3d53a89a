import type { Tensor, Variable } from "@distilldrive/tensor";
import type { EgoState } from "../encoders/ego-status-encoder.js";
import type { Positioned } from "../layers/attention.js";
import type { MotionPrediction } from "./heads.js";
import type { FrameLink, MemoryKeys, MemoryQueue } from "./memory-queue.js";

/** Agents as the planner gets them, from annotations (teacher) or from perception (student). */
export interface AgentInstances extends Positioned {
  /** [B, N, 10] see `anchorFromBox`; present model frame */
  readonly anchor: Tensor;
  /** [B, N] 1 = padding */
  readonly padding: Tensor;
  /** Class and heading, which turn the motion anchors; null: no motion is predicted. */
  readonly kinds: {
    /** [B, N] i32, index into the agent classes */
    readonly label: Tensor;
  } | null;
}

/** What all decoders of the planner look at. */
export interface PlannerScene {
  readonly agents: AgentInstances;
  /** Map instances, or image tokens: [B, L, D]. */
  readonly map: Positioned;
  /** [B, L] 1 = ignore, or null */
  readonly mapPadding: Tensor | null;
  /** [B, ...] needed with `egoInput: "status"` or a plan reference */
  readonly ego: EgoState;
  /** How the frame follows on the previous one; null: every sample stands alone. */
  readonly link: (FrameLink & {
    /** [B, N] i32 slot of the agent in the previous frame, -1 for none; null: slots keep their instance */
    readonly matchIndex: Tensor | null;
  }) | null;
}

/** Queues of agents and ego modes; one set per stream, not part of the model. */
export interface PlannerMemory {
  readonly agents: MemoryQueue;
  readonly ego: MemoryQueue;
  /** Buffer [B, 10]: the last predicted status, with `egoVelocity: "previousStatus"`. */
  readonly status?: Variable;
}

/** What the planner computed on the way, to look into it; costs nothing unless it is read. */
export interface PlannerSteps {
  /** Ego and agent instances after each decoder operation, [B, N + modes, D], agents first. */
  readonly operations: readonly Tensor[];
  /** [B, N + modes, D] embedded positions of the instances */
  readonly position: Tensor;
  /** Keys of the temporal decoder: [B * (N + modes), T, D]; T is 1 without memory. */
  readonly memory: Positioned;
  /** [B * (N + modes), T] 1 = ignore */
  readonly memoryPadding: Tensor;
  /** Queues with the present frame, or null without memory. */
  readonly queues: { readonly agents: MemoryKeys; readonly ego: MemoryKeys; readonly agentPeriod: Tensor; readonly egoPeriod: Tensor } | null;
  /** [modes, D] what is added to the ego instances at the head */
  readonly planModePosition: Tensor;
  /** [B, N, motion modes, D] likewise for the agents, or null */
  readonly motionModePosition: Tensor | null;
}

/** What the planner says about the ego vehicle. */
export interface PlanPrediction {
  /** [B, commands * modes] command-major */
  readonly logits: Tensor;
  /** [B, commands * modes, steps, 2] m, displacements per 0.5 s, model frame */
  readonly deltas: Tensor;
  /** [B, commands, steps, 2] m, learned path the modes are a difference to; null without one */
  readonly reference: Tensor | null;
  /** [B, commands * modes, 10], or [B, 1, 10] from the mean ego instance */
  readonly status: Tensor;
  /** [B, commands * modes, D] planning query at the head: what decoder-feature distillation compares */
  readonly feature: Tensor;
  /** [B, commands * modes, D] ego instances before the planner: what encoder-feature distillation compares */
  readonly encoderFeature: Tensor;
}

/** Everything the planner returns. */
export interface PlannerOutput {
  readonly plan: PlanPrediction;
  /** null where agents have no kinds */
  readonly motion: MotionPrediction | null;
  /** [B, N] 1 = no agent in this slot */
  readonly agentPadding: Tensor;
  /** Ego and agent instances after each decoder group, [B, N + modes, D], agents first. */
  readonly decoded: readonly Tensor[];
  readonly steps: PlannerSteps;
}
