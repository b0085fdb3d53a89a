import type { GroundBox } from "./boxes-meet.js";
import { headings } from "./headings.js";
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

/**
 * Where an agent is expected. "mostLikely": along its most likely mode. "modeAsStep", the published teacher's fault: the
 * most likely mode's index is read as a number of steps along the first mode; the agent stands there, with its present
 * heading, for the whole plan.
 */
export type AgentPath = "mostLikely" | "modeAsStep";

/**
 * Boxes of agents over a plan's steps.
 *
 * @returns per slot [steps] boxes, or null where there is nobody
 */
export function predictedBoxes(agents: PredictedAgents, steps: number, { standing, path }: { readonly standing: number; readonly path: AgentPath }): (GroundBox[] | null)[] {
  const count = agents.ignore.length;
  const modes = count === 0 ? 0 : agents.logits.length / count;
  const stride = count === 0 ? 0 : agents.deltas.length / count / modes;
  return Array.from(agents.ignore, (ignored, agent) => {
    if (ignored) return null;
    const [x = 0, y = 0, , length = 0, width = 0, , present = 0] = Array.from({ length: 7 }, (_, index) => agents.boxes[agent * 9 + index] ?? 0);
    const likely = mostLikely(agents.logits, agent * modes, modes);
    const from = (mode: number): Float64Array => positionsOf(agents.deltas, (agent * modes + mode) * stride, steps).map((value, index) => value + (index % 2 ? y : x));
    if (path === "modeAsStep") {
      const along = from(0);
      const at = likely === 0 ? { x, y } : { x: along[likely * 2 - 2] ?? x, y: along[likely * 2 - 1] ?? y };
      return Array.from({ length: steps }, () => ({ ...at, length, width, yaw: present }));
    }
    const positions = from(likely);
    return Array.from(headings(positions, [x, y], present, standing), (yaw, step) => ({
      x: positions[step * 2] ?? 0,
      y: positions[step * 2 + 1] ?? 0,
      length,
      width,
      yaw,
    }));
  });
}

function mostLikely(logits: ArrayLike<number>, first: number, modes: number): number {
  let likely = 0;
  for (let mode = 1; mode < modes; mode++) if ((logits[first + mode] ?? 0) > (logits[first + likely] ?? 0)) likely = mode;
  return likely;
}
