import { evaluationStream, type FeatureOptions, type Sample, type Scene } from "@distilldrive/datasets";
import { planningMetrics, type PlanningTable } from "@distilldrive/metrics";
import { choosePlan, type PlannerOutput, type RescoreOptions } from "@distilldrive/nn";
import { compile, createStore, type Device, Graph, type StoredTensor, variablesOf } from "@distilldrive/tensor";
import { batchInputs, type MoreInputs } from "./stream-source.js";

/** A trained planner, ready to be traced for any number of lanes. */
export interface TrainedPlanner {
  readonly name: string;
  /** Tree of the model's variables and their values by name. */
  readonly model: unknown;
  readonly values: ReadonlyMap<string, StoredTensor>;
  readonly features: FeatureOptions;
  /** Variables of the memory of `lanes` streams; null for a planner without memory. */
  readonly memory: (lanes: number) => unknown;
  /** Traces the forward pass at inference. @param memory what `memory(lanes)` returned */
  readonly trace: (graph: Graph, lanes: number, memory: unknown) => Pick<PlannerOutput, "motion" | "agentPadding"> & { readonly plan: Pick<PlannerOutput["plan"], "logits" | "deltas"> };
  /** How modes that meet the predicted agents are pushed down, default as intended. */
  readonly rescore?: RescoreOptions;
  /** Inputs a stream batch cannot hold, such as camera images. */
  readonly more?: MoreInputs;
}

/** A planner's answer to one sample. */
export interface EvaluatedPlan {
  readonly sample: Sample;
  /** [18] */
  readonly logits: Float32Array;
  /** [18, 6, 2] m, displacements */
  readonly deltas: Float32Array;
  /** Index of the chosen mode among all 18. */
  readonly chosen: number;
  /** [6, 2] m, positions of the chosen mode */
  readonly positions: Float64Array;
}

/** Result of {@link evaluatePlanner}. */
export interface Evaluation {
  readonly table: PlanningTable;
  readonly plans: readonly EvaluatedPlan[];
  /** Samples planned per second, reading included. */
  readonly samplesPerSecond: number;
}

/** Options of {@link evaluatePlanner}. */
export interface EvaluateOptions {
  /** Streams planned at the same time, default 4. Results do not depend on it. */
  readonly lanes?: number;
  /** Push modes down that meet the predicted agents (method, "Inference"), default true; needs a planner that predicts motion. */
  readonly rescore?: boolean;
}

/**
 * Walks the keyframes of held-out scenes in order, plans at each, and scores the chosen mode.
 * @throws DatasetError when no scene has a usable keyframe
 */
export async function evaluatePlanner(device: Device, planner: TrainedPlanner, scenes: readonly Scene[], options: EvaluateOptions = {}): Promise<Evaluation> {
  const lanes = Math.min(options.lanes ?? 4, scenes.length);
  const memory = planner.memory(lanes);
  const graph = new Graph();
  const { plan, motion, agentPadding } = planner.trace(graph, lanes, memory);
  const rescoring = (options.rescore ?? true) && motion !== null;
  graph.output("logits", plan.logits);
  graph.output("deltas", plan.deltas);
  if (rescoring) {
    graph.output("motion.logits", motion.logits);
    graph.output("motion.deltas", motion.deltas);
    graph.output("agentPadding", agentPadding);
  }
  const variables = new Map([...variablesOf(planner.model), ...variablesOf(memory, "memory")]);
  const store = createStore(device, variables, { seed: 0 });
  store.load(planner.values);
  const program = await compile(device, graph, { store });
  const names = [...graph.outputs.keys()];
  const metrics = planningMetrics();
  const plans: EvaluatedPlan[] = [];
  const began = performance.now();
  try {
    const stream = evaluationStream(scenes, { batch: lanes, features: planner.features });
    for (let batch = stream.next(); batch !== null; batch = stream.next()) {
      program.run({ ...batchInputs(batch), ...(planner.more ? await planner.more(batch) : {}) });
      const results = await program.readAll(names);
      const { boxes } = batch;
      batch.samples.forEach((sample, lane) => {
        if (sample === null) return;
        const part = (name: string): Float32Array => {
          const all = results.get(name) as Float32Array;
          return all.slice((lane * all.length) / lanes, ((lane + 1) * all.length) / lanes);
        };
        const [logits, deltas] = [part("logits"), part("deltas")];
        const agents = rescoring
          ? {
              boxes: boxes.subarray((lane * boxes.length) / lanes, ((lane + 1) * boxes.length) / lanes),
              ignore: part("agentPadding"),
              logits: part("motion.logits"),
              deltas: part("motion.deltas"),
            }
          : undefined;
        const { index, positions } = choosePlan(sample.command, { logits, deltas }, agents ? { agents, ...(planner.rescore ? { rescore: planner.rescore } : {}) } : {});
        metrics.add({ sample, waypoints: positions });
        plans.push({ sample, logits, deltas, chosen: index, positions });
      });
    }
  } finally {
    program.destroy();
    store.destroy();
  }
  return { table: metrics.result(), plans, samplesPerSecond: (1000 * plans.length) / (performance.now() - began) };
}
