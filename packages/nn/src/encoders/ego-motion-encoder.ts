import { buffer, reshape, ShapeError, sineEmbedding, slice, type Graph, type Tensor, type Variable } from "@distilldrive/tensor";
import { linear } from "../layers/linear.js";
import { linearReluLayerNorm, sequential, type Sequential } from "../layers/sequential.js";

/** Sizes of the planning vocabulary. */
export interface PlanVocabulary {
  /** Published 3: right, left, straight. */
  readonly commands: number;
  /** Modes per command, published 6. */
  readonly modes: number;
  /** Future steps of 0.5 s, published 6. */
  readonly steps: number;
}

/** Ego instances before they have seen the scene; the same for every sample. */
export interface EgoInstances {
  /** [commands * modes, D] I_E, command-major */
  readonly feature: Tensor;
  /** [commands * modes, D] PE_E of the end point, added at the head */
  readonly modePosition: Tensor;
}

/** Encodes the planning vocabulary. Its variables have the published names, at the model's root. */
export interface EgoMotionEncoder {
  readonly plan_anchor: Variable;
  readonly plan_anchor_delta: Variable;
  readonly plan_anchor_encoder: Sequential;
  readonly plan_instance_encoder: Sequential;
  readonly encodeVocabulary: (graph: Graph) => EgoInstances;
}

/** Mode encoder (fact T9): Linear, ReLU, LayerNorm, Linear. [..., in] to [..., out]. */
export function modeEncoder(inChannels: number, outChannels: number): Sequential {
  return sequential(...linearReluLayerNorm(inChannels, 1, 1), linear(inChannels, outChannels));
}

/**
 * Ego motion encoder (fact T12): the displacements of each cluster centre, every step as a sine embedding of D/2
 * channels, through an MLP give the instance; the end point's sine embedding through an MLP gives its position.
 *
 * @param anchors [commands, modes, steps, 2] m, cluster centres as positions (cumulative); model frame
 * @throws ShapeError when `anchors` has another size
 */
export function egoMotionEncoder(channels: number, { commands, modes, steps }: PlanVocabulary, anchors: ArrayLike<number>): EgoMotionEncoder {
  const shape = [commands, modes, steps, 2] as const;
  if (anchors.length !== commands * modes * steps * 2) {
    throw new ShapeError(
      `egoMotionEncoder: plan anchors have the wrong size, expected ${shape.join(" x ")} numbers, got ${anchors.length}. Cluster them for this vocabulary.`,
    );
  }
  const plan_anchor = buffer(shape, { kind: "data", data: anchors });
  const plan_anchor_delta = buffer(shape, { kind: "data", data: differences(anchors, steps) });
  const stepChannels = channels / 2;
  const plan_anchor_encoder = modeEncoder(channels, channels);
  const plan_instance_encoder = modeEncoder(steps * stepChannels, channels);

  const encodeVocabulary = (graph: Graph): EgoInstances => {
    const perStep = sineEmbedding(graph.variable(plan_anchor_delta), stepChannels);
    const endPoint = reshape(slice(graph.variable(plan_anchor), 2, steps - 1, steps), [commands * modes, 2]);
    return {
      feature: plan_instance_encoder(reshape(perStep, [commands * modes, steps * stepChannels])),
      modePosition: plan_anchor_encoder(sineEmbedding(endPoint, channels)),
    };
  };
  return { plan_anchor, plan_anchor_delta, plan_anchor_encoder, plan_instance_encoder, encodeVocabulary };
}

/** Positions [..., steps, 2] to displacements from step to step; the first one starts at the origin. */
function differences(positions: ArrayLike<number>, steps: number): Float32Array {
  return Float32Array.from(positions, (value, index) => {
    const first = Math.floor(index / 2) % steps === 0;
    return first ? value : value - (positions[index - 2] ?? 0);
  });
}
