import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { ViewerError } from "./errors.js";
import { digits, element, type Markup } from "./markup.js";
import { CURVE_COLORS } from "./palette.js";

/** One curve of a chart. */
export interface Curve {
  readonly name: string;
  /** x, y; points that are not finite (or not positive on a log axis) break the curve. */
  readonly points: readonly (readonly [number, number])[];
}

/** A chart of curves over a common axis. */
export interface LineChart {
  readonly title: string;
  /** With unit, e.g. "step" or "time (min)". */
  readonly xLabel: string;
  /** With unit, e.g. "loss" or "L2 (m)". */
  readonly yLabel: string;
  readonly curves: readonly Curve[];
  /** Default linear. */
  readonly yScale?: "linear" | "log";
  /** Steps of the running mean drawn over the faint raw curve; default chosen from the number of points, 1 for none. */
  readonly smoothing?: number;
}

const SIZE = { width: 560, height: 300, left: 58, right: 14, top: 36, bottom: 44 } as const;
/** px a character of the legend takes. */
const CHARACTER = 6.2;

/**
 * A line chart as SVG text: axes with ticks, units and grid, the raw curve faint and its running mean on top. Lines and
 * text are drawn in the page's own ink (`currentColor`), so the chart suits light and dark pages.
 *
 * @throws ViewerError when no curve has a point that can be drawn
 */
