import type { Anchors, FeatureOptions, StreamBatches } from "@distilldrive/datasets";
import { imitation, type ImitationTargets } from "@distilldrive/losses";
import { type ForwardContext, INFERENCE } from "@distilldrive/nn";
import type { Graph, StoredTensor } from "@distilldrive/tensor";
import { streamSource, type Task, type TrainedPlanner } from "@distilldrive/training";
import { type ModeQueryConfig, modeQueryPlanner, type Plan, type Scene } from "./planner.js";

/** N agent and L line slots of a batch; the nearest are kept. */
export const FEATURES = { maxAgents: 12, maxLines: 12 } as const satisfies FeatureOptions;

/** Declares what the planner reads: graph inputs with the names and shapes of a stream batch of `lanes` samples. */
function sceneInputs(graph: Graph, lanes: number): Scene {
  const { maxAgents: agents, maxLines: lines } = FEATURES;
  return {
    agents: {
      displacement: graph.input("pastDisplacement", [lanes, agents, 4, 2]),
      stepMask: graph.input("pastMask", [lanes, agents, 4]),
      box: graph.input("boxes", [lanes, agents, 9]),
      mask: graph.input("agentMask", [lanes, agents]),
    },
    map: {
      points: graph.input("lines", [lanes, lines, 20, 2]),
      label: graph.input("lineLabels", [lanes, lines], "i32"),
      mask: graph.input("lineMask", [lanes, lines]),
    },
    ego: { status: graph.input("egoStatus", [lanes, 10]), past: graph.input("egoPast", [lanes, 4, 2]), pastMask: graph.input("egoPastMask", [lanes, 4]) },
  };
}

/** Declares what the loss compares with, likewise. */
function targetInputs(graph: Graph, lanes: number): ImitationTargets {
  return {
    command: graph.input("command", [lanes], "i32"),
    egoFuture: graph.input("egoFuture", [lanes, 6, 2]),
    egoFutureMask: graph.input("egoFutureMask", [lanes, 6]),
    egoStatus: graph.input("egoStatus", [lanes, 10]),
  };
}

/** What {@link plannerTask} needs. */
export interface PlannerTaskOptions {
  readonly config: ModeQueryConfig;
  readonly anchors: Anchors;
  /** Batches with {@link FEATURES}. */
  readonly batches: StreamBatches;
  /** B */
  readonly lanes: number;
}

/** The planner's training by imitation (S-eqs. 6 to 9), for `fit`: a tree of variables, batches, and a loss to trace. */
export function plannerTask({ config, anchors, batches, lanes }: PlannerTaskOptions): Task {
  const planner = modeQueryPlanner(config, anchors.plan);
  const objective = imitation({ regression: 2, status: 1, classification: 0.5 });
  const context: ForwardContext = { training: true, dropout: null };
  return {
    name: "mode-query-planner",
    model: { model: planner },
    batches: streamSource(batches),
    trace: (graph) => {
      const plan = planner(sceneInputs(graph, lanes), context);
      const { total, terms } = objective({ plan, motion: null }, targetInputs(graph, lanes));
      return { loss: total, terms };
    },
  };
}

/** The trained planner, for `evaluatePlanner`. @param values variables by name, see `modelValues` */
export function trainedPlanner({ config, anchors }: Pick<PlannerTaskOptions, "config" | "anchors">, values: ReadonlyMap<string, StoredTensor>): TrainedPlanner {
  const planner = modeQueryPlanner(config, anchors.plan);
  return {
    name: "mode queries",
    model: planner,
    values,
    features: FEATURES,
    memory: () => null,
    trace: (graph, lanes) => {
      const plan: Plan = planner(sceneInputs(graph, lanes), INFERENCE);
      return { plan, motion: null, agentPadding: graph.constant(new Float32Array(lanes), [lanes, 1]) };
    },
  };
}
