import { scaleLinear } from "d3-scale";
import { type Row, sameCase } from "../table.js";
import { short } from "./format.js";
import { colorOf, type Markup, tag } from "./markup.js";

const width = 1000;
const left = 330;
const right = 130;
const bar = 13;
const gap = 12;

/**
 * Bars of one kernel and direction: useful work per second of every library, row by row.
 * @param unit what the bars show: arithmetic where it dominates, else memory
 * @param ceiling drawn as a line when it fits
 */
export function barsSvg(rows: readonly Row[], libraries: readonly string[], unit: "GFLOP/s" | "GB/s", ceiling: number): Markup {
  const value = (row: Row): number => (unit === "GFLOP/s" ? row.gflops : row.gbps);
  const cases = rows.filter((row, index) => rows.findIndex((other) => sameCase(other, row)) === index);
  const groups = cases.map((first) => libraries.flatMap((library) => rows.filter((row) => row.library === library && sameCase(row, first))));
  const x = scaleLinear([0, Math.max(ceiling, ...rows.map(value))], [left, width - right]);
  let y = 26;
  const content: Markup[] = [];
  for (const group of groups) {
    const [first] = group;
    if (first === undefined) continue;
    content.push(tag("text", { x: left - 10, y: y + (group.length * bar) / 2 + 4, "text-anchor": "end" }, `${first.form}  ${first.shape}`));
    for (const row of group) {
      const end = x(value(row));
      content.push(
        tag("rect", { x: left, y, width: Math.max(1, end - left), height: bar - 2, fill: colorOf(row.library, libraries) }, tag("title", {}, `${row.library}: ${short(row.medianMs)} ms (${short(row.p10Ms)} to ${short(row.p90Ms)}), ${short(row.gflops)} GFLOP/s, ${short(row.gbps)} GB/s`)),
        tag("text", { x: end + 6, y: y + 10, class: "figure" }, `${short(value(row))}  (${short(row.medianMs)} ms)`),
      );
      y += bar;
    }
    y += gap;
  }
  const height = y + 24;
  const line = [
    tag("path", { d: `M${x(ceiling).toFixed(1)} 20V${y - gap + 4}`, class: "ceiling" }),
    tag("text", { x: x(ceiling), y: 14, "text-anchor": "middle", class: "figure" }, `ceiling ${short(ceiling)} ${unit}`),
  ];
  const ticks = x.ticks(6).map((tick) => [tag("path", { d: `M${x(tick).toFixed(1)} 20V${y - gap + 4}`, class: "grid" }), tag("text", { x: x(tick), y: y + 10, "text-anchor": "middle", class: "figure" }, short(tick))]);
  return tag("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `bars in ${unit}` }, ticks, content, line);
}
