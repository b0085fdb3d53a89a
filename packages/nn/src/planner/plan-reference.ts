import { add, broadcastTo, concat, expandDims, reshape, type Tensor } from "@distilldrive/tensor";
import { egoStateFeatures, type EgoState } from "../encoders/ego-status-encoder.js";
import { linear } from "../layers/linear.js";
import { relu, sequential, type Sequential } from "../layers/sequential.js";
import { constantTurnRate, planarMotionOf } from "./constant-turn-rate.js";
import { fadingMotion } from "./fading-motion.js";

/** What the planned displacements are a difference to: nothing (published), a constant-turn-rate roll-out, or one that is learned. */
export type PlanReferenceKind = "none" | "constantTurnRate" | "egoMotion";

/** Sizes of a {@link planReference}. */
export interface PlanReferenceConfig {
  readonly kind: PlanReferenceKind;
  readonly commands: number;
  readonly steps: number;
  /** Past displacements in the ego state. */
  readonly pastSteps: number;
}

/** Path per command that all modes of the command are a difference to. */
export interface PlanReference {
  /** @returns [B, commands, steps, 2] m, displacements, model frame; null without a reference */
  (ego: EgoState): Tensor | null;
  /** The learned part; null where nothing is learned. */
  readonly net: Sequential | null;
}

/** Width of the two hidden layers, as in the ego-status MLP. */
const HIDDEN = 128;

/**
 * Our option `planReference`. "constantTurnRate": the car keeps its speed and turn rate, whatever the command.
 * "egoMotion": speed, acceleration and turn rate go on and fade ({@link fadingMotion}), plus what an MLP makes of the ego
 * state and the command; it learns the expert's median path by a loss of its own (`reference`), so that the modes need only
 * say what agents, map and memory change about it.
 */
export function planReference({ kind, commands, steps, pastSteps }: PlanReferenceConfig): PlanReference {
  const net =
    kind === "egoMotion"
      ? sequential(
          linear(10 + 3 * pastSteps + commands, HIDDEN),
          relu,
          linear(HIDDEN, HIDDEN),
          relu,
          linear(HIDDEN, steps * 2, { weight: { kind: "normal", standardDeviation: 0.01 }, bias: { kind: "constant", value: 0 } }),
        )
      : null;
  const apply = (ego: EgoState): Tensor | null => {
    if (kind === "none") return null;
    const lanes = ego.status.at(0);
    const { speed, turnRate } = planarMotionOf(ego.status);
    const rolledOut = net ? fadingMotion(ego, { steps }) : constantTurnRate(speed, turnRate, { steps });
    const kept = broadcastTo(expandDims(rolledOut, 1), [lanes, commands, steps, 2]);
    if (!net) return kept;
    const features = egoStateFeatures(ego);
    const width = features.at(1);
    const identity = Float32Array.from({ length: commands * commands }, (_, i) => (i % (commands + 1) === 0 ? 1 : 0));
    const input = concat(
      [
        broadcastTo(expandDims(features, 1), [lanes, commands, width]),
        broadcastTo(ego.status.graph.constant(identity, [1, commands, commands]), [lanes, commands, commands]),
      ],
      2,
    );
    return add(kept, reshape(net(input), [lanes, commands, steps, 2]));
  };
  return Object.assign(apply, { net });
}
