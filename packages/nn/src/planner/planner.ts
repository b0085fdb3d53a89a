import {
  add,
  broadcastTo,
  buffer,
  concat,
  expandDims,
  type Graph,
  mean,
  mul,
  reshape,
  slice,
  stopGradient,
  type Tensor,
  type Variable,
} from "@distilldrive/tensor";
import { anchorEncoder, type AnchorEncoder } from "../encoders/anchor-encoder.js";
import { egoMotionEncoder, type PlanVocabulary } from "../encoders/ego-motion-encoder.js";
import { egoStatusEncoder, type EgoStatusEncoder } from "../encoders/ego-status-encoder.js";
import { decoupledKeys } from "../layers/attention.js";
import type { ForwardContext } from "../layers/block.js";
import { type LinearInit, projection, type Projection } from "../layers/linear.js";
import type { Sequential } from "../layers/sequential.js";
import { type DecoderLayer, decoderLayers, type DecoderOperation } from "./decoder.js";
import { heads, type Heads, planHeads, type PlanHeads, predictMotion } from "./heads.js";
import { type AlignedMemory, memoryQueue } from "./memory-queue.js";
import { constantVelocityMotion, type MotionReferenceKind } from "./motion-reference.js";
import { type MotionModes, motionModes, type MotionVocabulary } from "./motion-modes.js";
import { planReference, type PlanReference, type PlanReferenceKind } from "./plan-reference.js";
import type { PlannerMemory, PlannerOutput, PlannerScene, PlannerSteps, PlanPrediction } from "./types.js";

/** Sizes and options of a {@link planner}. */
export interface PlannerConfig {
  /** D, a multiple of 8; published 256. */
  readonly channels: number;
  /** Attention heads; published 8. */
  readonly heads: number;
  /** Operations of one decoder group; published PUBLISHED_DECODER. */
  readonly decoder: readonly DecoderOperation[];
  /** Decoder groups; published 2 in the teacher, 3 in the student. */
  readonly groups: number;
  /** T: frames of the memory, the present one included; published 4. */
  readonly frames: number;
  readonly plan: PlanVocabulary;
  /** null: no motion is predicted. */
  readonly motion: MotionVocabulary | null;
  /** Status from each mode's own instance (published teacher) or from their mean (published student). */
  readonly status: "perMode" | "mean";
  /** "status": the ego instances also get the ego state (our option); "none": they do not (published). */
  readonly egoInput: "none" | "status";
  /** What regression is the difference to (our option), see `planReference`; published "none". */
  readonly planReference: PlanReferenceKind;
  /** What the agents' regression is the difference to (our option), see `constantVelocityMotion`; default "none" (published). */
  readonly motionReference?: MotionReferenceKind;
  /**
   * The forward velocity in the ego instances' anchor: 0 (default; the published teacher as it was trained) or that of the status
   * predicted for the previous frame (published stage 2, fact T2).
   */
  readonly egoVelocity?: "zero" | "previousStatus";
  /** Past displacements of the ego state, default 4. */
  readonly egoPastSteps: number;
}

/** Cluster centres the planner is built around. */
export interface PlannerAnchors {
  /** [commands, modes, steps, 2] m, positions, model frame */
  readonly plan: ArrayLike<number>;
  /** [classes, modes, steps, 2] m, positions relative to the agent, x along its heading */
  readonly motion: ArrayLike<number> | null;
}

/** The planner both teacher and student use. Its properties are its variables, named as published. */
export interface Planner {
  readonly plan_anchor: Variable;
  readonly plan_anchor_delta: Variable;
  readonly anchor_encoder: AnchorEncoder;
  /** Decoder operations, and the heads as the last one. */
  readonly layers: readonly (DecoderLayer | Heads | PlanHeads)[];
  readonly fc_before: Projection;
  readonly fc_after: Projection;
  readonly plan_anchor_encoder: Sequential;
  readonly plan_instance_encoder: Sequential;
  readonly motion_anchor?: Variable;
  readonly motion_anchor_encoder?: Sequential;
  readonly ego_status_encoder?: EgoStatusEncoder;
  readonly plan_reference?: PlanReference;
  /** @param memory queues of the stream, or null where every sample stands alone */
  readonly run: (scene: PlannerScene, memory: PlannerMemory | null, context: ForwardContext) => PlannerOutput;
}

/** Options of {@link plannerMemory}. */
export interface PlannerMemoryOptions {
  /** s, a longer gap between frames empties the agents' queue, default 2; published: never, agents rely on their ids (fact T15). */
  readonly agentMaxGap?: number;
}

/** Queues for `lanes` streams of a planner with `agents` agent slots. */
export function plannerMemory(
  config: Pick<PlannerConfig, "channels" | "frames" | "plan" | "egoVelocity">,
  lanes: number,
  agents: number,
  { agentMaxGap = 2 }: PlannerMemoryOptions = {},
): PlannerMemory {
  const { channels, frames, plan } = config;
  return {
    agents: memoryQueue({ lanes, slots: agents, frames, channels, maxGap: agentMaxGap }),
    ego: memoryQueue({ lanes, slots: plan.commands * plan.modes, anchorSlots: 1, frames, channels }),
    ...(config.egoVelocity === "previousStatus" ? { status: buffer([lanes, 10]) } : {}),
  };
}

