import type { FrameLink } from "@distilldrive/nn";
import type { Graph, Tensor } from "@distilldrive/tensor";
import type { TeacherConfig } from "./config.js";

/** What the teacher reads: fields of a stream batch, by their names; model frame (x right, y forward), metres, seconds. */
export interface TeacherInputs {
  /** [B, N, 9] x, y, z, length, width, height, yaw, vx, vy */
  readonly boxes: Tensor;
  /** [B, N] i32 agent class */
  readonly labels: Tensor;
  /** [B, N] 1 where an agent is */
  readonly agentMask: Tensor;
  /** [B, N, T, 2] displacements: 12 future steps, or 4 past ones (oldest first) with `agentInput: "history"` */
  readonly agentDisplacement: Tensor;
  /** [B, N, T] 1 where the step is known */
  readonly agentStepMask: Tensor;
  /** [B, L, 20, 2] */
  readonly lines: Tensor;
  /** [B, L] i32 line class */
  readonly lineLabels: Tensor;
  /** [B, L] 1 where a line is */
  readonly lineMask: Tensor;
  /** [B, 10] */
  readonly egoStatus: Tensor;
  /** [B, 4, 2] displacements, oldest first */
  readonly egoPast: Tensor;
  /** [B, 4] */
  readonly egoPastMask: Tensor;
  /** How the frame follows on the previous one of its lane; null where every sample stands alone. */
  readonly link: (FrameLink & {
    /** [B, N] i32 slot in the previous frame, -1 for none */
    readonly matchIndex: Tensor;
  }) | null;
}

/** What the imitation loss compares the teacher with. */
export interface TeacherTargets {
  /** [B] i32: 0 right, 1 left, 2 straight */
  readonly command: Tensor;
  /** [B, 6, 2] displacements */
  readonly egoFuture: Tensor;
  /** [B, 6] */
  readonly egoFutureMask: Tensor;
  /** [B, 10] */
  readonly egoStatus: Tensor;
  /** [B, N, 12, 2] displacements */
  readonly futureDisplacement: Tensor;
  /** [B, N, 12] */
  readonly futureMask: Tensor;
  /** [B, N, 9] */
  readonly boxes: Tensor;
}

/** Points of a map line. */
const LINE_POINTS = 20;

/**
 * Declares the graph inputs of the teacher, with the names and shapes of a stream batch.
 *
 * @param lanes B
 * @param options.stream whether frames follow on each other (default), or every sample stands alone
 */
export function teacherInputs(graph: Graph, config: TeacherConfig, lanes: number, { stream = true } = {}): TeacherInputs {
  const { maxAgents, maxLines } = config;
  const future = config.agentInput === "future";
  const steps = future ? 12 : 4;
  return {
    boxes: graph.input("boxes", [lanes, maxAgents, 9]),
    labels: graph.input("labels", [lanes, maxAgents], "i32"),
    agentMask: graph.input("agentMask", [lanes, maxAgents]),
    agentDisplacement: graph.input(future ? "futureDisplacement" : "pastDisplacement", [lanes, maxAgents, steps, 2]),
    agentStepMask: graph.input(future ? "futureMask" : "pastMask", [lanes, maxAgents, steps]),
    lines: graph.input("lines", [lanes, maxLines, LINE_POINTS, 2]),
    lineLabels: graph.input("lineLabels", [lanes, maxLines], "i32"),
    lineMask: graph.input("lineMask", [lanes, maxLines]),
    egoStatus: graph.input("egoStatus", [lanes, 10]),
    egoPast: graph.input("egoPast", [lanes, 4, 2]),
    egoPastMask: graph.input("egoPastMask", [lanes, 4]),
    link: stream
      ? {
          reset: graph.input("reset", [lanes]),
          timeGap: graph.input("timeGap", [lanes]),
          currentFromPrevious: graph.input("currentFromPrevious", [lanes, 4, 4]),
          matchIndex: graph.input("matchIndex", [lanes, maxAgents], "i32"),
        }
      : null,
  };
}

/** Declares the graph inputs the imitation loss compares with, with the names and shapes of a stream batch. */
export function teacherTargets(graph: Graph, config: TeacherConfig, lanes: number): TeacherTargets {
  return {
    command: graph.input("command", [lanes], "i32"),
    egoFuture: graph.input("egoFuture", [lanes, 6, 2]),
    egoFutureMask: graph.input("egoFutureMask", [lanes, 6]),
    egoStatus: graph.input("egoStatus", [lanes, 10]),
    futureDisplacement: graph.input("futureDisplacement", [lanes, config.maxAgents, 12, 2]),
    futureMask: graph.input("futureMask", [lanes, config.maxAgents, 12]),
    boxes: graph.input("boxes", [lanes, config.maxAgents, 9]),
  };
}
