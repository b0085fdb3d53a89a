import { PAPER_REWARDS, PUBLISHED_REWARDS } from "@distilldrive/losses";
import { type RawTensor, rawTensor, type StoredTensor, variablesOf } from "@distilldrive/tensor";
import { CheckpointError, matchState, type StateMatch } from "@distilldrive/training";
import { TEACHER_COMPAT, TEACHER_PRESETS, type TeacherConfig, VOCABULARY } from "./config.js";
import type { Teacher } from "./teacher.js";

/** The published teacher as its stage 0 trained it: preset `published`, and what published state dicts are read with. */
export const PUBLISHED_TEACHER: TeacherConfig = { ...TEACHER_PRESETS.full, ...TEACHER_COMPAT.published };

/**
 * What the names and shapes of a teacher's state dict tell about its configuration. Heads, slots, frames of memory and behaviours
 * leave no trace in it.
 * @param tensors by published name
 * @param decoder operations of one decoder group
 */
export function teacherSizesOf(tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>, decoder: TeacherConfig["decoder"] = PUBLISHED_TEACHER.decoder): Partial<TeacherConfig> {
  const names = [...tensors.keys()];
  const count = (pattern: RegExp): number => 1 + Math.max(-1, ...names.map((name) => Number(pattern.exec(name)?.[1] ?? -1)));
  const channels = tensors.get("fc_before.weight")?.shape[1];
  const layers = count(/^agent_encoder\.agent_feat_embed\.encoder\.layers\.(\d+)\./);
  const steps = tensors.get("agent_encoder.agent_time_embed.pe")?.shape[1];
  // The last one holds the heads.
  const operations = count(/^layers\.(\d+)\./) - 1;
  const weights = tensors.get("dqn_model.reward_weight")?.shape[0];
  const has = (prefix: string): boolean => names.some((name) => name.startsWith(prefix));
  return {
    ...(channels === undefined ? {} : { channels }),
    ...(layers === 0 ? {} : { agentEncoderLayers: layers }),
    ...(operations < decoder.length ? {} : { decoderGroups: Math.round(operations / decoder.length) }),
    ...(steps === undefined ? {} : { agentInput: steps === VOCABULARY.motion.steps ? "future" : "history" }),
    egoInput: has("ego_status_encoder.") ? "status" : "none",
    planReference: has("plan_reference.") ? "egoMotion" : "none",
    rewards: weights === undefined ? [] : weights === PAPER_REWARDS.length ? PAPER_REWARDS : PUBLISHED_REWARDS,
  };
}

/**
 * The vocabularies of a teacher's state dict.
 * @param where start of messages
 * @throws CheckpointError when one is missing or is no vocabulary of this size
 */
export function anchorsOfState(tensors: ReadonlyMap<string, StoredTensor>, where: string): { readonly plan: Float32Array; readonly motion: Float32Array } {
  const { plan, motion } = VOCABULARY;
  const find = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = tensors.get(name);
    if (tensor?.dtype === "f32" && tensor.shape.join() === shape.join()) return Float32Array.from(tensor.data);
    const got = tensor === undefined ? "nothing" : `${tensor.dtype} [${tensor.shape.join(", ")}]`;
    throw new CheckpointError(`${where}: the teacher has no vocabulary, expected "${name}" f32 [${shape.join(", ")}], got ${got}. Its modes are differences to the trajectories in there, so nothing can stand in for them.`);
  };
  return { plan: find("plan_anchor", [plan.commands, plan.modes, plan.steps, 2]), motion: find("motion_anchor", [motion.classes, motion.modes, motion.steps, 2]) };
}

/** Names in published state dicts without influence on what a teacher plans, so that it has no variables for them. */
const IDLE = /^(?:(?:agent|map)_encoder\.pc_range|.*\.num_batches_tracked|instance_queue\.ego_anchor)$/;

/** Compares a state dict with a teacher's variables, which have the published names. Networks of the reinforcement are carried along by a teacher without rewards. */
export function matchTeacher(teacher: Teacher, tensors: ReadonlyMap<string, StoredTensor>): StateMatch {
  const idle = teacher.dqn_model ? IDLE : new RegExp(`${IDLE.source}|^dqn_model\\.`);
  return matchState(variablesOf(teacher), tensors, (name) => idle.test(name));
}

/** x, y, z from and to, m: in published state dicts, though no computation reads it. */
const PUBLISHED_RANGE = [-51.2, -51.2, -5, 51.2, 51.2, 3];

/**
 * A teacher's state dict with all published names, such that PyTorch loads it strictly: its variables, and what the published
 * modules have besides.
 * @param values of its variables
 * @param carried what its state dict had besides when it was imported
 * @param steps it has been trained: what the batch norms have counted
 */
export function publishedStateOf(teacher: Teacher, values: ReadonlyMap<string, StoredTensor>, carried: ReadonlyMap<string, StoredTensor>, steps: number): Map<string, RawTensor> {
  const state = new Map<string, RawTensor>();
  const besides = (name: string, tensor: StoredTensor): void => {
    state.set(name, name.endsWith("num_batches_tracked") ? wide(tensor) : rawTensor(tensor));
  };
  for (const [encoder, module] of [["agent_encoder", teacher.agent_encoder], ["map_encoder", teacher.map_encoder]] as const) {
    if (module) besides(`${encoder}.pc_range`, { shape: [6], dtype: "f32", data: Float32Array.from(PUBLISHED_RANGE) });
  }
  for (const name of variablesOf(teacher).keys()) {
    const value = values.get(name);
    if (value === undefined) throw new CheckpointError(`export: the run has no "${name}", which its teacher needs. Put the run's own checkpoint back.`);
    state.set(name, rawTensor(value));
    if (name.endsWith(".running_var")) besides(name.replace(/running_var$/, "num_batches_tracked"), { shape: [], dtype: "i32", data: Int32Array.of(steps) });
  }
  for (const [name, tensor] of carried) besides(name, tensor);
  return state;
}

/** Counters are int64 in PyTorch. */
function wide({ shape, data }: StoredTensor): RawTensor {
  return { dtype: "I64", shape, bytes: new Uint8Array(BigInt64Array.from(data, BigInt).buffer) };
}
