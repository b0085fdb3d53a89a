import { type BenchReport, DISTILLDRIVE, type Row, sameCase } from "../table.js";
import { barsSvg } from "./bars.js";
import { mebibytes, percentOfCeilings, short, startCells, summaries, workCells } from "./format.js";
import { growthSvg } from "./growth.js";
import { colorOf, type Content, type Markup, tag } from "./markup.js";
import { rooflineSvg } from "./roofline.js";

const style = `
:root { color-scheme: light dark; --ink: #22252b; --faint: #5f656e; --page: #fbfaf7; --card: #fff; --rule: #dedbd3; --ours: #f4f1e8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --faint: #a3a8b0; --page: #16181c; --card: #1f2227; --rule: #363a41; --ours: #282b31; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 40px 24px; background: var(--page); color: var(--ink); font: 16px/1.5 Inter, system-ui, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.9rem; margin: 0 0 6px; letter-spacing: -0.02em; } h2 { font-size: 1.25rem; margin: 44px 0 8px; } h3 { font-size: 1rem; margin: 24px 0 6px; }
p, li { color: var(--faint); max-width: 52rem; } p.lead { margin: 0; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 18px; margin: 12px 0; overflow-x: auto; }
.grid-of-two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 14px; } .grid-of-two .card { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 8px; text-align: right; white-space: nowrap; } th { white-space: normal; vertical-align: bottom; } th.text, td.text { text-align: left; } thead th { color: var(--faint); font-weight: 550; }
tbody tr { border-top: 1px solid var(--rule); } tbody tr.ours { background: var(--ours); font-weight: 600; }
td.wrap { white-space: normal; text-align: left; }
svg { display: block; width: 100%; height: auto; font-size: 13px; fill: var(--ink); } svg .figure { font-size: 11.5px; fill: var(--faint); } svg .title { font-weight: 600; }
svg .grid { stroke: var(--rule); } svg .ceiling { stroke: var(--ink); stroke-dasharray: 5 4; } svg .roof { stroke: var(--ink); stroke-width: 2; fill: none; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 10px 0 0; padding: 0; list-style: none; } .legend li { color: var(--ink); } .swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px; }
`;

/** The report as one HTML page without scripts or outside files. @returns the page */
export function reportHtml(report: BenchReport): string {
  const libraries = [...new Set([DISTILLDRIVE, ...report.rows.map(({ library }) => library)])];
  const legend = tag("ul", { class: "legend" }, libraries.map((library) => tag("li", {}, tag("span", { class: "swatch", style: `background: ${colorOf(library, libraries)}` }), library)));
  const body = [
    tag("h1", {}, "DistillDrive bench"),
    tag("p", { class: "lead" }, report.adapter),
    tag("p", { class: "lead" }, Object.entries(report.versions).map(([name, version]) => `${name} ${version}`).join(" · ")),
    tag("p", { class: "lead" }, `Ceilings measured in this run: ${short(report.ceilings.fmaGflops)} GFLOP/s of multiply-add, ${short(report.ceilings.copyGBps)} GB/s of copying.`),
    legend,
    ...(report.comparisons.length > 0 ? [tag("h2", {}, "How many times faster than each peer"), meansTable(report)] : []),
    ...stepsSection(report),
    ...(report.start ? [tag("h2", {}, "Start of the teacher's training"), tableOf(["", "opening the device", "tracing and compiling", "first step", "together"], 1, startCells(report.start).map((cells) => ({ cells })))] : []),
    ...(report.sweep.length > 0 ? sweepSection(report) : []),
    tag("h2", {}, "Roofline"),
    tag("p", {}, "Each dot is a row of the table, the line what both ceilings allow: a dot near the slope is limited by memory, one near the level part by arithmetic. Data that stays in a cache can lift a dot over the slope."),
    tag("div", { class: "card" }, rooflineSvg(report.rows, libraries, report)),
    ...barSections(report, libraries),
    tag("h2", {}, "All rows"),
    rowsTable(report),
    ...(report.remarks.length > 0 ? [tag("h2", {}, "Rows without figures"), remarksTable(report)] : []),
    tag("h2", {}, "How it was measured"),
    tag("ul", {}, report.method.map((line) => tag("li", {}, line))),
  ];
  const page = tag("html", { lang: "en" }, tag("head", {}, { markup: '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">' }, tag("title", {}, "DistillDrive bench"), { markup: `<style>${style}</style>` }), tag("body", {}, body));
  return `<!doctype html>\n${page.markup}\n`;
}

function tableOf(head: readonly string[], texts: number, rows: readonly { readonly cells: readonly Content[]; readonly ours?: boolean; readonly wrap?: boolean }[]): Markup {
  const cell = (name: string, content: Content, index: number, wrap = false): Markup => tag(name, wrap && index === head.length - 1 ? { class: "wrap" } : index < texts ? { class: "text" } : {}, content);
  return tag(
    "div",
    { class: "card" },
    tag("table", {}, tag("thead", {}, tag("tr", {}, head.map((text, index) => cell("th", text, index)))), tag("tbody", {}, rows.map(({ cells, ours = false, wrap }) => tag("tr", ours ? { class: "ours" } : {}, cells.map((content, index) => cell("td", content, index, wrap)))))),
  );
}

