import { scaleLog } from "d3-scale";
import type { BenchReport, Row } from "../table.js";
import { short } from "./format.js";
import { colorOf, type Markup, tag } from "./markup.js";

const size = { width: 1000, height: 540, left: 64, right: 24, top: 20, bottom: 52 } as const;

/** Roofline: work per second over work per byte, under the lines that arithmetic and memory draw. */
export function rooflineSvg(rows: readonly Row[], libraries: readonly string[], { ceilings: { fmaGflops, copyGBps } }: Pick<BenchReport, "ceilings">): Markup {
  const points = rows.filter(({ gflops, gbps }) => gflops > 0 && gbps > 0).map((row) => ({ row, intensity: row.gflops / row.gbps }));
  const intensities = points.map(({ intensity }) => intensity);
  const rates = points.map(({ row }) => row.gflops);
  const ridge = fmaGflops / copyGBps;
  const x = scaleLog([Math.min(ridge, ...intensities) / 1.6, Math.max(ridge, ...intensities) * 1.6], [size.left, size.width - size.right]);
  const y = scaleLog([Math.min(fmaGflops, ...rates) / 1.6, fmaGflops * 2], [size.height - size.bottom, size.top]);
  const [low, high] = x.domain() as [number, number];
  const at = (intensity: number, gflops: number): string => `${x(intensity).toFixed(1)} ${y(gflops).toFixed(1)}`;
  const [floor] = y.domain() as [number, number];
  const start = Math.max(low, floor / copyGBps);
  const roof = tag("path", { d: `M${at(start, start * copyGBps)}L${at(ridge, fmaGflops)}L${at(high, fmaGflops)}`, class: "roof" });
  const powers = (domain: readonly number[]): number[] => {
    const [from = 1, to = 1] = domain.map((value) => Math.log10(value));
    return Array.from({ length: Math.max(0, Math.floor(to) - Math.ceil(from) + 1) }, (_, index) => 10 ** (Math.ceil(from) + index));
  };
  const grid = [
    ...powers(x.domain()).map((value) => [tag("path", { d: `M${x(value).toFixed(1)} ${size.top}V${size.height - size.bottom}`, class: "grid" }), tag("text", { x: x(value), y: size.height - size.bottom + 18, "text-anchor": "middle" }, short(value))]),
    ...powers(y.domain()).map((value) => [tag("path", { d: `M${size.left} ${y(value).toFixed(1)}H${size.width - size.right}`, class: "grid" }), tag("text", { x: size.left - 8, y: y(value) + 4, "text-anchor": "end" }, short(value))]),
  ];
  const dots = points.map(({ row, intensity }) =>
    tag("circle", { cx: x(intensity), cy: y(row.gflops), r: 5, fill: colorOf(row.library, libraries), "fill-opacity": 0.75, stroke: "var(--card)" }, tag("title", {}, `${row.library}: ${row.kernel} ${row.form} ${row.shape} ${row.direction}, ${short(row.gflops)} GFLOP/s, ${short(intensity)} FLOP per byte`)),
  );
  return tag(
    "svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": "roofline" },
    grid,
    roof,
    tag("text", { x: size.width - size.right, y: y(fmaGflops) - 8, "text-anchor": "end" }, `${short(fmaGflops)} GFLOP/s multiply-add`),
    tag("text", { transform: `translate(${at(Math.sqrt(start * ridge), Math.sqrt(start * ridge) * copyGBps)}) rotate(${((Math.atan2(y(fmaGflops) - y(start * copyGBps), x(ridge) - x(start)) * 180) / Math.PI).toFixed(1)})`, y: -8, "text-anchor": "middle" }, `${short(copyGBps)} GB/s copy`),
    dots,
    tag("text", { x: (size.left + size.width - size.right) / 2, y: size.height - 10, "text-anchor": "middle" }, "floating point operations per byte of inputs and results"),
    tag("text", { transform: `translate(14 ${size.height / 2}) rotate(-90)`, "text-anchor": "middle" }, "GFLOP/s"),
  );
}
