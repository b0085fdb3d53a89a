import type { RewardName } from "@distilldrive/losses";
import {
  actionValueModel,
  type ActionValueModel,
  agentEncoder,
  type AgentEncoder,
  ANCHOR_CHANNELS,
  anchorFromBox,
  type EncodedInstances,
  type ForwardContext,
  INFERENCE,
  mapEncoder,
  type MapEncoder,
  planner,
  type Planner,
  type PlannerAnchors,
  plannerMemory,
  type PlannerMemory,
  type PlannerOutput,
} from "@distilldrive/nn";
import { concat, type Graph, slice, sub, type Tensor } from "@distilldrive/tensor";
import { plannerConfigOf, type TeacherConfig, VOCABULARY } from "./config.js";
import type { TeacherInputs } from "./inputs.js";

/** How a forward pass runs. */
export interface ForwardOptions {
  /** Queues of the stream, see {@link teacherMemory}; default null: every sample stands alone. */
  readonly memory?: PlannerMemory | null;
  /** Default INFERENCE: no dropout, running statistics. */
  readonly context?: ForwardContext;
}

/** What the planner and the encoders say. */
export interface TeacherOutput extends PlannerOutput {
  /** [B, N, D]; N is 0 with `maxAgents: 0` */
  readonly agents: EncodedInstances;
  /** [B, L, D]; L is 0 where the decoder has no "map" */
  readonly map: EncodedInstances;
  /** Networks of the reinforcement, or null without rewards */
  readonly actionValues: (ActionValueModel & { readonly terms: readonly RewardName[] }) | null;
}

/** The teacher: a tree of variables, named as published, and what to do with them. */
export interface Teacher extends Omit<Planner, "run"> {
  /** Absent with `maxAgents: 0`. */
  readonly agent_encoder?: AgentEncoder;
  /** Absent where the decoder has no "map". */
  readonly map_encoder?: MapEncoder;
  /** Reward weights and action values; absent without rewards. */
  readonly dqn_model?: ActionValueModel;
  readonly config: TeacherConfig;
  /**
   * Plans and predicts for a batch; appends to the graph the inputs live in.
   *
   * @returns plan: logits [B, 18], deltas [B, 18, 6, 2] m, status [B, 18, 10], feature and encoderFeature [B, 18, D];
   *   motion: logits [B, N, 6], deltas [B, N, 6, 12, 2] m
   */
  readonly forward: (inputs: TeacherInputs, options?: ForwardOptions) => TeacherOutput;
}

/**
 * Memory of `lanes` streams. Part of a training state, not of the model: a model can run many streams.
 * @returns null where nothing looks back: a decoder without "temporal", and an ego anchor without the previous status
 */
export function teacherMemory(config: TeacherConfig, lanes: number): PlannerMemory | null {
  if (!config.decoder.includes("temporal") && config.egoVelocity === "zero") return null;
  return plannerMemory(plannerConfigOf(config), lanes, config.maxAgents, { agentMaxGap: config.agentMaxGap });
}

/**
 * The teacher (method, "Teacher"): encodes annotated agents and map lines and plans with the isomorphic planner.
 *
 * @param anchors plan [3, 6, 6, 2] and motion [10, 6, 12, 2] cluster centres, m
 * @throws ShapeError when the anchors do not fit the vocabulary
 */
export function createTeacher(config: TeacherConfig, anchors: PlannerAnchors): Teacher {
  const agent_encoder =
    config.maxAgents > 0
      ? agentEncoder({
          channels: config.channels,
          heads: config.heads,
          layers: config.agentEncoderLayers,
          steps: config.agentInput === "future" ? VOCABULARY.motion.steps : 4,
          velocityInterval: config.velocityInterval,
        })
      : null;
  // Its batch statistics would keep the encoder in the graph even where nobody reads its instances.
  const map_encoder = config.decoder.includes("map") ? mapEncoder({ channels: config.channels, classes: 3, directionOffset: config.directionOffset }) : null;
  const dqn_model = config.rewards.length > 0 ? actionValueModel(config.rewards.length) : null;
  const { run, ...planning } = planner(plannerConfigOf(config), anchors);

  const forward = (inputs: TeacherInputs, { memory = null, context = INFERENCE }: ForwardOptions = {}): TeacherOutput => {
    const { graph } = inputs.boxes;
    const history = config.agentInput === "history";
    const inTime = (x: Tensor): Tensor => (history ? newestFirst(x) : x);
    const lanes = inputs.boxes.at(0);
    const agents = agent_encoder
      ? graph.scope("agent_encoder", () =>
          agent_encoder(
            { displacement: inTime(inputs.agentDisplacement), mask: inTime(inputs.agentStepMask), box: inputs.boxes },
            history ? inputs.agentMask : null,
            context,
          ),
        )
      : noInstances(graph, lanes, config.channels);
    const map = map_encoder
      ? graph.scope("map_encoder", () => map_encoder({ points: inputs.lines, label: inputs.lineLabels, mask: inputs.lineMask }, context))
      : noInstances(graph, lanes, config.channels);
    const planned = run(
      {
        agents: { ...agents, anchor: agent_encoder ? anchorFromBox(inputs.boxes) : graph.constant(new Float32Array(0), [lanes, 0, ANCHOR_CHANNELS]), kinds: agent_encoder ? { label: inputs.labels } : null },
        map,
        mapPadding: config.mapSlots === "padding" ? sub(1, map.padding) : map.padding,
        ego: { status: inputs.egoStatus, past: inputs.egoPast, pastMask: inputs.egoPastMask },
        link: inputs.link,
      },
      memory,
      context,
    );
    return { ...planned, agents, map, actionValues: dqn_model ? { ...dqn_model, terms: config.rewards } : null };
  };
  return {
    ...(agent_encoder ? { agent_encoder } : {}),
    ...(map_encoder ? { map_encoder } : {}),
    ...planning,
    ...(dqn_model ? { dqn_model } : {}),
    config,
    forward,
  };
}

/** What a scene without instances is encoded as: [B, 0, D]. */
function noInstances(graph: Graph, lanes: number, channels: number): EncodedInstances {
  const none = graph.constant(new Float32Array(0), [lanes, 0, channels]);
  return { feature: none, position: none, padding: graph.constant(new Float32Array(0), [lanes, 0]) };
}

/** Reverses the time axis of [B, N, T, ...], so that the token that is read out is the present one. */
function newestFirst(x: Tensor): Tensor {
  const steps = x.at(2);
  return concat(
    Array.from({ length: steps }, (_, step) => slice(x, 2, steps - 1 - step, steps - step)),
    2,
  );
}
