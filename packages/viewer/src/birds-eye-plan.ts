import { ViewerError } from "./errors.js";
import type { GroundView } from "./ground-view.js";
import { element, type Markup } from "./markup.js";
import { COLORS } from "./palette.js";

/** A planner's modes as a picture shows them. */
export interface PicturedPlan {
  /** [M, T, 2] m, positions in the model frame, flat; M is 18 (command-major) for our planners. */
  readonly waypoints: ArrayLike<number>;
  /** [M] 0 .. 1. */
  readonly probabilities: ArrayLike<number>;
  /** Index of the mode the planner drives. */
  readonly chosen: number;
}

/** Opacity of a mode whose probability is 0; the most probable mode has 1. */
export const FAINTEST_MODE = 0.12;

/**
 * Opacity of every mode: linear in its probability, from FAINTEST_MODE at 0 to 1 at the most probable mode.
 *
 * @param probabilities [M]
 * @returns [M] 0 .. 1
 * @throws ViewerError when a probability is negative or not finite
 */
export function modeOpacities(probabilities: ArrayLike<number>): number[] {
  const values = Array.from(probabilities);
  const wrong = values.findIndex((value) => !(value >= 0 && Number.isFinite(value)));
  if (wrong >= 0) {
    throw new ViewerError("birdsEyeSvg", `probability ${wrong} is wrong, expected 0 to 1, got ${String(values[wrong])}`, "Pass the softmax of the mode scores.");
  }
  const largest = Math.max(...values, Number.MIN_VALUE);
  return values.map((value) => FAINTEST_MODE + (1 - FAINTEST_MODE) * (value / largest));
}

/** All modes, the faint ones below, the chosen one on top with a halo and a dot at every step. */
export function planLayer(plan: PicturedPlan, view: GroundView): Markup {
  const modes = plan.probabilities.length;
  const stride = plan.waypoints.length / Math.max(modes, 1);
  if (!Number.isInteger(stride / 2) || !Number.isInteger(plan.chosen) || plan.chosen < 0 || plan.chosen >= modes) {
    throw new ViewerError(
      "birdsEyeSvg",
      `plan does not fit, expected waypoints [M, T, 2], probabilities [M] and chosen below M, got ${plan.waypoints.length} values, ${modes} and ${plan.chosen}`,
      "Pass all modes of one sample.",
    );
  }
  const opacities = modeOpacities(plan.probabilities);
  const pathOf = (mode: number): number[] =>
    Array.from({ length: stride }, (_, i) => plan.waypoints[mode * stride + i] ?? NaN);
  const order = Array.from({ length: modes }, (_, mode) => mode)
    .filter((mode) => mode !== plan.chosen)
    .sort((a, b) => (opacities[a] ?? 0) - (opacities[b] ?? 0));
  const others = order.map((mode) =>
    element("path", {
      class: "mode",
      "data-mode": mode,
      "data-probability": plan.probabilities[mode] ?? NaN,
      d: view.path(pathOf(mode), { fromOrigin: true }),
      "stroke-opacity": opacities[mode] ?? 0,
    }),
  );
  const chosen = pathOf(plan.chosen);
  const d = view.path(chosen, { fromOrigin: true });
  return element(
    "g",
    { class: "plan", fill: "none", stroke: COLORS.plan, "stroke-width": 1.8, "stroke-linecap": "round", "stroke-linejoin": "round" },
    others,
    element("path", { class: "halo", d, stroke: COLORS.halo, "stroke-width": 6.5, "stroke-opacity": 0.9 }),
    element("path", { class: "mode chosen", "data-mode": plan.chosen, "data-probability": plan.probabilities[plan.chosen] ?? NaN, d, "stroke-width": 3.6 }),
    waypointDots(chosen, view, 3.2, { fill: COLORS.plan, stroke: COLORS.halo, "stroke-width": 1 }),
  );
}

/** The driven path: a dark line with hollow dots, so that it shows through a plan on top of it. */
export function expertMark(expert: ArrayLike<number>, view: GroundView): Markup {
  const d = view.path(expert, { fromOrigin: true });
  return element(
    "g",
    { class: "expert", fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" },
    element("path", { class: "halo", d, stroke: COLORS.halo, "stroke-width": 7, "stroke-opacity": 0.9 }),
    element("path", { class: "expert-path", d, stroke: COLORS.expert, "stroke-width": 1.6 }),
    waypointDots(expert, view, 4.6, { fill: COLORS.halo, stroke: COLORS.expert, "stroke-width": 1.5 }),
  );
}

/** A dot at every step. */
function waypointDots(path: ArrayLike<number>, view: GroundView, radius: number, paint: Readonly<Record<string, string | number>>): Markup[] {
  return Array.from({ length: path.length / 2 }, (_, t) => {
    const [cx, cy] = view.point(path[2 * t] ?? NaN, path[2 * t + 1] ?? NaN);
    return element("circle", { cx, cy, r: radius, ...paint });
  });
}
