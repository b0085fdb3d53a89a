import { maskedL1 } from "@distilldrive/losses";
import { egoStatusMlp } from "@distilldrive/nn";
import type { FeatureOptions, StreamBatches } from "@distilldrive/datasets";
import { broadcastTo, expandDims, type Graph, type StoredTensor, type Tensor } from "@distilldrive/tensor";
import type { TrainedPlanner } from "./evaluate.js";
import type { Task } from "./fit.js";
import { streamSource } from "./stream-source.js";

/** Samples for the ego-status MLP need no agents and no map. */
export const EGO_STATUS_FEATURES: FeatureOptions = { maxAgents: 1, maxLines: 1 };

type Mlp = ReturnType<typeof egoStatusMlp>;

function plan(mlp: Mlp, graph: Graph, lanes: number): Tensor {
  const ego = { status: graph.input("egoStatus", [lanes, 10]), past: graph.input("egoPast", [lanes, 4, 2]), pastMask: graph.input("egoPastMask", [lanes, 4]) };
  return mlp(ego, graph.input("command", [lanes], "i32"));
}

/** Training of the blind baseline: ego status, past motion and command to waypoints, L1 on displacements. */
export function egoStatusTask({ batches, lanes }: { readonly batches: StreamBatches; readonly lanes: number }): Task {
  const mlp = egoStatusMlp();
  return {
    name: "ego-status-mlp",
    model: { model: mlp },
    batches: streamSource(batches),
    trace: (graph) => {
      const loss = maskedL1(plan(mlp, graph, lanes), graph.input("egoFuture", [lanes, 6, 2]), graph.input("egoFutureMask", [lanes, 6]));
      return { loss, terms: {} };
    },
  };
}

/** Modes of a planner: the MLP's single path stands for each of them. */
const MODES = 18;

/** A trained ego-status MLP for evaluation. @param values variables by name, see `modelValues` */
export function trainedEgoStatus(values: ReadonlyMap<string, StoredTensor>): TrainedPlanner {
  const mlp = egoStatusMlp();
  return {
    name: "ego-status MLP",
    model: mlp,
    values,
    features: EGO_STATUS_FEATURES,
    memory: () => null,
    trace: (graph, lanes) => ({
      plan: {
        logits: graph.constant(new Float32Array(lanes * MODES), [lanes, MODES]),
        deltas: broadcastTo(expandDims(plan(mlp, graph, lanes), 1), [lanes, MODES, 6, 2]),
      },
      motion: null,
      agentPadding: graph.constant(new Float32Array(lanes), [lanes, 1]),
    }),
  };
}