/** The ego vehicle's own anchor (fact T15): half a metre ahead of the lidar, on the ground; sizes as logarithms. */
const EGO_ANCHOR: readonly number[] = [0, 0.5, -1.06, Math.log(4.08), Math.log(1.73), Math.log(1.56), 0, 1, 0, 0];
/** First values of a last layer whose results are differences to a reference: they start close to it. */
const NEAR_ZERO: LinearInit = { weight: { kind: "normal", standardDeviation: 0.01 }, bias: { kind: "constant", value: 0 } };
/** Index of the speed (m/s, forward) among the ten status numbers. */
const STATUS_SPEED = 6;

/**
 * The isomorphic planner (method, "Planner"): ego instances from the planning vocabulary join the agents, run through
 * the decoder groups, and the heads read them out.
 */
export function planner(config: PlannerConfig, anchors: PlannerAnchors): Planner {
  const { channels, plan } = config;
  const modes = plan.commands * plan.modes;
  const { encodeVocabulary, ...vocabulary } = egoMotionEncoder(channels, plan, anchors.plan);
  const motion: MotionModes | null = config.motion && anchors.motion ? motionModes(channels, config.motion, anchors.motion) : null;
  const anchor_encoder = anchorEncoder(channels);
  const decoder = decoderLayers({
    channels,
    heads: config.heads,
    feedForwardChannels: 2 * channels,
    operations: config.decoder,
    groups: config.groups,
  });
  const shared = { fc_before: projection(channels, 2 * channels), fc_after: projection(2 * channels, channels) };
  const ego_status_encoder = config.egoInput === "status" ? egoStatusEncoder(channels, config.egoPastSteps) : null;
  const plan_reference = planReference({ kind: config.planReference, commands: plan.commands, steps: plan.steps, pastSteps: config.egoPastSteps });
  const { motionReference = "none" } = config;
  const headSizes = { channels, planSteps: plan.steps, ...(config.planReference === "none" ? {} : { planRegressionInit: NEAR_ZERO }) };
  const motionHeads = config.motion ? heads({ ...headSizes, motionSteps: config.motion.steps, ...(motionReference === "none" ? {} : { motionRegressionInit: NEAR_ZERO }) }) : null;
  const branches: Heads | PlanHeads = motionHeads ?? planHeads(headSizes);

  const egoInstances = (graph: Graph, scene: PlannerScene, lanes: number): { feature: Tensor; modePosition: Tensor } => {
    const { feature, modePosition } = encodeVocabulary(graph);
    const own = ego_status_encoder ? add(expandDims(ego_status_encoder(scene.ego), 1), feature) : feature;
    return { feature: broadcastTo(own, [lanes, modes, channels]), modePosition };
  };

  /** Keys of the temporal decoder, agents first: [B * (N + modes), T, ...]. */
  const temporalKeys = (
    scene: PlannerScene,
    memory: PlannerMemory | null,
    aligned: { agents: AlignedMemory; ego: AlignedMemory } | null,
    ego: { feature: Tensor; anchor: Tensor; position: Tensor },
  ): Pick<PlannerSteps, "memory" | "memoryPadding" | "queues"> => {
    const { agents } = scene;
    const [lanes, count] = [agents.feature.at(0), agents.feature.at(1)];
    const rows = lanes * (count + modes);
    if (!memory || !aligned) {
      const present = (of: Tensor, egos: Tensor): Tensor => reshape(stopGradient(concat([of, egos], 1)), [rows, 1, channels]);
      const alone = {
        feature: present(agents.feature, ego.feature),
        position: reshape(concat([anchor_encoder(agents.anchor), ego.position], 1), [rows, 1, channels]),
      };
      return { memory: alone, memoryPadding: agents.feature.graph.constant(new Float32Array(rows), [rows, 1]), queues: null };
    }
    const agentKeys = memory.agents.keys(aligned.agents, agents.feature, agents.anchor);
    const egoKeys = memory.ego.keys(aligned.ego, ego.feature, ego.anchor);
    const perMode = (x: Tensor): Tensor => broadcastTo(x, [lanes, modes, ...x.shape.slice(2)]);
    const frames = config.frames;
    const keys = {
      feature: reshape(concat([agentKeys.features, egoKeys.features], 1), [rows, frames, channels]),
      position: reshape(concat([anchor_encoder(agentKeys.anchors), perMode(anchor_encoder(egoKeys.anchors))], 1), [rows, frames, channels]),
    };
    return {
      memory: keys,
      memoryPadding: reshape(concat([agentKeys.padding, perMode(egoKeys.padding)], 1), [rows, frames]),
      queues: { agents: agentKeys, ego: egoKeys, agentPeriod: aligned.agents.period, egoPeriod: aligned.ego.period },
    };
  };

  /** The ego vehicle's anchor [B, 1, 10]. */
  const presentAnchor = ({ agents, link }: PlannerScene, memory: PlannerMemory | null): Tensor => {
    const { graph } = agents.feature;
    const lanes = agents.feature.at(0);
    const fixed = broadcastTo(graph.constant(EGO_ANCHOR, [1, 1, EGO_ANCHOR.length]), [lanes, 1, EGO_ANCHOR.length]);
    if (!memory?.status || !link) return fixed;
    const speed = mul(slice(graph.variable(memory.status), 1, STATUS_SPEED, STATUS_SPEED + 1), memory.ego.goesOn(link));
    return concat([slice(fixed, -1, 0, EGO_ANCHOR.length - 1), expandDims(speed, 1)], -1);
  };

  const predictPlan = (scene: PlannerScene, instances: Tensor, modePosition: Tensor, encoderFeature: Tensor): PlanPrediction => {
    const lanes = instances.at(0);
    const feature = add(instances, modePosition);
    const raw = reshape(branches.plan_reg_branch(feature), [lanes, plan.commands, plan.modes, plan.steps, 2]);
    const reference = plan_reference(scene.ego);
    const statusOf = config.status === "mean" ? mean(instances, { axes: [1], keepDims: true }) : instances;
    return {
      logits: reshape(branches.plan_cls_branch(feature), [lanes, modes]),
      deltas: reshape(reference ? add(raw, expandDims(stopGradient(reference), 2)) : raw, [lanes, modes, plan.steps, 2]),
      reference: plan_reference.net ? reference : null,
      status: branches.plan_status_branch(statusOf),
      feature,
      encoderFeature,
    };
  };
  const run = (scene: PlannerScene, memory: PlannerMemory | null, context: ForwardContext): PlannerOutput => {
    const { agents, link } = scene;
    const { graph } = agents.feature;
    const [lanes, count] = [agents.feature.at(0), agents.feature.at(1)];
    const egoAnchor = presentAnchor(scene, memory);
    const { feature: egoFeature, modePosition } = graph.scope("ego", () => egoInstances(graph, scene, lanes));
    const egoPosition = broadcastTo(anchor_encoder(egoAnchor), [lanes, modes, channels]);
    const aligned =
      memory && link ? { agents: memory.agents.align(link, link.matchIndex), ego: memory.ego.align(link, null) } : null;
    const past = graph.scope("memory", () =>
      temporalKeys(scene, memory, aligned, { feature: egoFeature, anchor: egoAnchor, position: egoPosition }),
    );

    const position = concat([agents.position, egoPosition], 1);
    const operations = decoder.decode(
      { feature: concat([agents.feature, egoFeature], 1), position },
      {
        memory: decoupledKeys(past.memory, shared),
        memoryPadding: past.memoryPadding,
        instancePadding: concat([agents.padding, graph.constant(new Float32Array(lanes * modes), [lanes, modes])], 1),
        map: scene.map,
        mapPadding: scene.mapPadding,
      },
      shared,
      context,
    );
    const decoded = operations.filter((_, index) => (index + 1) % config.decoder.length === 0);
    const last = operations[operations.length - 1] ?? position;
    const egoDecoded = slice(last, 1, count, count + modes);
    if (memory && aligned) {
      memory.agents.store(aligned.agents, agents.feature, agents.anchor);
      memory.ego.store(aligned.ego, egoDecoded, egoAnchor);
    }

    return graph.scope("heads", () => {
      const located = add(last, position);
      const plans = predictPlan(scene, slice(located, 1, count, count + modes), modePosition, egoFeature);
      if (memory?.status) graph.assign(memory.status, mean(plans.status, { axes: [1] }));
      const motionModePosition = motion && agents.kinds ? motion.modePositions(agents.kinds.label, agents.anchor) : null;
      const predicted =
        motionHeads && config.motion && motionModePosition
          ? predictMotion(
              motionHeads,
              slice(located, 1, 0, count),
              motionModePosition,
              config.motion.steps,
              motionReference === "none" ? null : constantVelocityMotion(agents.anchor, config.motion.steps),
            )
          : null;
      const steps = { operations, position, ...past, planModePosition: modePosition, motionModePosition };
      return { plan: plans, motion: predicted, agentPadding: agents.padding, decoded, steps };
    });
  };

  return {
    ...(motion ? { motion_anchor: motion.motion_anchor } : {}),
    ...vocabulary,
    anchor_encoder,
    layers: [...decoder.layers, branches],
    ...shared,
    ...(motion ? { motion_anchor_encoder: motion.motion_anchor_encoder } : {}),
    ...(ego_status_encoder ? { ego_status_encoder } : {}),
    ...(plan_reference.net ? { plan_reference } : {}),
    run,
  };
}
