import { AGENT_CLASSES, EGO_SIZE, MAP_CLASSES, type AgentClass, type MapClass } from "@distilldrive/datasets";
import { EGO_CENTRE_AHEAD, type OrientedBox } from "@distilldrive/metrics";
import { ViewerError } from "./errors.js";
import type { GroundView } from "./ground-view.js";
import { digits, element, type Markup } from "./markup.js";
import { AGENT_STYLES, COLORS, LINE_STYLES } from "./palette.js";

/** What a picture needs of a sample, all in the model frame (x right, y forward, m); the feature builder's `Sample` fits. */
export interface BirdsEyeScene {
  /** Index into COMMANDS: 0 right, 1 left, 2 straight. */
  readonly command: number;
  /** [10] ego status; the speed in the title is its entry 6 (m/s). */
  readonly egoStatus?: ArrayLike<number>;
  /** [N, 9] x, y, z, length, width, height (m), yaw (rad), vx, vy (m/s), flat. */
  readonly boxes: ArrayLike<number>;
  /** [N] index into AGENT_CLASSES. */
  readonly labels: ArrayLike<number>;
  /** [N] 1 where an agent is; default all. */
  readonly agentMask?: ArrayLike<number>;
  /** [L, P, 2] m, flat. */
  readonly lines: ArrayLike<number>;
  /** [L] index into MAP_CLASSES. */
  readonly lineLabels: ArrayLike<number>;
  /** [L] 1 where a line is; default all. */
  readonly lineMask?: ArrayLike<number>;
  /** [N, T, 2] m, displacement of each step, flat; drawn together with its mask. */
  readonly futureDisplacement?: ArrayLike<number>;
  /** [N, T] 1 where the agent was annotated, flat. */
  readonly futureMask?: ArrayLike<number>;
}

/** px, boxes are never drawn smaller than this, so that cones and people stay visible. */
const SMALLEST_BOX = 4;

/** Index and class of a row of a sample. */
interface Row<C extends string> {
  readonly index: number;
  readonly category: C;
}

/** Agents that are there. @throws ViewerError when shapes do not fit or a label is unknown */
export function agentsOf(scene: BirdsEyeScene): Row<AgentClass>[] {
  requireShape(scene.boxes.length === 9 * scene.labels.length, "boxes [N, 9] and labels [N]", scene.boxes.length, scene.labels.length);
  return rowsOf(scene.labels, scene.agentMask, AGENT_CLASSES);
}

/** Map lines that are there. @throws ViewerError when shapes do not fit or a label is unknown */
export function linesOf(scene: BirdsEyeScene): Row<MapClass>[] {
  const [values, count] = [scene.lines.length, scene.lineLabels.length];
  requireShape(count === 0 ? values === 0 : values % (2 * count) === 0, "lines [L, P, 2] and lineLabels [L]", values, count);
  return rowsOf(scene.lineLabels, scene.lineMask, MAP_CLASSES);
}

function requireShape(fits: boolean, shape: string, values: number, labels: number): void {
  if (fits) return;
  throw new ViewerError("birdsEyeSvg", `shapes do not fit, expected ${shape}, got ${values} values and ${labels} labels`, "Pass both of the same sample.");
}

function rowsOf<C extends string>(labels: ArrayLike<number>, mask: ArrayLike<number> | undefined, classes: readonly C[]): Row<C>[] {
  const rows: Row<C>[] = [];
  Array.from(labels).forEach((label, index) => {
    if (mask !== undefined && mask[index] !== 1) return;
    const category = classes[label];
    if (category === undefined) {
      throw new ViewerError("birdsEyeSvg", `unknown class, expected 0 to ${classes.length - 1}, got ${label} at ${index}`, `Classes are ${classes.join(", ")}.`);
    }
    rows.push({ index, category });
  });
  return rows;
}

/** Road surfaces in one quiet colour below everything, a path each: overlaps of opposite orientation must not cancel. */
export function roadLayer(road: readonly ArrayLike<number>[], view: GroundView): Markup {
  const surfaces = road.map((outline) => element("path", { class: "road", d: view.path(outline, { closed: true }) }));
  return element("g", { class: "roads", fill: COLORS.road, stroke: COLORS.road, "stroke-width": 0.8 }, surfaces);
}

