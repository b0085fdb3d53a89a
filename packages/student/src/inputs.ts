import type { FrameLink } from "@distilldrive/nn";
import type { Graph, Tensor } from "@distilldrive/tensor";
import type { StudentConfig } from "./config.js";

/** What the student reads: images, and of a stream batch only what a car knows itself. */
export interface StudentInputs {
  /** [B, V, H, W, 3] RGB in [0, 1] */
  readonly images: Tensor;
  /** [B, 10] */
  readonly egoStatus: Tensor;
  /** [B, 4, 2] m, displacements, oldest first */
  readonly egoPast: Tensor;
  /** [B, 4] */
  readonly egoPastMask: Tensor;
  /** How the frame follows on the previous one of its lane; null where every sample stands alone. */
  readonly link: FrameLink | null;
}

/** What the imitation loss compares the student with. */
export interface StudentTargets {
  /** [B] i32: 0 right, 1 left, 2 straight */
  readonly command: Tensor;
  /** [B, 6, 2] m, displacements */
  readonly egoFuture: Tensor;
  /** [B, 6] */
  readonly egoFutureMask: Tensor;
  /** [B, 10] */
  readonly egoStatus: Tensor;
}

/** Declares the graph inputs of the student, with the names and shapes of a stream batch and `images`. */
export function studentInputs(graph: Graph, config: StudentConfig, lanes: number, { stream = true } = {}): StudentInputs {
  const { cameras, image } = config;
  return {
    images: graph.input("images", [lanes, cameras, image.height, image.width, 3]),
    egoStatus: graph.input("egoStatus", [lanes, 10]),
    egoPast: graph.input("egoPast", [lanes, 4, 2]),
    egoPastMask: graph.input("egoPastMask", [lanes, 4]),
    link: stream
      ? {
          reset: graph.input("reset", [lanes]),
          timeGap: graph.input("timeGap", [lanes]),
          currentFromPrevious: graph.input("currentFromPrevious", [lanes, 4, 4]),
        }
      : null,
  };
}

/** Declares the graph inputs the imitation loss compares with. */
export function studentTargets(graph: Graph, lanes: number): StudentTargets {
  return {
    command: graph.input("command", [lanes], "i32"),
    egoFuture: graph.input("egoFuture", [lanes, 6, 2]),
    egoFutureMask: graph.input("egoFutureMask", [lanes, 6]),
    egoStatus: graph.input("egoStatus", [lanes, 10]),
  };
}
