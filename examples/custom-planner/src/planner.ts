/**
 * A planner that is not DistillDrive's, made of its blocks: every mode of the planning vocabulary is a query that looks at
 * the agents and at the map, layer by layer. No memory, no prediction of agents, one forward pass a frame.
 */
import {
  type AgentEncoder,
  agentEncoder,
  type AsymmetricFfn,
  asymmetricFfn,
  constantTurnRate,
  type CrossAttention,
  crossAttention,
  type EgoMotionEncoder,
  egoMotionEncoder,
  type EgoState,
  type EgoStatusEncoder,
  egoStatusEncoder,
  type ForwardContext,
  type LayerNorm,
  layerNorm,
  type MapEncoder,
  mapEncoder,
  planarMotionOf,
  type PlanHeads,
  planHeads,
  type PlanVocabulary,
  type Positioned,
} from "@distilldrive/nn";
import { add, broadcastTo, expandDims, reshape, type Tensor } from "@distilldrive/tensor";

/** What there is to choose from: 3 commands (right, left, straight) x 6 modes x 6 steps of 0.5 s. */
export const VOCABULARY: PlanVocabulary = { commands: 3, modes: 6, steps: 6 };

/** Sizes of a {@link modeQueryPlanner}. */
export interface ModeQueryConfig {
  /** D: channels of every token, a multiple of 8. */
  readonly channels: number;
  /** Attention heads; they divide D. */
  readonly heads: number;
  /** Layers of the decoder. */
  readonly layers: number;
}

/** A frame as the planner sees it. Model frame: x right, y forward, origin at the lidar; masks are 1 where something is. */
export interface Scene {
  readonly agents: {
    /** [B, N, 4, 2] m, displacements of the last four steps, oldest first */
    readonly displacement: Tensor;
    /** [B, N, 4] 1 where the step is known */
    readonly stepMask: Tensor;
    /** [B, N, 9] x, y, z, length, width, height (m), yaw (rad), vx, vy (m/s) */
    readonly box: Tensor;
    /** [B, N] */
    readonly mask: Tensor;
  };
  readonly map: {
    /** [B, L, 20, 2] m, points along each line */
    readonly points: Tensor;
    /** [B, L] i32, index into MAP_CLASSES */
    readonly label: Tensor;
    /** [B, L] */
    readonly mask: Tensor;
  };
  /** status [B, 10], past [B, 4, 2] m, pastMask [B, 4] */
  readonly ego: EgoState;
}

/** What the planner answers; the fields the imitation loss and `choosePlan` read. */
export interface Plan {
  /** [B, 18] command-major */
  readonly logits: Tensor;
  /** [B, 18, 6, 2] m, displacements per 0.5 s, model frame */
  readonly deltas: Tensor;
  /** [B, 18, 10] ego status each mode implies */
  readonly status: Tensor;
}

/** One layer: look at the agents, look at the map, think. */
interface Layer {
  readonly agents: CrossAttention;
  readonly map: CrossAttention;
  readonly norm: LayerNorm;
  readonly ffn: AsymmetricFfn;
}

/**
 * The planner: a function with its blocks as properties, because a model is a tree in which `variablesOf` finds the
 * variables and names them by their path, e.g. `layers.0.map.attn.in_proj_weight`.
 */
export interface ModeQueryPlanner extends Omit<EgoMotionEncoder, "encodeVocabulary"> {
  /** Appends a forward pass to the graph that the scene's tensors live in. */
  (scene: Scene, context: ForwardContext): Plan;
  readonly agent_encoder: AgentEncoder;
  readonly map_encoder: MapEncoder;
  readonly ego_encoder: EgoStatusEncoder;
  readonly layers: readonly Layer[];
  readonly head: PlanHeads;
}

/**
 * Builds the planner.
 *
 * @param anchors [3, 6, 6, 2] m, typical paths per command and mode, see `buildAnchors` of @distilldrive/datasets
 * @throws ShapeError when the anchors do not fit the vocabulary
 */
export function modeQueryPlanner({ channels, heads, layers: depth }: ModeQueryConfig, anchors: ArrayLike<number>): ModeQueryPlanner {
  const { commands, modes, steps } = VOCABULARY;
  const queries = commands * modes;

  // Encoders. S-eq. 1 and 2 of the paper's supplement; agents by their past, as a planner on the road would know them.
  const agent_encoder = agentEncoder({ channels, heads, layers: 1, steps: 4 });
  const map_encoder = mapEncoder({ channels, classes: 3 });
  const ego_encoder = egoStatusEncoder(channels, 4);
  const { encodeVocabulary, ...vocabulary } = egoMotionEncoder(channels, VOCABULARY, anchors);

  // Decoder. Attention with positions added to queries and keys (S-eq. 5), then a feed-forward block.
  const layers = Array.from({ length: depth }, (): Layer => ({
    agents: crossAttention(channels, heads),
    map: crossAttention(channels, heads),
    norm: layerNorm(channels),
    ffn: asymmetricFfn(channels, 2 * channels),
  }));
  // Plans are differences to a roll-out of the present motion: small at first, so that learning starts from something sane.
  const head = planHeads({ channels, planSteps: steps, planRegressionInit: { weight: { kind: "normal", standardDeviation: 0.01 } } });

  const apply = (scene: Scene, context: ForwardContext): Plan => {
    const { graph } = scene.ego.status;
    const lanes = scene.ego.status.at(0);
    const agents = graph.scope("agents", () =>
      agent_encoder({ displacement: scene.agents.displacement, mask: scene.agents.stepMask, box: scene.agents.box }, scene.agents.mask, context),
    );
    const map = graph.scope("map", () => map_encoder(scene.map, context));

    // Queries: the vocabulary [18, D], the same for every sample, plus what this car is doing [B, D].
    const { feature, modePosition } = encodeVocabulary(graph);
    const shape = [lanes, queries, channels];
    const position = broadcastTo(modePosition, shape);
    let x = add(expandDims(ego_encoder(scene.ego), 1), feature);
    layers.forEach((layer, index) => {
      x = graph.scope(`layer ${index}`, () => {
        const query = (): Positioned => ({ feature: x, position });
        x = layer.agents(query(), agents, agents.padding, context);
        x = layer.map(query(), map, map.padding, context);
        return layer.ffn(layer.norm(x), context);
      });
    });

    const { speed, turnRate } = planarMotionOf(scene.ego.status);
    const rollOut = expandDims(constantTurnRate(speed, turnRate, { steps }), 1); // [B, 1, 6, 2]
    const decoded = add(x, position);
    return {
      logits: reshape(head.plan_cls_branch(decoded), [lanes, queries]),
      deltas: add(reshape(head.plan_reg_branch(decoded), [lanes, queries, steps, 2]), rollOut),
      status: head.plan_status_branch(x),
    };
  };
  return Object.assign(apply, { agent_encoder, map_encoder, ego_encoder, ...vocabulary, layers, head });
}
