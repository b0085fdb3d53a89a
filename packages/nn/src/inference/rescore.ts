import { boxesMeet, type GroundBox } from "./boxes-meet.js";
import { headings } from "./headings.js";
import { type AgentPath, type PredictedAgents, predictedBoxes } from "./predicted-boxes.js";

/** Options of {@link rescore}. */
export interface RescoreOptions {
  /** Factor on the ego box's sides, default 1.1. */
  readonly margin?: number;
  /** m the ego box's centre lies ahead of the planned point, default 0.5. */
  readonly centreAhead?: number;
  /** m; what moves less keeps its present heading, default 0.5. */
  readonly standing?: number;
  /** Added to the score of a mode that collides, default -999. */
  readonly penalty?: number;
  /** Where agents are expected, default "mostLikely". */
  readonly agentPath?: AgentPath;
  /**
   * The published code moves rows of a list instead of coordinates (facts T19, S10): against one agent only, all numbers
   * of the first two ego boxes are shifted by half the cosine and sine of the seventh's. That agent is the first that
   * counts, or the first slot. Default null: no such fault.
   */
  readonly shiftedAgainst?: "firstCounted" | "firstSlot" | null;
}

/**
 * Re-scoring as published. The teacher's looks up the most likely mode's index on the axis of time (see
 * {@link AgentPath}); the student's looks it up among the modes. Both mean to move the ego box ahead and do not.
 */
export const PUBLISHED_RESCORING = {
  teacher: { centreAhead: 0, agentPath: "modeAsStep", shiftedAgainst: "firstCounted" },
  student: { centreAhead: 0, agentPath: "mostLikely", shiftedAgainst: "firstSlot" },
} as const satisfies Record<string, RescoreOptions>;

/** m: the ego vehicle's box as the published re-scoring has it. */
const EGO = { length: 4.08, width: 1.73 } as const;

/**
 * Collision re-scoring (method, "Inference"; fact T19): a mode whose ego box meets an agent's predicted box at any step
 * is pushed down, unless all modes do.
 *
 * @param logits [modes]
 * @param candidates per mode [steps, 2] m, positions, model frame
 * @returns [modes] new scores
 */
export function rescore(logits: ArrayLike<number>, candidates: readonly Float64Array[], agents: PredictedAgents, options: RescoreOptions = {}): Float64Array {
  const { margin = 1.1, centreAhead = 0.5, standing = 0.5, penalty = -999, agentPath = "mostLikely", shiftedAgainst = null } = options;
  const steps = (candidates[0]?.length ?? 0) / 2;
  const others = predictedBoxes(agents, steps, { standing, path: agentPath });
  const egos = candidates.map((positions) => egoBoxes(positions, { margin, centreAhead, standing }));
  const shifted = shiftedAgainst === null ? egos : shiftFirstRows(egos);
  const victim = shiftedAgainst === "firstCounted" ? others.find((boxes) => boxes !== null) : shiftedAgainst === "firstSlot" ? others[0] : null;
  const collides = candidates.map((_, mode) =>
    others.some((boxes) => boxes?.some((box, step) => meets((boxes === victim ? shifted : egos)[mode]?.[step], box)) ?? false),
  );
  const hopeless = collides.every(Boolean);
  return Float64Array.from(logits, (logit, mode) => (collides[mode] && !hopeless ? logit + penalty : logit));
}

function meets(ego: GroundBox | undefined, box: GroundBox): boolean {
  return ego !== undefined && boxesMeet(ego, box);
}

/** The ego vehicle's boxes along a path. */
function egoBoxes(positions: Float64Array, { margin, centreAhead, standing }: Required<Pick<RescoreOptions, "margin" | "centreAhead" | "standing">>): GroundBox[] {
  return Array.from(headings(positions, [0, 0], Math.PI / 2, standing), (yaw, step) => ({
    x: (positions[step * 2] ?? 0) + centreAhead * Math.cos(yaw),
    y: (positions[step * 2 + 1] ?? 0) + centreAhead * Math.sin(yaw),
    length: EGO.length * margin,
    width: EGO.width * margin,
    yaw,
  }));
}

/** The published fault, see {@link RescoreOptions.shiftedAgainst}. */
function shiftFirstRows(egos: readonly (readonly GroundBox[])[]): GroundBox[][] {
  const rows = egos.flat();
  const source = rows[6 % rows.length];
  const steps = egos[0]?.length ?? 0;
  return egos.map((boxes, mode) =>
    boxes.map((box, step) => {
      const row = mode * steps + step;
      if (source === undefined || row > 1) return box;
      const turn = row === 0 ? Math.cos : Math.sin;
      const moved = (key: keyof GroundBox): number => box[key] + 0.5 * turn(source[key]);
      return { x: moved("x"), y: moved("y"), length: moved("length"), width: moved("width"), yaw: moved("yaw") };
    }),
  );
}
