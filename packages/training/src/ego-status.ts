import { maskedL1, modesOfCommand } from "@distilldrive/losses";
import { type EgoState, egoStatusMlp, planReference } from "@distilldrive/nn";
import type { Augmentation, FeatureOptions, StreamBatches } from "@distilldrive/datasets";
import { broadcastTo, expandDims, reshape, type Graph, type StoredTensor, type Tensor } from "@distilldrive/tensor";
import type { TrainedPlanner } from "./evaluate.js";
import type { Task } from "./fit.js";
import { streamSource } from "./stream-source.js";

/** Samples for the ego-status MLP need no agents and no map. */
export const EGO_STATUS_FEATURES: FeatureOptions = { maxAgents: 1, maxLines: 1 };

type Mlp = ReturnType<typeof egoStatusMlp>;

function plan(mlp: Mlp, graph: Graph, lanes: number): Tensor {
  return mlp(egoState(graph, lanes), graph.input("command", [lanes], "i32"));
}

function egoState(graph: Graph, lanes: number): EgoState {
  return { status: graph.input("egoStatus", [lanes, 10]), past: graph.input("egoPast", [lanes, 4, 2]), pastMask: graph.input("egoPastMask", [lanes, 4]) };
}

function pathLoss(path: Tensor, graph: Graph, lanes: number): Tensor {
  return maskedL1(path, graph.input("egoFuture", [lanes, 6, 2]), graph.input("egoFutureMask", [lanes, 6]));
}

/** Training of the blind baseline: ego status, past motion and command to waypoints, L1 on displacements. */
export function egoStatusTask({ batches, lanes }: { readonly batches: StreamBatches; readonly lanes: number }): Task {
  const mlp = egoStatusMlp();
  return {
    name: "ego-status-mlp",
    model: { model: mlp },
    batches: streamSource(batches),
    trace: (graph) => ({ loss: pathLoss(plan(mlp, graph, lanes), graph, lanes), terms: {} }),
  };
}

/** What {@link referenceTask} needs. */
export interface ReferenceTaskOptions {
  readonly batches: StreamBatches;
  readonly lanes: number;
  readonly augmentation?: Augmentation;
}

/**
 * Training of a planner's reference path alone (`planReference: "egoMotion"`): steps cost next to nothing, so it can see
 * the data many times before the whole planner does. Its variables are named as in the planner: `plan_reference.net...`.
 */
export function referenceTask({ batches, lanes, augmentation }: ReferenceTaskOptions): Task {
  const plan_reference = planReference({ kind: "egoMotion", commands: 3, steps: 6, pastSteps: 4 });
  return {
    name: "plan-reference",
    model: { model: { plan_reference } },
    batches: streamSource(batches, augmentation ? { augmentation } : {}),
    trace: (graph) => {
      const paths = plan_reference(egoState(graph, lanes));
      if (!paths) throw new Error("referenceTask: the reference has no path.");
      const own = modesOfCommand(paths, graph.input("command", [lanes], "i32"), 1);
      return { loss: pathLoss(reshape(own, [lanes, 6, 2]), graph, lanes), terms: {} };
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
