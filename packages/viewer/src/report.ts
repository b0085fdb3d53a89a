import { cameraStripFigure, type CameraStrip } from "./camera-strip.js";
import { ViewerError } from "./errors.js";
import { lineChartSvg, type LineChart } from "./line-chart.js";
import { element, type Content, type Markup } from "./markup.js";
import { commandTable, plannerTable, type PlannerResult } from "./planner-table.js";
import { REPORT_STYLE } from "./report-style.js";

/** A number worth a glance. */
export interface Highlight {
  readonly label: string;
  /** With unit, e.g. "0.62 m". */
  readonly value: string;
  readonly detail?: string;
}

/** A picture of the gallery. */
export interface ReportPicture {
  /** SVG document, as `birdsEyeSvg` returns it. */
  readonly svg: string;
  /** Plain text below it. */
  readonly caption: string;
}

/** What a report shows; sections without content are left out. All texts are plain. */
export interface Report {
  readonly title: string;
  /** One or two sentences below the title. */
  readonly summary?: string;
  readonly highlights?: readonly Highlight[];
  /** Planners compared on the same held-out samples, one row each, in this order. */
  readonly planners?: readonly PlannerResult[];
  /** Sentence above the tables, e.g. what was held out. */
  readonly plannersNote?: string;
  readonly charts?: readonly LineChart[];
  readonly pictures?: readonly ReportPicture[];
  readonly cameras?: readonly CameraStrip[];
  /** Facts of the run by name: data, preset, seed, adapter, versions, command line ... */
  readonly run?: Readonly<Record<string, string | number>>;
  /** BCP 47 language of the texts, default "en". */
  readonly language?: string;
}

const HORIZON_NOTE =
  "L2 is the distance between planned and driven position; a collision is counted when the planned ego box (4.084 x 1.85 m) touches an annotated box and the driven one does not. The best value of each column is marked.";

/**
 * A whole report as one HTML file: nothing is loaded from elsewhere and nothing runs, so it can be opened, mailed,
 * archived and printed.
 *
 * @returns the document
 * @throws ViewerError when a picture is not a plain SVG document, a chart has nothing to draw, or a camera image is missing
 */
export function reportHtml(report: Report): string {
  const { title, summary, highlights = [], planners = [], plannersNote, charts = [], pictures = [], cameras = [], run = {} } = report;
  const sections = [
    section("results", "Results", planners.length, element("p", { class: "note" }, plannersNote === undefined ? HORIZON_NOTE : `${plannersNote} ${HORIZON_NOTE}`), () => [
      plannerTable(planners, "cumulative"),
      plannerTable(planners, "atStep"),
      commandTable(planners),
    ]),
    section("training", "Training", charts.length, null, () => element("div", { class: "charts" }, charts.map((chart) => element("figure", {}, { markup: lineChartSvg(chart) })))),
    section("pictures", "From above", pictures.length, element("p", { class: "note" }, "The ego looks up. Dots are half a second apart."), () => element("div", { class: "gallery" }, pictures.map(pictureFigure))),
    section("cameras", "What the student sees", cameras.length, null, () => element("div", { class: "strips" }, cameras.map((strip) => ({ markup: cameraStripFigure(strip) })))),
    section("run", "Run", Object.keys(run).length, null, () => element("dl", {}, Object.entries(run).map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))),
  ];
  const head = element(
    "head",
    {},
    element("meta", { charset: "utf-8" }),
    element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    element("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; img-src data:; style-src 'unsafe-inline'" }),
    element("title", {}, title),
    element("style", {}, { markup: REPORT_STYLE }),
  );
  const body = element(
    "body",
    {},
    element("header", {}, element("h1", {}, title), summary === undefined ? null : element("p", { class: "lead" }, summary), highlightList(highlights)),
    element("main", {}, sections),
    element("footer", {}, "Made with DistillDrive on WebGPU."),
  );
  return `<!doctype html>\n${element("html", { lang: report.language ?? "en" }, head, body).markup}\n`;
}

function section(id: string, title: string, entries: number, note: Markup | null, content: () => Content): Markup | null {
  if (entries === 0) return null;
  return element("section", { "aria-labelledby": id }, element("h2", { id }, title), note, content());
}

function highlightList(highlights: readonly Highlight[]): Markup | null {
  if (highlights.length === 0) return null;
  const items = highlights.map(({ label, value, detail }) =>
    element(
      "li",
      {},
      element("span", { class: "label" }, label),
      element("span", { class: "value" }, value),
      detail === undefined ? null : element("span", { class: "detail" }, detail),
    ),
  );
  return element("ul", { class: "highlights" }, items);
}

/** Pictures come in as text, so what is not a plain drawing is refused: a report must not run or load anything. */
function pictureFigure({ svg, caption }: ReportPicture): Markup {
  const active = /<(script|foreignObject|style|image|use|a)\b|\son\w+\s*=|href\s*=|url\(|<!|<\?/i.exec(svg);
  if (!svg.startsWith("<svg") || active !== null) {
    throw new ViewerError(
      "reportHtml",
      `picture "${caption}" is no plain drawing, expected the SVG of birdsEyeSvg, got ${active === null ? "other text" : `"${active[0].trim()}"`}`,
      "Pass pictures made by this package.",
    );
  }
  return element("figure", {}, { markup: svg }, element("figcaption", {}, caption));
}