function meansTable({ comparisons }: BenchReport): Markup {
  const means = summaries(comparisons);
  const peers = [...new Set(means.map(({ peer }) => peer))];
  const kinds = [...new Set(means.map(({ kernel, direction }) => `${kernel}|${direction}`))];
  const rows = kinds.map((kind) => {
    const own = means.filter(({ kernel, direction }) => `${kernel}|${direction}` === kind);
    return { cells: [...kind.split("|"), ...peers.map((peer) => { const mean = own.find((each) => each.peer === peer); return mean ? `${short(mean.speedup)}x` : "-"; })] };
  });
  return tableOf(["kernel", "direction", ...peers], 2, rows);
}

function stepsSection({ steps }: BenchReport): Markup[] {
  if (steps.length === 0) return [];
  const rows = steps.map((step) => ({
    cells: [
      `${step.kernel} ${step.shape}`, short(step.submits), step.dispatches, `${short(step.stepMs)} ms`, `${short(step.encodeMs)} ms (${short(100 * step.encodeShare)} %)`,
      `${mebibytes(step.plannedPeakBytes)} / ${mebibytes(step.lowerBoundBytes)} (${short(step.plannedPeakBytes / step.lowerBoundBytes)}x)`, mebibytes(step.deviceBytes), step.allocationsAfterSecondStep,
    ],
  }));
  const work = steps.flatMap((step) => (step.work ? workCells(step.work).map(([what = "", ...cells]) => ({ cells: [`${step.kernel} ${step.shape}`, what, ...cells] })) : []));
  return [tag("h2", {}, "Whole training steps"), tableOf(["step", "submits", "dispatches", "time", "host encodes", "planned peak / lower bound", "on the device", "buffers created after step 2"], 1, rows), ...(work.length > 0 ? [tableOf(["step", "work", "training step", "forward alone"], 2, work)] : [])];
}

function sweepSection({ sweep }: BenchReport): Markup[] {
  const kinds = [...new Set(sweep.map(({ model, axis }) => `${model}|${axis}`))];
  const charts = kinds.map((kind) => tag("div", { class: "card" }, growthSvg(sweep.filter(({ model, axis }) => `${model}|${axis}` === kind))));
  return [tag("h2", {}, "How a step grows"), tag("div", { class: "grid-of-two" }, charts)];
}

function barSections({ rows, ceilings }: BenchReport, libraries: readonly string[]): Markup[] {
  const kinds = [...new Set(rows.map(({ kernel, direction }) => `${kernel}|${direction}`))];
  return [
    tag("h2", {}, "Kernel by kernel"),
    ...kinds.flatMap((kind) => {
      const own = rows.filter(({ kernel, direction }) => `${kernel}|${direction}` === kind);
      const memory = own.every((row) => bytesBound(row, ceilings));
      const [first] = own;
      if (first === undefined) return [];
      return [tag("h3", {}, `${first.kernel}, ${first.direction}`), tag("div", { class: "card" }, barsSvg(own, libraries, memory ? "GB/s" : "GFLOP/s", memory ? ceilings.copyGBps : ceilings.fmaGflops))];
    }),
  ];
}

/** Whether the copy ceiling is the nearer one. */
function bytesBound({ gflops, gbps }: Row, { fmaGflops, copyGBps }: BenchReport["ceilings"]): boolean {
  return gflops / fmaGflops < gbps / copyGBps;
}

function rowsTable(report: BenchReport): Markup {
  const { rows, comparisons } = report;
  const cases = rows.filter((row, index) => rows.findIndex((other) => sameCase(other, row)) === index);
  const lines = cases.flatMap((first) => rows.filter((row) => sameCase(row, first)).map((row, index) => {
    const percent = percentOfCeilings(row, report);
    const ratio = comparisons.find((comparison) => comparison.peer === row.library && sameCase(comparison, row));
    const ours = row.library === DISTILLDRIVE;
    return {
      ours,
      cells: [
        ...(index === 0 ? [`${row.kernel} ${row.form}`, row.shape, row.direction] : ["", "", ""]), row.library,
        short(row.medianMs), `${short(row.p10Ms)} to ${short(row.p90Ms)}`, short(row.gflops), short(percent.fma), short(row.gbps), short(percent.copy),
        row.maxRelError.toExponential(0), ratio ? `${short(ratio.speedup)}x` : "",
      ],
    };
  }));
  return tableOf(["kernel", "shape", "direction", "library", "median ms", "p10 to p90", "GFLOP/s", "% of FMA", "GB/s", "% of copy", "error", "ours faster"], 4, lines);
}

function remarksTable({ remarks }: BenchReport): Markup {
  return tableOf(["library", "row", "status", "detail"], 3, remarks.map((remark) => ({ wrap: true, cells: [remark.library, `${remark.kernel} ${remark.form} ${remark.shape} ${remark.direction}`, remark.status, remark.detail] })));
}
