import { boxesMeet, type GroundBox } from "./boxes-meet.js";
import { positionsOf } from "./positions.js";

/** Agents of one sample with what the planner predicts for them. */
export interface PredictedAgents {
  /** [N, 9] x, y, z, length, width, height (m), yaw (rad), vx, vy (m/s); model frame */
  readonly boxes: ArrayLike<number>;
  /** [N] 1 = no agent in this slot, or one too uncertain to yield to */
  readonly ignore: ArrayLike<number>;
  /** [N, motionModes] */
  readonly logits: ArrayLike<number>;
  /** [N, motionModes, motionSteps, 2] m, displacements per 0.5 s */
  readonly deltas: ArrayLike<number>;
}

/** Options of {@link rescore}. */
export interface RescoreOptions {
  /** Factor on the ego box's sides, default 1.1. */
  readonly margin?: number;
  /** m the ego box's centre lies ahead of the planned point, default 0.5 (published: 0 in effect, fact T19). */
  readonly centreAhead?: number;
  /** m; what moves less keeps its present heading, default 0.5. */
  readonly standing?: number;
  /** Added to the score of a mode that collides, default -999. */
  readonly penalty?: number;
}

/** m: the ego vehicle's box as the published re-scoring has it. */
const EGO = { length: 4.08, width: 1.73 } as const;

/**
 * Collision re-scoring (method, "Inference"; fact T19): a mode whose ego box meets an agent's most likely predicted box
 * at any step is pushed down, unless all modes do.
 *
 * @param logits [modes]
 * @param candidates per mode [steps, 2] m, positions, model frame
 * @returns [modes] new scores
 */
export function rescore(logits: ArrayLike<number>, candidates: readonly Float64Array[], agents: PredictedAgents, options: RescoreOptions = {}): Float64Array {
  const { margin = 1.1, centreAhead = 0.5, standing = 0.5, penalty = -999 } = options;
  const steps = (candidates[0]?.length ?? 0) / 2;
  const others = predictedBoxes(agents, steps, standing);
  const collides = candidates.map((positions) => {
    const yaws = headings(positions, [0, 0], Math.PI / 2, standing);
    return Array.from({ length: steps }, (_, step): GroundBox => {
      const yaw = yaws[step] ?? 0;
      return {
        x: (positions[step * 2] ?? 0) + centreAhead * Math.cos(yaw),
        y: (positions[step * 2 + 1] ?? 0) + centreAhead * Math.sin(yaw),
        length: EGO.length * margin,
        width: EGO.width * margin,
        yaw,
      };
    }).some((ego, step) => others.some((boxes) => boxes[step] !== undefined && boxesMeet(ego, boxes[step])));
  });
  const hopeless = collides.every(Boolean);
  return Float64Array.from(logits, (logit, mode) => (collides[mode] && !hopeless ? logit + penalty : logit));
}

/** Boxes of every agent over the plan's steps, along its most likely mode. */
function predictedBoxes(agents: PredictedAgents, steps: number, standing: number): GroundBox[][] {
  const count = agents.ignore.length;
  const modes = count === 0 ? 0 : agents.logits.length / count;
  const stride = count === 0 ? 0 : agents.deltas.length / count / modes;
  const result: GroundBox[][] = [];
  for (let agent = 0; agent < count; agent++) {
    if (agents.ignore[agent]) continue;
    const box = (index: number): number => agents.boxes[agent * 9 + index] ?? 0;
    let likely = 0;
    for (let mode = 1; mode < modes; mode++) {
      if ((agents.logits[agent * modes + mode] ?? 0) > (agents.logits[agent * modes + likely] ?? 0)) likely = mode;
    }
    const moved = positionsOf(agents.deltas, (agent * modes + likely) * stride, steps);
    const positions = moved.map((value, index) => value + box(index % 2));
    const yaws = headings(positions, [box(0), box(1)], box(6), standing);
    result.push(
      Array.from({ length: steps }, (_, step) => ({
        x: positions[step * 2] ?? 0,
        y: positions[step * 2 + 1] ?? 0,
        length: box(3),
        width: box(4),
        yaw: yaws[step] ?? 0,
      })),
    );
  }
  return result;
}

/** Headings along a path by central differences, the last one by a backward difference; the start's if it hardly moves. */
function headings(positions: Float64Array, start: readonly [number, number], startYaw: number, standing: number): Float64Array {
  const steps = positions.length / 2;
  const x = (step: number): number => (step < 0 ? start[0] : (positions[step * 2] ?? 0));
  const y = (step: number): number => (step < 0 ? start[1] : (positions[step * 2 + 1] ?? 0));
  const still = Math.hypot(x(steps - 1) - start[0], y(steps - 1) - start[1]) < standing;
  return Float64Array.from({ length: steps }, (_, step) => {
    if (still) return startYaw;
    const next = Math.min(step + 1, steps - 1);
    return Math.atan2(y(next) - y(step - 1), x(next) - x(step - 1));
  });
}
