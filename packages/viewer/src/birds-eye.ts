import { COMMANDS } from "@distilldrive/datasets";
import { agentLayer, egoMark, mapLayer, roadLayer, type BirdsEyeScene } from "./birds-eye-scene.js";
import { expertMark, planLayer, type PicturedPlan } from "./birds-eye-plan.js";
import { legendLayer, scaleBar, titleBar } from "./birds-eye-legend.js";
import { ViewerError } from "./errors.js";
import { element } from "./markup.js";
import { COLORS } from "./palette.js";
import { groundView, type GroundRegion } from "./ground-view.js";

/** What a bird's-eye picture shows, and how. */
export interface BirdsEyeOptions {
  /** The scene around the ego, in the model frame. */
  readonly sample: BirdsEyeScene;
  /** The planner's modes; none by default. */
  readonly plan?: PicturedPlan;
  /** [T, 2] m, driven positions in the model frame, flat; none by default. */
  readonly expert?: ArrayLike<number>;
  /** Outlines [P, 2] m of road surfaces in the model frame, flat, see `roadAround`; none by default. */
  readonly road?: readonly ArrayLike<number>[];
  /** First line of the picture; none by default. */
  readonly title?: string;
  /** px, default 480. */
  readonly width?: number;
  /** m around the origin, default 22 to each side, 43 ahead, 12 behind; grows ahead so that every path fits. */
  readonly region?: GroundRegion;
  /** Draw what the agents do next where the sample tells; default true. */
  readonly agentFutures?: boolean;
  /** Default true. */
  readonly legend?: boolean;
}

const DEFAULT_REGION: GroundRegion = { left: 22, right: 22, ahead: 43, behind: 12 };
/** m kept free between the farthest waypoint and the picture's edge. */
const MARGIN = 4;
/** m, the picture never reaches farther, whatever a plan says. */
const FARTHEST = 80;

/**
 * Picture of one sample from above: map lines, agents with heading ticks, the ego, the driven path, all planned modes
 * with their probability as opacity, the chosen mode on top; the ego looks up.
 *
 * @returns a self-contained SVG document: no styles, scripts, references or ids, so that any number fit in one page
 * @throws ViewerError when an array does not have the documented shape or a drawn value is not finite
 */
export function birdsEyeSvg(options: BirdsEyeOptions): string {
  const { sample, plan, expert, title, width = 480, road = [], agentFutures = true, legend = true } = options;
  if (!(width >= 200)) throw new ViewerError("birdsEyeSvg", `picture too narrow, expected at least 200 px, got ${width}`, "Ask for a wider picture.");
  const view = groundView(regionFor(options), width);
  const command = COMMANDS[sample.command];
  const bar = titleBar({ width, title: title ?? "", command: command ?? "unknown", speed: sample.egoStatus?.[6] ?? null });
  const entries = legend ? legendLayer({ width, sample, plan: plan !== undefined, expert: expert !== undefined }) : null;
  const height = bar.height + view.height + (entries?.height ?? 0);
  const ground = element(
    "svg",
    { x: 0, y: bar.height, width, height: view.height, viewBox: `0 0 ${width} ${view.height}`, overflow: "hidden" },
    element("rect", { width, height: view.height, fill: COLORS.paper }),
    road.length === 0 ? null : roadLayer(road, view),
    mapLayer(sample, view),
    agentLayer(sample, view, agentFutures),
    egoMark(view),
    expert === undefined ? null : expertMark(expert, view),
    plan === undefined ? null : planLayer(plan, view),
    scaleBar(view),
  );
  const name = `Bird's-eye view${title === undefined ? "" : `: ${title}`}`;
  return element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": name,
      "font-family": "Inter, 'Helvetica Neue', Arial, sans-serif",
      "font-size": 12,
    },
    element("title", {}, name),
    element("rect", { width, height, fill: COLORS.halo }),
    ground,
    { markup: bar.markup },
    entries === null ? null : element("g", { class: "legend", transform: `translate(0 ${bar.height + view.height})` }, entries),
  ).markup;
}

/** The region asked for, longer ahead where a path needs it. */
function regionFor({ region = DEFAULT_REGION, plan, expert }: BirdsEyeOptions): GroundRegion {
  let ahead = region.ahead;
  for (const path of [expert ?? [], plan?.waypoints ?? []]) {
    for (let i = 1; i < path.length; i += 2) {
      const needed = (path[i] ?? 0) + MARGIN;
      if (needed > ahead) ahead = needed;
    }
  }
  return { ...region, ahead: Math.max(region.ahead, Math.min(ahead, FARTHEST)) };
}
