import { Graph, type NamedVariables, parametersOf, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import type { Slots, Task } from "./fit.js";
import { appendLog, type DeviceLog, deviceLog } from "./metrics-log.js";
import { appendAccumulation, appendUpdate, createOptimizer, type Optimizer, restartInput, traceUpdate, type Update } from "./optimizer.js";
import type { OptimizerConfig, PrecisionConfig } from "./schedule.js";
import { traceRefresh } from "./soap.js";

/** A training graph with the variables around the model's own. */
export interface TrainingGraph {
  /** Forward and backward pass of one batch with all its slots; with the update, unless several batches make a step. */
  readonly graph: Graph;
  /** The same for batches with axes cut to these sizes, over the same variables. */
  readonly graphFor: (slots: Slots) => Graph;
  /** Runs after the last batch of a step, where several make one. */
  readonly update: Graph | null;
  /** Runs now and then after a step: SOAP's eigenbases. */
  readonly refresh: Graph | null;
  readonly variables: NamedVariables;
  /** Packed variables, for the store. */
  readonly packs: readonly Variable[];
  /** Names of the variables that a checkpoint holds. */
  readonly saved: readonly string[];
  readonly logs: ReadonlyMap<string, DeviceLog>;
  readonly optimizer: Optimizer;
}

/** Input name of the step's random key. */
export const keyInput = "key";
/** Prefix of the names of variables that are neither trained nor saved. */
export const frozenPrefix = "frozen";
/** Name of the log of what is watched beside the loss. */
export const watchedLog = "training.watched";
/** Prefix of the names of variables that begin anew with every step. */
export const workPrefix = "work";

/** How to trace. */
export interface TraceTrainingOptions {
  /** false: rows nobody reads are computed too, see `Graph`. */
  readonly dropDeadRows?: boolean;
}

/** Traces forward pass, backward pass, update and log of one step, into one graph where one batch makes a step. */
export function traceTraining(task: Task, config: OptimizerConfig, logRows: number, precision?: PrecisionConfig, options: TraceTrainingOptions = {}): TrainingGraph {
  const optimizer = createOptimizer(parametersOf(task.model), config, precision);
  const logs = new Map<string, DeviceLog>();
  const log = (own: Graph, name: string, values: Readonly<Record<string, Tensor>>, parts?: number, restart?: Tensor): void => {
    const ring = logs.get(name) ?? deviceLog(Object.keys(values), logRows);
    logs.set(name, ring);
    appendLog(own, values, ring, parts, restart);
  };
  const reported = ({ gradientNorm, halted, lossScale }: Update): Record<string, Tensor> => ({ gradientNorm, ...(lossScale ? { lossScale } : {}), halted });
  const graphFor = (slots: Slots): Graph => {
    const graph = new Graph(options);
    const key = graph.input(keyInput, [4], "u32");
    const { loss, terms, watched = {} } = task.trace(graph, key, slots);
    if (config.accumulate === 1) {
      const done = appendUpdate(graph, loss, optimizer);
      log(graph, "training.log", { loss, ...terms, ...reported(done) });
      if (Object.keys(watched).length > 0) log(graph, watchedLog, watched);
    } else {
      appendAccumulation(graph, loss, optimizer);
      const restart = graph.input(restartInput, [1]);
      log(graph, "training.log", { loss, ...terms }, config.accumulate, restart);
      if (Object.keys(watched).length > 0) log(graph, watchedLog, watched, config.accumulate, restart);
    }
    return graph;
  };
  const graph = graphFor({});
  let update: Graph | null = null;
  if (config.accumulate > 1) {
    const traced = traceUpdate(optimizer);
    update = traced.graph;
    log(update, "training.updates", reported(traced.update));
  }
  const variables = new Map<string, Variable>([
    ...variablesOf(task.model),
    ...optimizer.variables,
    ...[...logs].map(([name, { variable }]) => [name, variable] as const),
    ...optimizer.accumulators.map((variable, index) => [`${workPrefix}.gradients.${index}`, variable] as const),
    ...(task.frozen ? [...variablesOf(task.frozen.model, frozenPrefix)] : []),
  ]);
  const refresh = config.kind === "soap" ? traceRefresh(optimizer.units, optimizer.halted) : null;
  const saved = [...variables.keys()].filter((name) => !name.startsWith(`${frozenPrefix}.`) && !name.startsWith(`${workPrefix}.`));
  return { graph, graphFor, update, refresh, variables, packs: optimizer.packs, saved, logs, optimizer };
}
