import { scaleLog } from "d3-scale";
import type { SweepPoint } from "../sweep.js";
import { short } from "./format.js";
import { colors, type Markup, tag } from "./markup.js";

const size = { width: 480, height: 330, left: 62, right: 16, top: 34, bottom: 46 } as const;

/** Step time over size, both logarithmic, with the line that a step as slow as its work would follow. */
export function growthSvg(points: readonly SweepPoint[]): Markup {
  const [first] = points;
  if (first === undefined) return tag("p", {}, "nothing was measured");
  const predicted = points.map(({ value, flops }) => ({ value, ms: (first.stepMs * flops) / first.flops }));
  const times = [...points.map(({ stepMs }) => stepMs), ...predicted.map(({ ms }) => ms)];
  const x = scaleLog([first.value / 1.15, (points.at(-1)?.value ?? first.value) * 1.15], [size.left, size.width - size.right]);
  const y = scaleLog([Math.min(...times) / 1.3, Math.max(...times) * 1.3], [size.height - size.bottom, size.top]);
  const path = (line: readonly { value: number; ms: number }[]): string => line.map(({ value, ms }, index) => `${index === 0 ? "M" : "L"}${x(value).toFixed(1)} ${y(ms).toFixed(1)}`).join("");
  const ticks = y.ticks(4).filter((tick) => [1, 2, 5].includes(Math.round(tick / 10 ** Math.floor(Math.log10(tick) + 1e-9))));
  return tag(
    "svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": `step time of the ${first.model} over ${first.axis}` },
    tag("text", { x: size.left, y: 16, class: "title" }, `${first.model}: ${first.axis} doubled`),
    ticks.map((tick) => [tag("path", { d: `M${size.left} ${y(tick).toFixed(1)}H${size.width - size.right}`, class: "grid" }), tag("text", { x: size.left - 6, y: y(tick) + 4, "text-anchor": "end" }, `${short(tick)} ms`)]),
    tag("path", { d: path(predicted), class: "ceiling", fill: "none" }),
    tag("path", { d: path(points.map(({ value, stepMs }) => ({ value, ms: stepMs }))), fill: "none", stroke: colors[0], "stroke-width": 2 }),
    points.map(({ value, stepMs, timeRatio }, index) => [
      tag("circle", { cx: x(value), cy: y(stepMs), r: 4, fill: colors[0] }),
      tag("text", { x: x(value), y: size.height - size.bottom + 18, "text-anchor": "middle" }, value),
      ...(index === 0 ? [] : [tag("text", { x: x(value) - 4, y: y(stepMs) + 20, "text-anchor": "start", class: "figure" }, `x ${short(timeRatio)}`)]),
    ]),
    tag("text", { x: (size.left + size.width - size.right) / 2, y: size.height - 8, "text-anchor": "middle" }, `${first.axis} (dashed: time that grows like the work)`),
  );
}
