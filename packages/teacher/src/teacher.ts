import {
  agentEncoder,
  type AgentEncoder,
  anchorFromBox,
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
import { concat, slice, type Tensor } from "@distilldrive/tensor";
import { plannerConfigOf, type TeacherConfig, VOCABULARY } from "./config.js";
import type { TeacherInputs } from "./inputs.js";

/** How a forward pass runs. */
export interface ForwardOptions {
  /** Queues of the stream, see {@link teacherMemory}; default null: every sample stands alone. */
  readonly memory?: PlannerMemory | null;
  /** Default INFERENCE: no dropout, running statistics. */
  readonly context?: ForwardContext;
}

/** The teacher: a tree of variables, named as published, and what to do with them. */
export interface Teacher extends Omit<Planner, "run"> {
  readonly agent_encoder: AgentEncoder;
  readonly map_encoder: MapEncoder;
  readonly config: TeacherConfig;
  /**
   * Plans and predicts for a batch; appends to the graph the inputs live in.
   *
   * @returns plan: logits [B, 18], deltas [B, 18, 6, 2] m, status [B, 18, 10], feature and encoderFeature [B, 18, D];
   *   motion: logits [B, N, 6], deltas [B, N, 6, 12, 2] m
   */
  readonly forward: (inputs: TeacherInputs, options?: ForwardOptions) => PlannerOutput;
}

/** Memory of `lanes` streams. Part of a training state, not of the model: a model can run many streams. */
export function teacherMemory(config: TeacherConfig, lanes: number): PlannerMemory {
  return plannerMemory(plannerConfigOf(config), lanes, config.maxAgents);
}

/**
 * The teacher (method, "Teacher"): encodes annotated agents and map lines and plans with the isomorphic planner.
 *
 * @param anchors plan [3, 6, 6, 2] and motion [10, 6, 12, 2] cluster centres, m
 * @throws ShapeError when the anchors do not fit the vocabulary
 */
export function createTeacher(config: TeacherConfig, anchors: PlannerAnchors): Teacher {
  const agent_encoder = agentEncoder({
    channels: config.channels,
    heads: config.heads,
    layers: config.agentEncoderLayers,
    steps: config.agentInput === "future" ? VOCABULARY.motion.steps : 4,
    velocityInterval: config.velocityInterval,
  });
  const map_encoder = mapEncoder({ channels: config.channels, classes: 3, directionOffset: config.directionOffset });
  const { run, ...planning } = planner(plannerConfigOf(config), anchors);

  const forward = (inputs: TeacherInputs, { memory = null, context = INFERENCE }: ForwardOptions = {}): PlannerOutput => {
    const { graph } = inputs.boxes;
    const history = config.agentInput === "history";
    const inTime = (x: Tensor): Tensor => (history ? newestFirst(x) : x);
    const agents = graph.scope("agent_encoder", () =>
      agent_encoder(
        { displacement: inTime(inputs.agentDisplacement), mask: inTime(inputs.agentStepMask), box: inputs.boxes },
        history ? inputs.agentMask : null,
        context,
      ),
    );
    const map = graph.scope("map_encoder", () =>
      map_encoder({ points: inputs.lines, label: inputs.lineLabels, mask: inputs.lineMask }, context),
    );
    return run(
      {
        agents: { ...agents, anchor: anchorFromBox(inputs.boxes), kinds: { label: inputs.labels } },
        map,
        mapPadding: map.padding,
        ego: { status: inputs.egoStatus, past: inputs.egoPast, pastMask: inputs.egoPastMask },
        link: inputs.link,
      },
      memory,
      context,
    );
  };
  return { agent_encoder, map_encoder, ...planning, config, forward };
}

/** Reverses the time axis of [B, N, T, ...], so that the token that is read out is the present one. */
function newestFirst(x: Tensor): Tensor {
  const steps = x.at(2);
  return concat(
    Array.from({ length: steps }, (_, step) => slice(x, 2, steps - 1 - step, steps - step)),
    2,
  );
}