/** Map lines, dividers below edges below crossings. */
export function mapLayer(scene: BirdsEyeScene, view: GroundView): Markup {
  const lines = linesOf(scene);
  const stride = scene.lines.length / Math.max(scene.lineLabels.length, 1);
  const order: readonly MapClass[] = ["divider", "boundary", "ped_crossing"];
  const drawn = order.flatMap((wanted) =>
    lines
      .filter(({ category }) => category === wanted)
      .map(({ index, category }) => {
        const style = LINE_STYLES[category];
        return element("path", {
          class: `map map-${category}`,
          d: view.path(slice(scene.lines, index * stride, (index + 1) * stride)),
          stroke: style.color,
          "stroke-width": style.width,
          "stroke-dasharray": style.dash,
        });
      }),
  );
  return element("g", { class: "map-lines", fill: "none", "stroke-linejoin": "round", "stroke-linecap": "butt" }, drawn);
}

/** Agents as boxes with a tick from the centre through the front, and what they do next. */
export function agentLayer(scene: BirdsEyeScene, view: GroundView, futures: boolean): Markup {
  const drawn = agentsOf(scene).map(({ index, category }) => {
    const { color } = AGENT_STYLES[category];
    const [x = NaN, y = NaN, , length = NaN, width = NaN, , yaw = NaN] = slice(scene.boxes, 9 * index, 9 * index + 9);
    return element("g", { class: `agent agent-${category}`, color, stroke: "currentColor" }, futures ? futurePath(scene, index, view) : null, boxMark({ x, y, length, width, yaw }, view, moves(category)));
  });
  return element("g", { class: "agents", fill: "none", "stroke-linejoin": "round" }, drawn);
}

/** Barriers and cones have no heading worth a tick. */
function moves(category: AgentClass): boolean {
  return category !== "barrier" && category !== "traffic_cone";
}

/** An oriented rectangle in the current colour, with or without a heading tick. */
function boxMark(box: OrientedBox, view: GroundView, tick: boolean): Markup {
  const [px, py] = view.point(box.x, box.y);
  const along = Math.max(box.length * view.scale, SMALLEST_BOX);
  const across = Math.max(box.width * view.scale, SMALLEST_BOX);
  return element(
    "g",
    { transform: `translate(${digits(px)} ${digits(py)}) rotate(${digits((-box.yaw * 180) / Math.PI)})` },
    element("rect", { x: -along / 2, y: -across / 2, width: along, height: across, rx: 1.5, fill: "currentColor", "fill-opacity": 0.3, "stroke-width": 1.3 }),
    tick ? element("path", { class: "heading", d: `M0 0H${digits(along / 2 + 3)}`, "stroke-width": 1.5 }) : null,
  );
}

/** Where an agent goes: a thin line through its annotated steps, or nothing. */
function futurePath(scene: BirdsEyeScene, index: number, view: GroundView): Markup | null {
  const { futureDisplacement, futureMask, labels, boxes } = scene;
  if (futureDisplacement === undefined || futureMask === undefined) return null;
  const steps = futureMask.length / labels.length;
  const points = [boxes[9 * index] ?? NaN, boxes[9 * index + 1] ?? NaN];
  for (let t = 0; t < steps && futureMask[index * steps + t] === 1; t += 1) {
    const at = 2 * (index * steps + t);
    points.push((points[2 * t] ?? NaN) + (futureDisplacement[at] ?? NaN), (points[2 * t + 1] ?? NaN) + (futureDisplacement[at + 1] ?? NaN));
  }
  const moved = Math.hypot((points[points.length - 2] ?? 0) - (points[0] ?? 0), (points[points.length - 1] ?? 0) - (points[1] ?? 0));
  if (moved < 1) return null;
  return element("path", { class: "agent-future", d: view.path(points), "stroke-width": 1.2, "stroke-opacity": 0.55, "stroke-dasharray": "1 2.5", "stroke-linecap": "round" });
}

/** The ego: a dark box with an arrow head, at the origin, looking up. */
export function egoMark(view: GroundView): Markup {
  const [x, y] = view.point(0, EGO_CENTRE_AHEAD);
  const along = EGO_SIZE.length * view.scale;
  const across = EGO_SIZE.width * view.scale;
  const tip = -along * 0.32;
  return element(
    "g",
    { class: "ego", transform: `translate(${digits(x)} ${digits(y)})` },
    element("rect", { x: -across / 2, y: -along / 2, width: across, height: along, rx: 3, fill: COLORS.ego, stroke: COLORS.halo, "stroke-width": 1.5 }),
    element("path", { d: `M0 ${digits(tip)}L${digits(across * 0.28)} ${digits(tip + across * 0.45)}H${digits(-across * 0.28)}Z`, fill: COLORS.halo }),
  );
}

function slice(values: ArrayLike<number>, start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => values[start + i] ?? NaN);
}
