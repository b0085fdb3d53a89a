import { imitation, modesOfCommand, nearestMode, planningTerms, PUBLISHED_LABELS, softLabels } from "@distilldrive/losses";
import { createTeacher, type Teacher, type TeacherConfig, teacherInputs, teacherMemory, type TeacherOutput, teacherTargets } from "@distilldrive/teacher";
import { broadcastTo, concat, expandDims, gradients, Graph, max, maximum, reshape, slice, sub, sum, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";

/** Weights of the published teacher's loss (facts T16 to T18). */
const PUBLISHED_LOSS = { regression: 2, status: 2, classification: 0.5, reinforcement: 1, softLabels: PUBLISHED_LABELS, normaliser: "all" } as const;

/** Published names of our loss terms. */
const LOSS_NAMES: Readonly<Record<string, string>> = {
  planRegression: "planning_loss_reg_0",
  planStatus: "planning_loss_status_0",
  planClassification: "planning_loss_cls_0",
  planReinforcement: "planning_loss_rl_0",
  motionClassification: "motion_loss_cls_0",
  motionRegression: "motion_loss_reg_0",
};

/** What a teacher's graph is made for. */
export interface TeacherGraphOptions {
  readonly config: TeacherConfig;
  readonly lanes: number;
  /** Batch norm by the batch's statistics. */
  readonly training: boolean;
  /** Gradients of the whole loss: output `gradient.<parameter>`. */
  readonly gradients: boolean;
  readonly anchors: { readonly plan: ArrayLike<number>; readonly motion: ArrayLike<number> };
}

/** A teacher traced with everything that was recorded of the published one; outputs have the published names. */
export interface TeacherGraph {
  readonly graph: Graph;
  readonly teacher: Teacher;
  /** The teacher's under their published names, those of its memory behind `memory.`. */
  readonly variables: ReadonlyMap<string, Variable>;
}

/** Traces one frame. */
export function traceTeacher({ config, lanes, training, gradients: differentiate, anchors }: TeacherGraphOptions): TeacherGraph {
  const teacher = createTeacher(config, anchors);
  const memory = teacherMemory(config, lanes);
  const graph = new Graph();
  const made = teacher.forward(teacherInputs(graph, config, lanes), { memory, context: { training, dropout: null } });
  for (const [name, tensor] of Object.entries(recorded(made, lanes, config))) graph.output(name, tensor);
  const targets = teacherTargets(graph, config, lanes);
  const { total, terms } = imitation(PUBLISHED_LOSS)(made, targets);
  for (const [name, term] of Object.entries(terms)) graph.output(`loss.${LOSS_NAMES[name] ?? name}`, term);
  graph.output("loss_total", total);
  for (const [name, tensor] of Object.entries(sampled(made, targets, lanes))) graph.output(`target.${name}`, tensor);
  const variables = variablesOf(teacher);
  if (differentiate) {
    const parameters = [...variables].filter(([, { role }]) => role === "parameter");
    gradients(total, parameters.map(([, variable]) => variable)).forEach((gradient, i) => graph.output(`gradient.${parameters[i]?.[0] ?? ""}`, gradient));
  }
  return { graph, teacher, variables: new Map([...variables, ...[...variablesOf(memory)].map(([name, variable]) => [`memory.${name}`, variable] as const)]) };
}

/** Predictions and what was computed on the way. */
function recorded({ plan, motion, agentPadding, agents, map, decoded, steps }: TeacherOutput, lanes: number, { decoder }: TeacherConfig): Record<string, Tensor> {
  const modes = plan.logits.at(1);
  const count = agentPadding.at(1);
  const perLane = (x: Tensor): Tensor => broadcastTo(expandDims(x, 0), [lanes, ...x.shape]);
  const { graph } = plan.logits;
  return {
    "planning.classification.0": plan.logits,
    "planning.prediction.0": plan.deltas,
    "planning.status.0": plan.status,
    "planning.feature.0": plan.feature,
    "planning.encoder_feature": plan.encoderFeature,
    // Recorded behind the feed-forward block, before the group's last norm.
    ...Object.fromEntries(
      decoded.map((last, group) => [`planning.decoder_feature.${group}`, slice(steps.operations[group * decoder.length + decoder.lastIndexOf("ffn")] ?? last, 1, count, count + modes)]),
    ),
    ...(motion ? { "motion.classification.0": motion.logits, "motion.prediction.0": motion.deltas } : {}),
    "motion.mask": sub(1, agentPadding),
    "inter.agent_encoder.feature": agents.feature,
    "inter.agent_encoder.pos": agents.position,
    "inter.agent_encoder.padding_mask": agents.padding,
    "inter.map_encoder.feature": map.feature,
    "inter.map_encoder.pos": map.position,
    "inter.map_encoder.padding_mask": map.padding,
    ...(steps.motionModePosition ? { "inter.motion_anchor_encoder": steps.motionModePosition } : {}),
    "inter.plan_anchor_encoder": perLane(steps.planModePosition),
    "inter.plan_instance_encoder": plan.encoderFeature,
    ...Object.fromEntries(steps.operations.map((x, i) => [`inter.op${String(i).padStart(2, "0")}`, x])),
    "inter.temp.feature": steps.memory.feature,
    "inter.temp.anchor_embed": steps.memory.position,
    "inter.temp.key_padding_mask": steps.memoryPadding,
    "inter.anchor_embed": steps.position,
    "inter.instance_padding_mask": concat([agentPadding, graph.constant(new Float32Array(lanes * modes), [lanes, modes])], 1),
    ...(steps.queues
      ? {
          "motion.period": steps.queues.agentPeriod,
          "planning.period": steps.queues.egoPeriod,
          "queue.motion_anchor_queue": steps.queues.agents.anchors,
          "queue.motion_padding": steps.queues.agents.padding,
          "queue.ego_anchor_queue": steps.queues.ego.anchors,
          "queue.ego_padding": steps.queues.ego.padding,
        }
      : {}),
  };
}

/** What predictions are compared with: the published samplers' outputs. */
function sampled(made: TeacherOutput, targets: ReturnType<typeof teacherTargets>, lanes: number): Record<string, Tensor> {
  const { plan, motion } = made;
  const modes = 6;
  const terms = planningTerms(plan, targets, modes, PUBLISHED_LOSS);
  const planning = {
    "planning.cls": modesOfCommand(plan.logits, targets.command, modes),
    "planning.cls_target": softLabels(terms.nearest.distance, PUBLISHED_LABELS),
    "planning.cls_weight": max(targets.egoFutureMask, { axis: 1 }),
    "planning.best_reg": terms.nearest.best,
    "planning.reg_target": targets.egoFuture,
    "planning.reg_weight": targets.egoFutureMask,
    "planning.status": terms.predictedStatus(),
  };
  if (!motion) return planning;
  const [agents, motionModes, steps] = [motion.deltas.at(1), motion.deltas.at(2), motion.deltas.at(3)];
  const mask = reshape(targets.futureMask, [lanes * agents, steps]);
  const nearest = nearestMode(reshape(motion.deltas, [lanes * agents, motionModes, steps, 2]), reshape(targets.futureDisplacement, [lanes * agents, steps, 2]), mask);
  const counted = max(mask, { axis: 1 });
  return {
    ...planning,
    "motion.cls_target": nearest.index,
    "motion.cls_weight": counted,
    "motion.best_reg": nearest.best,
    "motion.reg_target": targets.futureDisplacement,
    "motion.reg_weight": targets.futureMask,
    "motion.num_pos": maximum(sum(counted), 1),
  };
}
