import { agentsOf, linesOf, type BirdsEyeScene } from "./birds-eye-scene.js";
import type { GroundView } from "./ground-view.js";
import { digits, element, type Markup } from "./markup.js";
import { AGENT_STYLES, COLORS, LINE_STYLES } from "./palette.js";

/** A strip of a picture and how high it is. */
export interface Strip extends Markup {
  /** px. */
  readonly height: number;
}

/** px. */
const TITLE_HEIGHT = 30;
/** px. */
const ROW_HEIGHT = 18;
/** px, space for an entry's sign, and after its text. */
const SIGN = 26;
const GAP = 14;
/** px a character of 11 px text takes, on average; used to break the legend into rows. */
const CHARACTER = 5.7;

/** The line above the picture: title on the left, speed and command with its arrow on the right. */
export function titleBar(content: { width: number; title: string; command: string; speed: number | null }): Strip {
  const { width, title, command, speed } = content;
  const speedText = speed === null || !Number.isFinite(speed) ? "" : `${speed.toFixed(1)} m/s · `;
  const right = `${speedText}${command}`;
  const room = Math.floor((width - 60 - right.length * 6.8) / 7.2);
  const shown = title.length > room ? `${title.slice(0, Math.max(room - 1, 0))}…` : title;
  const bar = element(
    "g",
    { class: "title", fill: COLORS.ink },
    element("text", { x: 10, y: 20, "font-size": 13, "font-weight": 600 }, shown),
    element("text", { class: "command", x: width - 34, y: 20, "text-anchor": "end", "font-size": 12 }, right),
    element("path", { class: "command-arrow", d: arrow(command), transform: `translate(${width - 18} 15)`, fill: "none", stroke: COLORS.ink, "stroke-width": 2, "stroke-linecap": "round", "stroke-linejoin": "round" }),
  );
  return { ...bar, height: TITLE_HEIGHT };
}

/** Arrow of a command, around the origin. */
function arrow(command: string): string {
  if (command === "left") return "M5 7V0Q5 -3 2 -3H-6M-2.5 -7L-6.5 -3L-2.5 1";
  if (command === "right") return "M-5 7V0Q-5 -3 -2 -3H6M2.5 -7L6.5 -3L2.5 1";
  return "M0 7V-7M-4 -3L0 -7L4 -3";
}

/** A bar of 10 m in the lower left corner. */
export function scaleBar(view: GroundView): Markup {
  const [x, y] = [12, view.height - 12];
  const length = 10 * view.scale;
  const d = `M${x} ${y - 4}V${y}H${digits(x + length)}V${y - 4}`;
  return element(
    "g",
    { class: "scale-bar" },
    element("path", { d, fill: "none", stroke: COLORS.halo, "stroke-width": 4.5, "stroke-opacity": 0.85 }),
    element("path", { d, fill: "none", stroke: COLORS.scale, "stroke-width": 1.6 }),
    element("text", { x: x + length / 2, y: y - 6, "text-anchor": "middle", "font-size": 11, fill: COLORS.ink, stroke: COLORS.halo, "stroke-width": 3, "paint-order": "stroke" }, "10 m"),
  );
}

/** Signs of what the picture shows (and of nothing else), in as many rows as the width needs. */
export function legendLayer(content: { width: number; sample: BirdsEyeScene; plan: boolean; expert: boolean }): Strip {
  const entries = legendEntries(content);
  const marks: Markup[] = [];
  let [x, row] = [10, 0];
  for (const { label, sign } of entries) {
    const needed = SIGN + label.length * CHARACTER + GAP;
    if (x > 10 && x + needed - GAP > content.width - 10) [x, row] = [10, row + 1];
    marks.push(
      element(
        "g",
        { class: "legend-entry", transform: `translate(${digits(x)} ${16 + row * ROW_HEIGHT})` },
        sign,
        element("text", { x: SIGN - 4, y: 4, "font-size": 11, fill: COLORS.faintInk }, label),
      ),
    );
    x += needed;
  }
  return { markup: marks.map(({ markup }) => markup).join(""), height: entries.length === 0 ? 0 : 28 + row * ROW_HEIGHT };
}

function legendEntries({ sample, plan, expert }: { sample: BirdsEyeScene; plan: boolean; expert: boolean }): { label: string; sign: Markup }[] {
  const stroke = (color: string, width: number, dash: string | null, opacity = 1): Markup =>
    element("path", { d: "M0 0H18", fill: "none", stroke: color, "stroke-width": width, "stroke-dasharray": dash, "stroke-opacity": opacity });
  const dot = (radius: number, fill: string, color: string): Markup => element("circle", { cx: 9, cy: 0, r: radius, fill, stroke: color, "stroke-width": 1.3 });
  const group = (...marks: Markup[]): Markup => element("g", {}, marks);
  const entries: { label: string; sign: Markup }[] = [];
  if (plan) {
    entries.push({ label: "chosen plan", sign: group(stroke(COLORS.plan, 3.4, null), dot(3, COLORS.plan, COLORS.halo)) });
    entries.push({ label: "modes (opacity: probability)", sign: stroke(COLORS.plan, 1.8, null, 0.45) });
  }
  if (expert) entries.push({ label: "driven", sign: group(stroke(COLORS.expert, 1.6, null), dot(3.6, COLORS.halo, COLORS.expert)) });
  entries.push({ label: "ego", sign: element("rect", { x: 1, y: -4, width: 16, height: 8, rx: 2, fill: COLORS.ego }) });
  const present = new Set(agentsOf(sample).map(({ category }) => AGENT_STYLES[category]));
  for (const style of new Set(Object.values(AGENT_STYLES))) {
    if (!present.has(style)) continue;
    const paint = { fill: style.color, "fill-opacity": 0.3, stroke: style.color, "stroke-width": 1.3 };
    entries.push({ label: style.label, sign: element("rect", { x: 1, y: -4, width: 16, height: 8, rx: 1.5, ...paint }) });
  }
  const lines = new Set(linesOf(sample).map(({ category }) => LINE_STYLES[category]));
  for (const { label, color, width, dash } of lines) entries.push({ label, sign: stroke(color, width, dash) });
  return entries;
}