export function lineChartSvg(chart: LineChart): string {
  const log = chart.yScale === "log";
  const drawable = (point: readonly [number, number]): boolean => Number.isFinite(point[0]) && Number.isFinite(point[1]) && (!log || point[1] > 0);
  const points = chart.curves.flatMap(({ points: own }) => own.filter(drawable));
  if (points.length === 0) {
    throw new ViewerError("lineChartSvg", `nothing to draw in "${chart.title}", expected at least one finite point, got none`, "Leave the chart out.");
  }
  const x = scaleLinear(extent(points, 0), [SIZE.left, SIZE.width - SIZE.right]);
  const range = [SIZE.height - SIZE.bottom, SIZE.top];
  const y = log ? scaleLog(roundedOut(extent(points, 1)), range) : scaleLinear(extent(points, 1), range).nice();
  const draw = line<readonly [number, number]>()
    .defined(drawable)
    .x((point) => x(point[0]))
    .y((point) => y(point[1]))
    .digits(1);
  const curves = chart.curves.map((curve, index) => {
    const color = CURVE_COLORS[index % CURVE_COLORS.length] ?? "currentColor";
    const window = chart.smoothing ?? Math.max(1, Math.round(curve.points.length / 40));
    const raw = element("path", { class: "raw", d: draw(curve.points) ?? "", "stroke-width": 1, "stroke-opacity": window > 1 ? 0.28 : 1 });
    const mean = window > 1 ? element("path", { class: "mean", d: draw(runningMean(curve.points.filter(drawable), window)) ?? "", "stroke-width": 2 }) : null;
    return element("g", { class: "curve", fill: "none", stroke: color, "stroke-linejoin": "round" }, element("title", {}, curve.name), raw, mean);
  });
  const middle = (SIZE.top + SIZE.height - SIZE.bottom) / 2;
  return element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${SIZE.width} ${SIZE.height}`,
      class: "line-chart",
      role: "img",
      "aria-label": `${chart.title}: ${chart.yLabel} over ${chart.xLabel}`,
      "font-family": "Inter, 'Helvetica Neue', Arial, sans-serif",
      "font-size": 11,
      fill: "currentColor",
    },
    element("title", {}, chart.title),
    element("text", { x: SIZE.left, y: 16, "font-size": 13, "font-weight": 600 }, chart.title),
    xAxis(x, x.ticks(6)),
    yAxis(y, log ? logTicks(y.domain()) : y.ticks(5)),
    element("text", { x: (SIZE.left + SIZE.width - SIZE.right) / 2, y: SIZE.height - 8, "text-anchor": "middle" }, chart.xLabel),
    element("text", { transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle" }, chart.yLabel),
    curves,
    chartLegend(chart.curves),
  ).markup;
}

type Axis = (value: number) => number;

function xAxis(x: Axis, ticks: readonly number[]): Markup {
  const base = SIZE.height - SIZE.bottom;
  const marks = ticks.map((tick) => [
    element("path", { d: `M${digits(x(tick))} ${base}v4`, stroke: "currentColor" }),
    element("text", { x: x(tick), y: base + 17, "text-anchor": "middle" }, tickText(tick)),
  ]);
  return element("g", { class: "axis x-axis" }, element("path", { d: `M${SIZE.left} ${base}H${SIZE.width - SIZE.right}`, stroke: "currentColor" }), marks);
}

function yAxis(y: Axis, ticks: readonly number[]): Markup {
  const marks = ticks.map((tick) => [
    element("path", { d: `M${SIZE.left} ${digits(y(tick))}H${SIZE.width - SIZE.right}`, stroke: "currentColor", "stroke-opacity": 0.13 }),
    element("text", { x: SIZE.left - 7, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick)),
  ]);
  return element("g", { class: "axis y-axis" }, marks);
}

/** Names of the curves in the upper right corner, when there is more than one. */
function chartLegend(curves: readonly Curve[]): Markup | null {
  if (curves.length < 2) return null;
  let x = SIZE.width - SIZE.right - curves.reduce((sum, { name }) => sum + 26 + name.length * CHARACTER, 0);
  const entries = curves.map(({ name }, index) => {
    const color = CURVE_COLORS[index % CURVE_COLORS.length] ?? "currentColor";
    const entry = element(
      "g",
      { transform: `translate(${digits(x)} 28)` },
      element("path", { d: "M0 -4H14", stroke: color, "stroke-width": 2.5 }),
      element("text", { x: 18 }, name),
    );
    x += 26 + name.length * CHARACTER;
    return entry;
  });
  return element("g", { class: "chart-legend" }, entries);
}

/** Smallest and largest value; a single value gets room on both sides. */
function extent(points: readonly (readonly [number, number])[], axis: 0 | 1): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const point of points) {
    low = Math.min(low, point[axis]);
    high = Math.max(high, point[axis]);
  }
  if (low < high) return [low, high];
  return low > 0 ? [low / 2, low * 2] : [low - 1, low + 1];
}

/** Ends of a log axis at 1, 2 or 5 times a power of ten: whole decades would leave half of it empty. */
function roundedOut([low, high]: readonly [number, number]): [number, number] {
  const decade = (value: number): number => 10 ** Math.floor(Math.log10(value) + 1e-9);
  const lead = (value: number): number => value / decade(value);
  const below = [5, 2, 1].find((step) => step <= lead(low) + 1e-9) ?? 1;
  const above = [1, 2, 5, 10].find((step) => step >= lead(high) - 1e-9) ?? 10;
  return [below * decade(low), above * decade(high)];
}

/** Mean of the last `window` values, at each of their last points. */
function runningMean(points: readonly (readonly [number, number])[], window: number): (readonly [number, number])[] {
  let sum = 0;
  return points.map(([x, y], index) => {
    sum += y - (points[index - window]?.[1] ?? 0);
    return [x, sum / Math.min(index + 1, window)] as const;
  });
}

/** Powers of ten, or 1-2-5 steps where there are few of them. */
function logTicks([low = 1, high = 1]: readonly number[]): number[] {
  const first = Math.floor(Math.log10(low) + 1e-9);
  const decades = Array.from({ length: Math.ceil(Math.log10(high) - 1e-9) - first + 1 }, (_, i) => first + i);
  const ticks = (leads: readonly number[]): number[] => decades.flatMap((decade) => leads.map((lead) => Number(`${lead}e${decade}`))).filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
  const powers = ticks([1]);
  return powers.length >= 4 ? powers : ticks([1, 2, 5]);
}

function tickText(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e4) return `${digits(value / 1000)}k`;
  return size > 0 && size < 1e-3 ? value.toExponential(0) : digits(value);
}
