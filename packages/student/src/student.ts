import {
  type ForwardContext,
  imageEncoder,
  type ImageEncoder,
  INFERENCE,
  mlp,
  planner,
  type Planner,
  type PlannerAnchors,
  plannerMemory,
  type PlannerMemory,
  type PlannerOutput,
  type Sequential,
  tokenSide,
} from "@distilldrive/nn";
import { broadcastTo, reshape, ShapeError } from "@distilldrive/tensor";
import { plannerConfigOf, type StudentConfig } from "./config.js";
import { type ImagePosition, imagePosition, type RigCamera } from "./image-position.js";
import type { StudentInputs } from "./inputs.js";
import { type Perception, perception } from "./perception.js";

/** How a forward pass runs. */
export interface ForwardOptions {
  /** Queues of the stream, see {@link studentMemory}; default null: every sample stands alone. */
  readonly memory?: PlannerMemory | null;
  /** Default INFERENCE: no dropout. */
  readonly context?: ForwardContext;
}

/** The student: a tree of variables, the planner's named as published, and what to do with them. */
export interface Student extends Omit<Planner, "run"> {
  readonly image_encoder: ImageEncoder;
  readonly image_position: ImagePosition;
  readonly perception: Perception;
  /** psi of S-eq. 14: takes planning queries [B, 18, D] to the teacher's feature space. */
  readonly feature_adapter: Sequential;
  readonly config: StudentConfig;
  /**
   * Plans for a batch; appends to the graph the inputs live in.
   *
   * @returns plan: logits [B, 18], deltas [B, 18, 6, 2] m, status [B, 1, 10], feature and encoderFeature [B, 18, D];
   *   motion null
   */
  readonly forward: (inputs: StudentInputs, options?: ForwardOptions) => PlannerOutput;
}

/** Memory of `lanes` streams. Part of a training state, not of the model: a model can run many streams. */
export function studentMemory(config: StudentConfig, lanes: number): PlannerMemory {
  return plannerMemory(plannerConfigOf(config), lanes, config.queries);
}

/**
 * The thin student: a small convolutional encoder turns the camera images into tokens; learned queries gather what is
 * around from them; the isomorphic planner plans, its map decoder attending to the tokens.
 *
 * @param anchors plan [3, 6, 6, 2] cluster centres, m
 * @param rig the cameras, in the order of the images
 * @throws ShapeError when the rig or the anchors do not fit
 */
export function createStudent(config: StudentConfig, anchors: Pick<PlannerAnchors, "plan">, rig: readonly RigCamera[]): Student {
  const { channels, heads, image, imageChannels } = config;
  if (rig.length !== config.cameras) {
    throw new ShapeError(`createStudent: the rig does not fit, expected ${config.cameras} cameras, got ${rig.length}. Pass one camera per image.`);
  }
  if (imageChannels.at(-1) !== channels) {
    throw new ShapeError(
      `createStudent: the image encoder does not end in the planner's width, expected ${channels} channels, got ${imageChannels.at(-1) ?? 0}. Change imageChannels.`,
    );
  }
  const tokens = { height: tokenSide(image.height, imageChannels.length), width: tokenSide(image.width, imageChannels.length) };
  const count = rig.length * tokens.height * tokens.width;
  const image_encoder = imageEncoder(imageChannels);
  const image_position = imagePosition(channels, rig, image, tokens);
  const perceive = perception(channels, heads, config.queries, config.perceptionLayers);
  const { run, ...planning } = planner(plannerConfigOf(config), { plan: anchors.plan, motion: null });
  const feature_adapter = mlp(channels, config.teacherChannels, config.teacherChannels);

  const forward = (inputs: StudentInputs, { memory = null, context = INFERENCE }: ForwardOptions = {}): PlannerOutput => {
    const { graph } = inputs.images;
    const lanes = inputs.images.at(0);
    const seen = graph.scope("image_encoder", () => ({
      feature: reshape(image_encoder(inputs.images), [lanes, count, channels]),
      position: broadcastTo(image_position(graph), [lanes, count, channels]),
    }));
    const agents = graph.scope("perception", () => perceive(seen, planning.anchor_encoder, context));
    return run(
      {
        agents,
        map: seen,
        mapPadding: null,
        ego: { status: inputs.egoStatus, past: inputs.egoPast, pastMask: inputs.egoPastMask },
        link: inputs.link ? { ...inputs.link, matchIndex: null } : null,
      },
      memory,
      context,
    );
  };
  return { image_encoder, image_position, perception: perceive, ...planning, feature_adapter, config, forward };
}
